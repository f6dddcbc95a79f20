"""One descriptor for many connections, so that requests that arrive together are answered together.

    reactor ── wakes for ──> the group's epoll ── lists ──> connections ─┬─ a hit: received, answered and sent here
                                                                         ├─ else: the protocol's `take`, as usual
                                                                         └─ the end: back to the reactor, which sees it

For each descriptor that is ready a reactor enters a logging context, asks for a prefix and looks at flags, which takes
about as long as finding an answer in the fast lane. The connections of a listener are thus watched by an epoll of their
own, which is a descriptor too: the reactor watches that one. A group does not change how a connection writes or ends.

The group is optional (IMGFORGE_EPOLL_GROUP): without it the reactor reads from each connection, and answers are the
same.
"""

from __future__ import annotations

import select
import socket
from typing import Any, Protocol

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

import twisted
from imgforge.twisted_compat import EPOLL_GROUP, missing_names

__all__ = ["EpollGroup", "GroupedServer", "GroupedUnixServer", "epoll_group_usable"]

_MAX_EVENTS = 256  # connections that are answered before the reactor has its turn again

log = Logger()


def epoll_group_usable() -> bool:
    """Whether this Twisted has all names that the group relies on; logs a line where it lacks some."""
    missing = missing_names(EPOLL_GROUP)
    if missing:
        log.warn(
            "the epoll group is off because Twisted {version} lacks {names}: images are served as before, cached ones "
            "more slowly; install a version of Twisted that imgforge supports",
            version=twisted.__version__,
            names=", ".join(missing),
        )
    return not missing


class _GroupProtocol(Protocol):
    """What the group needs of a connection's protocol; the site's `Channel` has it."""

    def answer_at_once(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The head and body that answer *data*, or None where that takes more than a look."""

    def take(self, data: bytes) -> None:
        """Handles *data* that `answer_at_once` has no answer to."""


@implementer(IReadDescriptor)
class EpollGroup:
    """The connections of one listener that are read from."""

    log = Logger()

    def __init__(self, reactor: IReactorFDSet) -> None:
        self._reactor = reactor
        self._epoll = select.epoll()
        self._connections: dict[int, Any] = {}

    def add(self, connection: Any) -> None:
        """Reads from *connection* from now on."""
        descriptor = connection.fileno()
        if descriptor in self._connections:
            return
        if not self._connections:
            self._reactor.addReader(self)
        self._epoll.register(descriptor, select.EPOLLIN)
        self._connections[descriptor] = connection

    def discard(self, connection: Any) -> None:
        """Stops reading from *connection*."""
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
        """Serves the connections on which something has arrived."""
        connections = self._connections
        for descriptor, _ in self._epoll.poll(0, _MAX_EVENTS):
            connection = connections.get(descriptor)
            if connection is None:  # one before it in the list has closed it
                continue
            try:
                self._serve(connection)
            except Exception:
                # What a reactor does with the connection of a protocol that raises.
                self.log.failure("a client's connection was closed after an error")
                connection.connectionLost(Failure())

    def _serve(self, connection: Any) -> None:
        try:
            received = connection.socket.recv(connection.bufferSize)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            # The reactor knows which kind of end it is, and what to do about it.
            connection.leave_group()
            return
        protocol: _GroupProtocol = connection.protocol
        answer = protocol.answer_at_once(received)
        if answer is None:
            protocol.take(received)
            return
        if not connection.writing:
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


class _EpollGrouped:
    """Mixed into a connection of Twisted's: its port's group, if there is one, reads from it while it is open.

    `writing` is true while bytes wait to be sent, or the connection waits to be closed.
    """

    writing = False
    _group: EpollGroup | None

    def __init__(self, sock: socket.socket, protocol: Any, client: Any, server: Any, *rest: Any) -> None:
        self._group = server.group
        super().__init__(sock, protocol, client, server, *rest)  # type: ignore[call-arg]

    def startReading(self) -> None:
        """See `FileDescriptor`."""
        connection: Any = super()
        if self._group is None:
            connection.startReading()
        else:
            self._group.add(self)

    def stopReading(self) -> None:
        """See `FileDescriptor`."""
        connection: Any = super()
        if self._group is None:
            connection.stopReading()
        else:
            self._group.discard(self)

    def startWriting(self) -> None:
        """See `FileDescriptor`, which calls it when something has to be sent."""
        self.writing = True
        connection: Any = super()
        connection.startWriting()

    def stopWriting(self) -> None:
        """See `FileDescriptor`, which calls it when everything is sent."""
        self.writing = False
        connection: Any = super()
        connection.stopWriting()

    def leave_group(self) -> None:
        """Has the reactor read from the connection from now on."""
        self.stopReading()
        self._group = None
        self.startReading()


class GroupedServer(_EpollGrouped, tcp.Server):
    """A connection over TCP."""


class GroupedUnixServer(_EpollGrouped, unix.Server):
    """A connection over a unix socket."""
