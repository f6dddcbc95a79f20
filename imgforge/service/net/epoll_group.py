"""One wait for all connections, so that hits are received, answered and sent without a turn of the reactor.

    the group's epoll ─┬─ connections ─┬─ a hit: received, answered and sent here; then the next wait
                       │               ├─ else: the protocol's `take`, as usual, and the reactor's turn
                       │               └─ the end: back to the reactor, which sees it
                       └─ the reactor's epoll: the reactor's turn

For each turn a reactor looks at its timers, and for each descriptor that is ready it enters a logging context, asks for
a prefix and looks at flags: together that takes longer than finding an answer in the fast lane. The clients'
connections are thus watched by an epoll of their own, and the reactor's epoll, which is a descriptor too, by that one.
A group does not change how a connection writes or ends.

The group is optional (IMGFORGE_EPOLL_GROUP): without it the reactor reads from each connection, and answers are the
same.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet import abstract, tcp, unix
from twisted.internet.main import CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure

import twisted
from imgforge.interfaces import IServerReactor
from imgforge.twisted_compat import EPOLL_GROUP, epoll_descriptor, missing_names

__all__ = ["EpollGroup", "GroupedServer", "GroupedUnixServer", "epoll_group_usable"]

_MAX_EVENTS = 256  # connections that are answered before the reactor has its turn again

log = Logger()


def epoll_group_usable(reactor: IServerReactor) -> bool:
    """Whether *reactor* waits on an epoll, and this Twisted has all names that the group relies on; logs what lacks."""
    missing = missing_names(EPOLL_GROUP)
    if missing:
        log.warn(
            "the epoll group is off because Twisted {version} lacks {names}: images are served as before, cached ones "
            "more slowly; install a version of Twisted that imgforge supports",
            version=twisted.__version__,
            names=", ".join(missing),
        )
        return False
    if epoll_descriptor(reactor) < 0:
        log.info(
            "the epoll group is off because {reactor} waits otherwise: images are served as before, cached ones more "
            "slowly; start twistd with --reactor=epoll",
            reactor=type(reactor).__name__,
        )
        return False
    return True


class _GroupProtocol(Protocol):
    """What the group needs of a connection's protocol; the site's `Channel` has it."""

    def answer_at_once(self, data: bytes) -> tuple[bytes, bytes, bytes] | None:
        """The pieces of the response to *data*, or None where that takes more than a look."""

    def take(self, data: bytes) -> None:
        """Handles *data* that `answer_at_once` has no answer to."""


class EpollGroup:
    """The connections of a process that are read from. While it has some, the reactor waits through it."""

    log = Logger()

    def __init__(self, reactor: IServerReactor) -> None:
        self._epoll = select.epoll()
        # By descriptor, with the protocol's `answer_at_once`.
        self._connections: dict[int, tuple[Any, Callable[[bytes], tuple[bytes, bytes, bytes] | None]]] = {}
        self._most = abstract.FileDescriptor.bufferSize
        # The reactor's own wait, and the descriptor that is ready when that has something to do.
        self._iterate: Callable[[float | None], None] = reactor.doIteration  # type: ignore[attr-defined]
        self._epoll.register(epoll_descriptor(reactor), select.EPOLLIN)
        reactor.doIteration = self.iterate  # type: ignore[attr-defined]
        reactor.addSystemEventTrigger("during", "shutdown", self._end)

    @classmethod
    def of(cls, reactor: IServerReactor) -> EpollGroup:
        """The group of *reactor*, made if there is none."""
        waiting = getattr(reactor.doIteration, "__self__", None)  # type: ignore[attr-defined]
        return waiting if isinstance(waiting, cls) else cls(reactor)

    def add(self, connection: Any) -> None:
        """Reads from *connection* from now on."""
        descriptor = connection.fileno()
        if descriptor not in self._connections:
            self._epoll.register(descriptor, select.EPOLLIN)
            protocol: _GroupProtocol = connection.protocol
            self._connections[descriptor] = connection, protocol.answer_at_once

    def discard(self, connection: Any) -> None:
        """Stops reading from *connection*."""
        descriptor = connection.fileno()
        if self._connections.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def iterate(self, delay: float | None) -> None:
        """Takes the place of the reactor's `doIteration`: waits for *delay* seconds at most, without an end if None.

        Returns when the reactor has something to do, or may have: hits alone change nothing for it.
        """
        if not self._connections:
            self._iterate(delay)
            return
        poll, clock = self._epoll.poll, time.monotonic
        end = None if delay is None else clock() + delay
        while self._answer(poll(delay, _MAX_EVENTS)):
            if end is not None:
                delay = end - clock()
                if delay <= 0:
                    return
        self._iterate(0)

    def _answer(self, ready: list[tuple[int, int]]) -> bool:
        """Serves the connections that are *ready*. True if each was a hit that is sent: the reactor has nothing to do.

        The code for a hit is all here: a call for it would take longer.
        """
        connections, most, read, write = self._connections, self._most, os.read, os.writev
        hits = 0
        for descriptor, _ in ready:
            if descriptor not in connections:  # the reactor's own, or one before it in the list has closed it
                continue
            connection, answer_at_once = connections[descriptor]
            try:
                received = read(descriptor, most)
            except BlockingIOError:
                continue
            except OSError:
                received = b""
            try:
                answer = answer_at_once(received)
            except Exception:
                self._close(connection)
                continue
            if answer is None:
                self._take(connection, received)
                continue
            sent = 0
            if not connection.writing:
                # To the socket directly where nothing waits before it: through the reactor it takes a third longer.
                try:
                    sent = write(descriptor, answer)
                except OSError:  # full, or gone: the transport finds out which
                    sent = 0
                head, end, body = answer
                if sent == len(head) + len(end) + len(body):
                    hits += 1
                    continue
            self._write(connection, b"".join(answer)[sent:])
        return 0 < hits == len(ready)

    def _take(self, connection: Any, received: bytes) -> None:
        """Has the protocol handle what it has *received*; b"" is the end of *connection*."""
        try:
            if received:
                connection.protocol.take(received)
            else:  # the reactor knows which kind of end it is, and what to do about it
                connection.leave_group()
        except Exception:
            self._close(connection)

    def _write(self, connection: Any, rest: bytes) -> None:
        """Sends the *rest* of an answer when the socket takes it."""
        try:
            connection.write(rest)
        except Exception:
            self._close(connection)

    def _close(self, connection: Any) -> None:
        """Does what a reactor does with the connection of a protocol that raises; called while it is handled."""
        self.log.failure("a client's connection was closed after an error")
        connection.connectionLost(Failure())

    def _end(self) -> None:
        """The reactor ends, and all connections with it."""
        for connection, _ in list(self._connections.values()):
            connection.connectionLost(Failure(CONNECTION_LOST))


class _EpollGrouped:
    """Mixed into a connection of Twisted's: its port's group, if there is one, reads from it while it is open.

    `writing` is true while bytes wait to be sent, or the connection waits to be closed.
    """

    writing: bool
    _group: EpollGroup | None

    def __init__(self, sock: socket.socket, protocol: Any, client: Any, server: Any, *rest: Any) -> None:
        self._group = server.group
        self.writing = False
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

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """See `ITransport`; to the socket at once where nothing waits before it: the reactor would ask for an event."""
        connection: Any = self
        parts = list(iovec)
        if connection.connected and not self.writing:
            try:
                sent = connection.socket.sendmsg(parts)
            except OSError:  # full, or gone: the transport finds out which
                sent = 0
            if sent == sum(map(len, parts)):
                return
            parts = [b"".join(parts)[sent:]]
        connection = super()
        connection.writeSequence(parts)

    def leave_group(self) -> None:
        """Has the reactor read from the connection from now on."""
        self.stopReading()
        self._group = None
        self.startReading()


class GroupedServer(_EpollGrouped, tcp.Server):
    """A connection over TCP."""


class GroupedUnixServer(_EpollGrouped, unix.Server):
    """A connection over a unix socket."""
