"""DNS look-ups on threads of their own, so that a hung look-up cannot starve other work.

getaddrinfo blocks a thread for as long as a name server is silent. On the reactor's own pool ten such names would stop
all work with files. Equal look-ups under way are done once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from socket import getaddrinfo
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.logger import Logger
from zope.interface import implementer

from imgforge.concurrency import Coalescer, DaemonThreadPool
from imgforge.interfaces import IServerReactor
from imgforge.twisted_compat import GAIResolver

__all__ = ["Resolver", "use_own_resolver"]

_MOST_LOOKUPS = 64  # at once; more wait for a thread

_Key = tuple[str, int, tuple[type[IAddress], ...], str]


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Do nothing: getaddrinfo cannot be stopped, and the receiver ignores a result that comes later."""


@implementer(IResolutionReceiver)
class _AddressCollector:
    """Collects the addresses of one look-up; *done* fires with all of them at its end."""

    def __init__(self) -> None:
        self.done: Deferred[list[IAddress]] = Deferred()
        self._addresses: list[IAddress] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Each receiver has been called already."""

    def addressResolved(self, address: IAddress) -> None:
        self._addresses.append(address)

    def resolutionComplete(self) -> None:
        self.done.callback(self._addresses)


@implementer(IHostnameResolver)
class Resolver:
    """The system's resolver on *pool*; equal look-ups that are under way are shared."""

    log = Logger()

    def __init__(
        self, reactor: IServerReactor, pool: DaemonThreadPool, look_up: Callable[..., Any] = getaddrinfo
    ) -> None:
        self._resolver = GAIResolver(reactor, lambda: pool, look_up)
        self._lookups: Coalescer[_Key, list[IAddress]] = Coalescer()

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

        def look_up() -> Deferred[list[IAddress]]:
            collector = _AddressCollector()
            self._resolver.resolveHostName(collector, hostName, portNumber, addressTypes, transportSemantics)
            return collector.done

        key = (hostName, portNumber, tuple(addressTypes or ()), transportSemantics)
        addresses = self._lookups.do(key, look_up)
        addresses.addCallback(_deliver, resolutionReceiver)
        addresses.addErrback(lambda failure: self.log.failure("look-up of {host} failed", failure, host=hostName))
        return resolution


def _deliver(addresses: Sequence[IAddress], receiver: IResolutionReceiver) -> None:
    for address in addresses:
        receiver.addressResolved(address)
    receiver.resolutionComplete()


def use_own_resolver(reactor: IServerReactor) -> None:
    """Have *reactor* resolve names on daemon threads of their own, which never delay the end of the process."""
    pool = DaemonThreadPool(minthreads=0, maxthreads=_MOST_LOOKUPS, name="imgforge-names")
    pool.start()
    reactor.installNameResolver(Resolver(reactor, pool))
