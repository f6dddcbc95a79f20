"""One descriptor for many connections, so that requests which come together are answered together.

    reactor ── wakes for ──> the ring's epoll ── lists ──> connections ─┬─ a hit: received, answered and sent right here
                                                                        ├─ else: the protocol's dataReceived, as usual
                                                                        └─ the end: back to the reactor, which sees it

For each descriptor that is ready a reactor enters a logging context, asks for a prefix and looks at flags, which takes
about as long as finding an answer in the fast lane. The connections of a listener are thus watched by an epoll of their
own, which is a descriptor too: the reactor has that one. It has nothing to do with how a connection writes or ends.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["EpollGroup", "GroupedPort", "GroupedServer", "GroupedUnixServer"]

_AT_ONCE = 256  # connections that are answered before the reactor has its turn again


@implementer(IReadDescriptor)
class EpollGroup:
    """The connections of one listener that may be read from.

    Their protocols are the site's `Channel`.
    """

    log = Logger()

    def __init__(self, reactor: IReactorFDSet) -> None:
        self._reactor = reactor
        self._epoll = select.epoll()
        self._connections: dict[int, Any] = {}

    def add(self, connection: Any) -> None:
        """Read from *connection* from now on."""
        descriptor = connection.fileno()
        if descriptor in self._connections:
            return
        if not self._connections:
            self._reactor.addReader(self)
        self._epoll.register(descriptor, select.EPOLLIN)
        self._connections[descriptor] = connection

    def discard(self, connection: Any) -> None:
        """Leave *connection* alone."""
        descriptor = connection.fileno()
        if self._connections.pop(descriptor, None) is None:
            return
        self._epoll.unregister(descriptor)
        if not self._connections:
            self._reactor.removeReader(self)

    def fileno(self) -> int:
        """See `IFileDescriptor`."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """See `ILoggingContext`."""
        return "EpollGroup"

    def doRead(self) -> None:
        """Serve the connections on which something has arrived."""
        connections = self._connections
        for descriptor, _ in self._epoll.poll(0, _AT_ONCE):
            connection = connections.get(descriptor)
            if connection is None:  # one before it in the list has closed it
                continue
            try:
                self._serve(connection)
            except Exception:
                # What a reactor does with the connection of a protocol that raises.
                self.log.failure("a connection failed")
                connection.connectionLost(Failure())

    def _serve(self, connection: Any) -> None:
        try:
            received = connection.socket.recv(connection.bufferSize)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            # Which kind of end it is, and what to do about it, the reactor knows.
            connection.leave_group()
            return
        protocol: Any = connection.protocol
        answer = protocol.answer_at_once(received)
        if answer is None:
            protocol.take(received)
            return
        if not (connection.dataBuffer or connection._tempDataBuffer):  # noqa: SLF001
            # To the socket directly where nothing waits before it: through the reactor it takes a third longer.
            try:
                sent = connection.socket.sendmsg(answer)
            except OSError:  # full, or gone: the transport finds out which
                sent = 0
            head, body = answer
            if sent == len(head) + len(body):
                return
            answer = head[sent:], body[max(0, sent - len(head)) :]
        connection.writeSequence(answer)

    def connectionLost(self, reason: Failure) -> None:
        """See `IReadDescriptor`: the reactor ends."""
        for connection in list(self._connections.values()):
            connection.connectionLost(reason)
        self._epoll.close()


class EpollGrouped:
    """Mixed into a connection of Twisted's: its port's ring, if there is one, reads from it while it is open."""

    _ring: EpollGroup | None

    def __init__(self, sock: socket.socket, protocol: Any, client: Any, server: Any, *rest: Any) -> None:
        self._ring = server.ring
        super().__init__(sock, protocol, client, server, *rest)  # type: ignore[call-arg]

    def startReading(self) -> None:
        """See `FileDescriptor`."""
        connection: Any = super()
        if self._ring is None:
            connection.startReading()
        else:
            self._ring.add(self)

    def stopReading(self) -> None:
        """See `FileDescriptor`."""
        connection: Any = super()
        if self._ring is None:
            connection.stopReading()
        else:
            self._ring.discard(self)

    def leave_group(self) -> None:
        """Be read from by the reactor, as connections are."""
        self.stopReading()
        self._ring = None
        self.startReading()


class GroupedServer(EpollGrouped, tcp.Server):
    """Over TCP."""


class GroupedUnixServer(EpollGrouped, unix.Server):
    """Over a unix socket."""


class GroupedPort(tcp.Port):
    """A TCP listener whose connections are in *ring*, if it is given one."""

    ring: EpollGroup | None = None
    transport = GroupedServer  # type: ignore[assignment]  # which is a Server all the same
