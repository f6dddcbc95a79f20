"""The listeners of a process as a service: they accept connections from its start to its stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from imgforge.interfaces import IServerReactor
from imgforge.service.net import Listener, WorkerShare, accept_waiting, adopt
from imgforge.web import ImageSite

__all__ = ["Listening"]


class Listening(Service):
    """Accepts connections of *listeners* for *site*; the stop closes their sockets.

    *share* compares this worker's connections with those of other workers on the same sockets; *grouped* has an epoll
    of its own watch the connections (`EpollGroup`). Where *drains()* at the stop, connections that wait to be accepted
    are accepted before the sockets close: the kernel would reset them.
    """

    def __init__(
        self,
        reactor: IServerReactor,
        listeners: Sequence[Listener],
        site: ImageSite,
        *,
        share: WorkerShare | None = None,
        grouped: bool = False,
        drains: Callable[[], bool] = lambda: False,
    ) -> None:
        self._reactor = reactor
        self._listeners = listeners
        self._site = site
        self._share = share
        self._grouped = grouped
        self._drains = drains
        self._ports: list[IListeningPort] = []

    def startService(self) -> None:
        """Accept connections."""
        super().startService()
        self._ports = [
            adopt(self._reactor, listener, self._site, self._share, grouped=self._grouped)
            for listener in self._listeners
        ]

    def stopService(self) -> Deferred[None]:
        """Stop accepting, and close the sockets."""
        super().stopService()
        stopping = [maybeDeferred(port.stopListening) for port in self._ports]
        return DeferredList(stopping).addCallback(lambda _: self._close())

    def _close(self) -> None:
        for listener, port in zip(self._listeners, self._ports, strict=True):
            if self._drains():
                accept_waiting(self._reactor, listener, port)
            listener.socket.close()
        self._ports = []
