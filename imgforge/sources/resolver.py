"""DNS look-ups on threads of their own, so that a hung look-up cannot starve other work.

getaddrinfo blocks a thread for as long as a name server is silent. On the reactor's own pool ten such names would stop
all work with files. Equal look-ups under way are done once.

Names of silent name servers may take all of these threads, too. Look-ups that wait for a thread are dropped once nobody
waits for them. A look-up that takes longer than a second is answered with the addresses that the name had lately, and
goes on for the sake of later ones: names in use do not wait for those that never resolve (as RFC 8767 does it).
Addresses in place of names take no thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from ipaddress import ip_address
from socket import gaierror, getaddrinfo
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.concurrency import Coalescer, DaemonThreadPool
from imgforge.interfaces import IServerReactor
from imgforge.sources.recent_dict import RecentDict
from imgforge.twisted_compat import GAIResolver

__all__ = ["Resolver", "use_own_resolver"]

_MOST_LOOKUPS = 64  # at once; more wait for a thread

_PATIENCE = 1.0  # seconds, after which addresses of an earlier look-up are used
_KNOWN_FOR = 600.0  # seconds for which addresses are kept for that
_MOST_KNOWN = 4096  # names whose addresses are kept

_Addresses = list[IAddress]
_Key = tuple[str, tuple[type[IAddress], ...], str]


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name
        self.give_up: Callable[[], None] = lambda: None

    def cancel(self) -> None:
        """Drop the look-up, unless a thread has begun it or others wait for it."""
        self.give_up()


class _Job:
    """A call of getaddrinfo on its way through a thread; the reactor's thread may abandon it at any time."""

    def __init__(self, look_up: Callable[..., Any]) -> None:
        self._look_up = look_up
        self.begun = False
        self.abandoned = False

    def __call__(self, *arguments: Any) -> Any:
        self.begun = True
        if self.abandoned:  # while it was queued
            raise gaierror("nobody waits for this name")
        return self._look_up(*arguments)

    def abandon(self, _: object) -> None:
        """Do not begin it any more."""
        self.abandoned = True


@implementer(IResolutionReceiver)
class _AddressCollector:
    """Collects the addresses of one look-up; *done* fires with all of them at its end."""

    def __init__(self, cancelled: Callable[[object], None]) -> None:
        self.done: Deferred[_Addresses] = Deferred(cancelled)
        self._addresses: _Addresses = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Each receiver has been called already."""

    def addressResolved(self, address: IAddress) -> None:
        self._addresses.append(address)

    def resolutionComplete(self) -> None:
        if not self.done.called:  # nobody waits any more
            self.done.callback(self._addresses)


@implementer(IHostnameResolver)
class Resolver:
    """The system's resolver on *pool*; equal look-ups that are under way are shared.

    One that takes longer than *patience* seconds is answered with the addresses that the name had in the last minutes.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IServerReactor,
        pool: DaemonThreadPool,
        look_up: Callable[..., Any] = getaddrinfo,
        patience: float = _PATIENCE,
    ) -> None:
        self._reactor = reactor
        self._pool = pool
        self._look_up = look_up
        self._patience = patience
        self._lookups: Coalescer[_Key, _Addresses] = Coalescer()
        self._jobs: dict[_Key, _Job] = {}
        self._known: RecentDict[_Key, tuple[float, _Addresses]] = RecentDict(_MOST_KNOWN)

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See `IHostnameResolver`."""
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        literal = None if addressTypes else _literal(hostName, transportSemantics)
        if literal is not None:
            _deliver([literal], portNumber, resolutionReceiver)
            return resolution
        key = (hostName, tuple(addressTypes or ()), transportSemantics)
        addresses = self._lookups.do(key, lambda: self._start(key))
        if key in self._known and not addresses.called:
            addresses = self._or_known(key, addresses)
        resolution.give_up = lambda: self._give_up(key, addresses)
        addresses.addCallback(_deliver, portNumber, resolutionReceiver)
        addresses.addErrback(self._failed, hostName)
        return resolution

    def _start(self, key: _Key) -> Deferred[_Addresses]:
        host, types, semantics = key
        job: Any = _Job(self._look_up)
        self._jobs[key] = job
        collector = _AddressCollector(job.abandon)
        resolver = GAIResolver(self._reactor, lambda: self._pool, job)
        resolver.resolveHostName(collector, host, 0, types or None, semantics)
        return collector.done.addBoth(self._ended, key)

    def _ended(self, outcome: _Addresses | Failure, key: _Key) -> _Addresses | Failure:
        del self._jobs[key]
        if outcome and not isinstance(outcome, Failure):
            self._known[key] = (self._reactor.seconds(), outcome)
        return outcome

    def _give_up(self, key: _Key, addresses: Deferred[_Addresses]) -> None:
        job = self._jobs.get(key)
        # One that a thread has begun still counts as under way: the next look-up of the name takes no further thread.
        if job is not None and not job.begun:
            addresses.cancel()

    def _or_known(self, key: _Key, looked_up: Deferred[_Addresses]) -> Deferred[_Addresses]:
        """The outcome of *looked_up*, or where that takes too long, what was found before."""
        addresses: Deferred[_Addresses] = Deferred(lambda _: looked_up.cancel())

        def use_known() -> None:
            since, known = self._known.get(key, (-_KNOWN_FOR, []))
            if self._reactor.seconds() - since < _KNOWN_FOR:
                self._known[key] = (since, known)  # in use: others are dropped before
                addresses.callback(known)

        timer = self._reactor.callLater(self._patience, use_known)

        def ended(outcome: _Addresses | Failure) -> None:
            if timer.active():
                timer.cancel()
            if not addresses.called:
                addresses.callback(outcome)  # a Failure starts the errback chain

        looked_up.addBoth(ended)
        return addresses

    def _failed(self, failure: Failure, host: str) -> None:
        if not failure.check(CancelledError):
            self.log.failure("look-up of {host} failed", failure, host=host)


def _literal(host: str, semantics: str) -> IAddress | None:
    """The address that *host* is in its usual spelling; getaddrinfo knows the others, and zones."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    kind: Any = IPv4Address if address.version == 4 else IPv6Address
    return kind(semantics, host, 0) if "%" not in host else None


def _deliver(addresses: _Addresses, port: int, receiver: IResolutionReceiver) -> None:
    for address in addresses:
        receiver.addressResolved(_with_port(address, port))
    receiver.resolutionComplete()


def _with_port(address: Any, port: int) -> Any:
    other = copy(address)
    other.port = port
    return other


def use_own_resolver(reactor: IServerReactor) -> None:
    """Have *reactor* resolve names on daemon threads of their own, which never delay the end of the process."""
    pool = DaemonThreadPool(minthreads=0, maxthreads=_MOST_LOOKUPS, name="imgforge-names")
    pool.start()
    reactor.installNameResolver(Resolver(reactor, pool))
