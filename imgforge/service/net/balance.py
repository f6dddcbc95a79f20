"""Connections spread evenly over the worker processes.

The workers wait on the same listening sockets, and the kernel wakes all of them: whichever comes first takes what it
finds. Left alone, one process takes a burst of 16 keep-alive connections whole and keeps them, while the other stands
idle. So each process writes down how many connections it has, in memory that all of them share, and a process with
more connections than another leaves a new one to that one for a moment. If none takes it meanwhile, it does so itself:
no connection waits long for a process that hangs.
"""

from __future__ import annotations

import mmap
import os
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from imgforge.service.net.epoll_group import GroupedServer, GroupedUnixServer
from imgforge.service.net.inherited_ports import InheritedPort, InheritedUnixPort

__all__ = ["BalancedPort", "BalancedUnixPort", "ConnectionCounts", "WorkerShare"]

_ABSENT = 0xFFFFFFFF  # the count of a slot without a process: no connection is left to it
# A process that has its share pauses for so many seconds, and so often, as long altogether as a busy reactor's turn:
# meanwhile others may take a connection.
_PAUSE = 0.001
_MAX_PAUSES = 20
_MAX_ACCEPTS = 100  # connections accepted in one turn at most; Twisted's own number


class ConnectionCounts:
    """The connections of up to *slots* processes: a file without a name, whose *descriptor* the workers inherit."""

    def __init__(self, slots: int, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = os.memfd_create("imgforge-connections", 0)
            os.write(descriptor, b"\xff" * (4 * slots))
        self.slots = slots
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, 4 * slots)
        self._counts = memoryview(self._memory).cast("I")

    def leave(self, slot: int) -> None:
        """Notes that the process of *slot* is gone."""
        self._counts[slot] = _ABSENT

    def share(self, slot: int) -> WorkerShare:
        """The view of the process that has *slot*."""
        return WorkerShare(self._counts, slot)

    def close(self) -> None:
        """Gives the memory back."""
        self._counts.release()
        self._memory.close()
        os.close(self.descriptor)


class WorkerShare:
    """One process' connections beside those of the others."""

    def __init__(self, counts: memoryview[int], slot: int) -> None:
        self._counts = counts
        self._slot = slot
        self._count = 0
        self._accepting = False

    def add(self, change: int) -> None:
        """Counts *change* connections more, or less."""
        self._count += change
        if self._accepting:
            self._counts[self._slot] = self._count

    def set_accepting(self, accepting: bool) -> None:
        """Notes whether this process accepts connections; if not, the others leave none to it."""
        self._accepting = accepting
        self._counts[self._slot] = self._count if accepting else _ABSENT

    @property
    def allowance(self) -> int:
        """How many connections this process may take until it has more than the others; 0 or less: none.

        Of many connections a sixteenth more does not matter, and lets them be accepted by the dozen.
        """
        fewest = min(count for slot, count in enumerate(self._counts) if slot != self._slot)
        return min(_MAX_ACCEPTS, fewest + fewest // 16 + 1 - self._count)


class _Balanced:
    """Mixed into a port of Twisted's, whose `transport` must be one of the two below."""

    share: WorkerShare
    _pause: IDelayedCall | None = None
    _pauses = 0  # in which the others have had time to accept
    _surplus = 0  # connections accepted beyond the share the last time, as no other process took them

    def startListening(self) -> None:
        """Accepts connections from now on."""
        port: Any = super()
        port.startListening()
        self.share.set_accepting(True)

    def doRead(self) -> None:
        """Accepts what is this process' share, and more only after the others had time to take it.

        Each time that no other process took anything twice as many are accepted, so that many do not wait for long.
        """
        allowance = self.share.allowance
        if allowance > 0:
            self._pauses = self._surplus = 0
            self._accept(allowance)
        elif self._pauses == _MAX_PAUSES:
            self._pauses, self._surplus = 0, max(1, 2 * self._surplus)
            self._accept(self._surplus)
        else:
            self._pauses += 1
            port: Any = self
            port.stopReading()
            self._pause = port.reactor.callLater(_PAUSE, self._resume)

    def connection_closed(self) -> None:
        """Counts a connection of this process that has ended."""
        self.share.add(-1)
        if self._pause is not None and self.share.allowance > 0:
            self._pause.cancel()
            self._resume()

    def _resume(self) -> None:
        self._pause = None
        port: Any = self
        port.startReading()

    def _accept(self, most: int) -> None:
        port: Any = self
        port.numberAccepts = most
        read: Any = super()
        read.doRead()

    def loseConnection(self, *reason: Any) -> Any:
        """Stops accepting."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self.share.set_accepting(False)
        port: Any = super()
        return port.loseConnection(*reason)

    # As IListeningPort calls it.
    stopListening = loseConnection


class _Counted:
    """A connection that counts while it is open."""

    server: Any

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.server.share.add(1)

    def connectionLost(self, reason: Any) -> None:
        self.server.connection_closed()
        connection: Any = super()
        connection.connectionLost(reason)


class _CountedServer(_Counted, GroupedServer):
    """A connection over TCP."""


class _CountedUnixServer(_Counted, GroupedUnixServer):
    """A connection over a unix socket."""


class BalancedPort(_Balanced, InheritedPort):
    """A TCP listener of one worker process among several; its `share` is set before it listens."""

    transport = _CountedServer  # type: ignore[assignment]  # a Server all the same


class BalancedUnixPort(_Balanced, InheritedUnixPort):
    """A listener on a unix socket of one worker process among several; its `share` is set before it listens."""

    transport = _CountedUnixServer  # type: ignore[assignment]  # a Server all the same
