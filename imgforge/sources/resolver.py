"""Look-ups of host names that do not come back hold up nothing but themselves.

getaddrinfo blocks a thread for as long as a name server is silent. On the reactor's own pool ten such names would stop
all work with files; here they have threads of their own, and all who ask for one name wait for one look-up of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from socket import getaddrinfo
from typing import Any

from twisted.internet._resolver import GAIResolver
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from imgforge.concurrency import DaemonThreadPool

__all__ = ["Resolver", "use_own_resolver"]

_MOST_LOOKUPS = 64  # at once; more wait

_Key = tuple[str, int, tuple[type[IAddress], ...], str]


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """A look-up cannot be stopped; whoever asked just does not listen any more."""


@implementer(IResolutionReceiver)
class _Lookup:
    """Gathers the addresses of one look-up, and gives all of them to all who wait at its end."""

    def __init__(self, done: Callable[[], None]) -> None:
        self.waiting: list[IResolutionReceiver] = []
        self._addresses: list[IAddress] = []
        self._done = done

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Everybody who waits has been told already."""

    def addressResolved(self, address: IAddress) -> None:
        self._addresses.append(address)

    def resolutionComplete(self) -> None:
        self._done()
        for receiver in self.waiting:
            for address in self._addresses:
                receiver.addressResolved(address)
            receiver.resolutionComplete()


@implementer(IHostnameResolver)
class Resolver:
    """The system's resolver on *pool*; equal look-ups that are under way are shared."""

    def __init__(self, reactor: Any, pool: ThreadPool, look_up: Callable[..., Any] = getaddrinfo) -> None:
        self._resolver = GAIResolver(reactor, lambda: pool, look_up)
        self._under_way: dict[_Key, _Lookup] = {}

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
        key = (hostName, portNumber, tuple(addressTypes or ()), transportSemantics)
        shared = self._under_way.get(key)
        if shared is not None:
            shared.waiting.append(resolutionReceiver)
            return resolution
        shared = self._under_way[key] = _Lookup(lambda: self._end(key))
        shared.waiting.append(resolutionReceiver)
        self._resolver.resolveHostName(shared, hostName, portNumber, addressTypes, transportSemantics)
        return resolution

    def _end(self, key: _Key) -> None:
        del self._under_way[key]


def use_own_resolver(reactor: Any) -> None:
    """Have *reactor* look names up on threads of their own; those never hold the end of the process up."""
    pool = DaemonThreadPool(minthreads=0, maxthreads=_MOST_LOOKUPS, name="imgforge-names")
    pool.start()
    reactor.installNameResolver(Resolver(reactor, pool))
