"""Connections spread evenly over the worker processes.

The workers wait on the same listening sockets, and the kernel wakes all of them: whoever comes first takes what it
finds. Left alone, one process takes a burst of 16 keep-alive connections whole and keeps them, while the other stands
idle. So each process writes down how many connections it has, in memory that all of them share, and one that has more
than another leaves a new connection to that one for a moment. If nobody takes it meanwhile, it does so itself: no
connection waits long for a process that hangs.
"""

from __future__ import annotations

import mmap
import os
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from imgforge.service.net.epoll_group import GroupedPort, GroupedServer, GroupedUnixServer

__all__ = ["Balanced", "BalancedPort", "ConnectionCounts", "CountedUnixServer", "WorkerShare"]

_ABSENT = 0xFFFFFFFF  # the count of a slot that no process has: nothing is left to it
# One that has its share looks away for a moment, and for so many in all, as long as a busy reactor's turn: meanwhile
# others may take a connection.
_MOMENT = 0.001
_MOMENTS = 20
_AT_ONCE = 100  # connections accepted in one turn at most; Twisted's own number


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
        """The process of *slot* is gone."""
        self._counts[slot] = _ABSENT

    def share(self, slot: int) -> WorkerShare:
        """The view of the process that has *slot*."""
        return WorkerShare(self._counts, slot)

    def close(self) -> None:
        """Give the memory back."""
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
        """So many connections more, or less."""
        self._count += change
        if self._accepting:
            self._counts[self._slot] = self._count

    def accepts(self, accepting: bool) -> None:
        """Whether this process takes connections; if not, the others leave none to it."""
        self._accepting = accepting
        self._counts[self._slot] = self._count if accepting else _ABSENT

    @property
    def room(self) -> int:
        """How many connections this process may take until it has more than the others; 0 or less: none.

        Of many connections a sixteenth more does not matter, and lets them be accepted by the dozen.
        """
        fewest = min(count for slot, count in enumerate(self._counts) if slot != self._slot)
        return min(_AT_ONCE, fewest + fewest // 16 + 1 - self._count)


class Balanced:
    """Mixed into a port of Twisted's, whose `transport` must be one of the two below."""

    share: WorkerShare
    _looking_away: IDelayedCall | None = None
    _moments = 0  # for which the others have had time
    _beyond = 0  # connections accepted beyond the share the last time, as nobody else took them

    def startListening(self) -> None:
        """Accept connections."""
        port: Any = super()
        port.startListening()
        self.share.accepts(True)

    def doRead(self) -> None:
        """Accept what is this process' share, and more only after the others had time to take it.

        Each time that nobody took anything twice as many are accepted, so that many do not wait for long.
        """
        room = self.share.room
        if room > 0:
            self._moments = self._beyond = 0
            self._accept(room)
        elif self._moments == _MOMENTS:
            self._moments, self._beyond = 0, max(1, 2 * self._beyond)
            self._accept(self._beyond)
        else:
            self._moments += 1
            port: Any = self
            port.stopReading()
            self._looking_away = port.reactor.callLater(_MOMENT, self._look_again)

    def lost(self) -> None:
        """A connection of this process has ended."""
        self.share.add(-1)
        if self._looking_away is not None and self.share.room > 0:
            self._looking_away.cancel()
            self._look_again()

    def _look_again(self) -> None:
        self._looking_away = None
        port: Any = self
        port.startReading()

    def _accept(self, most: int) -> None:
        port: Any = self
        port.numberAccepts = most
        read: Any = super()
        read.doRead()

    def loseConnection(self, *reason: Any) -> Any:
        """Stop accepting."""
        if self._looking_away is not None:
            self._looking_away.cancel()
            self._looking_away = None
        self.share.accepts(False)
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
        self.server.lost()
        connection: Any = super()
        connection.connectionLost(reason)


class CountedServer(_Counted, GroupedServer):
    """Over TCP."""


class CountedUnixServer(_Counted, GroupedUnixServer):
    """Over a unix socket."""


class BalancedPort(Balanced, GroupedPort):
    """A TCP listener of one worker process among several."""

    transport = CountedServer  # type: ignore[assignment]  # which is a Server all the same
