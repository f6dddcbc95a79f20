"""Twisted's ports on sockets that are open already, and that other processes accept on as well.

`reactor.adoptStreamPort` adopts such sockets too. But it chooses the class of the connections, and of an adopted unix
socket it makes the file accessible to everybody, whatever mode it had, and removes the file when this process ends.
"""

from __future__ import annotations

import os
import socket

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IProtocolFactory

from imgforge.interfaces import IServerReactor
from imgforge.service.net.epoll_group import EpollGroup, GroupedServer, GroupedUnixServer

__all__ = ["InheritedPort", "InheritedUnixPort"]


class _InheritedSocket(socket.socket):
    """Another descriptor of a bound socket: not bound again, and not shut down, as that would end it for all."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__(opened.family, opened.type, fileno=os.dup(opened.fileno()))
        self.setblocking(False)

    def bind(self, address: object) -> None:
        """Does nothing: the socket is bound."""

    def shutdown(self, how: int) -> None:
        """Does nothing: other processes go on accepting."""


class InheritedPort(tcp.Port):
    """A TCP listener on *opened*, whose connections are in *group* if there is one."""

    transport = GroupedServer  # type: ignore[assignment]  # a Server all the same

    def __init__(
        self,
        opened: socket.socket,
        factory: IProtocolFactory,
        backlog: int,
        reactor: IServerReactor,
        group: EpollGroup | None,
    ) -> None:
        host, port = opened.getsockname()[:2]
        super().__init__(port, factory, backlog, host, reactor)
        self.group = group
        self._opened = opened

    def createInternetSocket(self) -> socket.socket:
        """The socket that `startListening` takes; see `Port`."""
        return _InheritedSocket(self._opened)


class InheritedUnixPort(unix.Port):
    """The same for a unix socket.

    Twisted leaves names alone that are no files, the abstract ones with a leading NUL: hence that.
    """

    transport = GroupedUnixServer

    def __init__(
        self,
        opened: socket.socket,
        factory: IProtocolFactory,
        backlog: int,
        reactor: IServerReactor,
        group: EpollGroup | None,
    ) -> None:
        super().__init__(b"\0" + os.fsencode(opened.getsockname()), factory, backlog, reactor=reactor)
        self.group = group
        self._opened = opened

    def createInternetSocket(self) -> socket.socket:
        """The socket that `startListening` takes; see `Port`."""
        return _InheritedSocket(self._opened)
