"""Places for work that takes a CPU, shared by all processes of a server: at most so many are taken, whoever has them.

Each process has a row in memory that all of them share: how many light and heavy pieces of work it runs, and when the
first of each that it could run has come. Who has the earliest takes the next place. There is no lock: two processes
may take the last place together, which does no harm. A process that leaves a place to another one rings the bell, an
eventfd on which all that wait have an epoll of their own, so that one ring is heard by each.

Heavy work takes all places but one from light work: beside it there is always a place for something light.
"""

from __future__ import annotations

import math
import mmap
import os
import select
from array import array
from contextlib import suppress
from typing import Any

__all__ = ["Bell", "PlaceTable", "Places"]

_NEVER = math.inf  # nothing waits
_LIGHT, _HEAVY, _FIRST_LIGHT, _FIRST_HEAVY = range(4)
_COLUMNS = 4
_EMPTY_ROW = array("d", (0, 0, _NEVER, _NEVER))
_ROW_BYTES = 8 * _COLUMNS


class PlaceTable:
    """The rows of up to *slots* processes, and their bell: the workers inherit its two *descriptors*."""

    def __init__(self, slots: int, descriptors: tuple[int, int] | None = None) -> None:
        if descriptors is None:
            memory = os.memfd_create("imgforge-places", 0)
            os.write(memory, bytes(_EMPTY_ROW * slots))
            descriptors = memory, os.eventfd(0, os.EFD_NONBLOCK)
        self.descriptors = descriptors
        self._memory = mmap.mmap(descriptors[0], _ROW_BYTES * slots)
        self._rows = memoryview(self._memory).cast("d")

    def leave(self, slot: int) -> None:
        """Note that the process of *slot* is gone: its places are free."""
        start = _COLUMNS * slot
        self._rows[start : start + _COLUMNS] = memoryview(_EMPTY_ROW)
        _ring(self.descriptors[1])

    def places(self, slot: int, number: int) -> Places:
        """The *number* places of all processes, as the process of *slot* sees them."""
        return Places(number, self._rows, slot, self.descriptors[1])

    def close(self) -> None:
        """Give the memory back."""
        self._rows.release()
        self._memory.close()
        for descriptor in self.descriptors:
            os.close(descriptor)


class Places:
    """The *number* places of a server, as the process with *slot* in its table sees them; by default it is alone."""

    def __init__(
        self, number: int, rows: memoryview[Any] | None = None, slot: int = 0, bell: int | None = None
    ) -> None:
        self.number = number
        self.bell = bell
        self._rows: memoryview[Any] = memoryview(array("d", _EMPTY_ROW)) if rows is None else rows
        self._start = _COLUMNS * slot
        self._rows[self._start : self._start + _COLUMNS] = memoryview(_EMPTY_ROW)

    def take(self, *, heavy: bool) -> None:
        """Take a place, free or not."""
        self._rows[self._start + heavy] += 1

    def give_back(self, *, heavy: bool) -> None:
        """Give a place back."""
        self._rows[self._start + heavy] -= 1

    def become_heavy(self) -> None:
        """Note that work that was thought light is heavy."""
        self.give_back(heavy=False)
        self.take(heavy=True)

    def announce(self, first_light: float | None, first_heavy: float | None) -> None:
        """Tell the others when the first came that this process could run at once; None: there is none."""
        self._rows[self._start + _FIRST_LIGHT] = _NEVER if first_light is None else first_light
        self._rows[self._start + _FIRST_HEAVY] = _NEVER if first_heavy is None else first_heavy

    def free(self, *, heavy: bool) -> bool:
        """Whether there is a place for work that is *heavy* or light."""
        light_ones, heavy_ones = sum(self._rows[_LIGHT::_COLUMNS]), sum(self._rows[_HEAVY::_COLUMNS])
        taken: float = light_ones + (heavy_ones if heavy else min(heavy_ones, self.number - 1))
        return taken < self.number

    def is_first(self, came: float) -> bool:
        """Whether nothing that came before *came* could take the place in another process."""
        return came <= self._first_of_others()

    def offer(self) -> None:
        """Wake the others if one of them could take a place that is free."""
        if self.bell is not None and self._first_of_others() < _NEVER:
            _ring(self.bell)

    def others(self) -> bytes:
        """What the rows of the others are now."""
        rows = self._rows.tobytes()
        return rows[: 8 * self._start] + rows[8 * self._start + _ROW_BYTES :]

    def _first_of_others(self) -> float:
        """When the first came that another process could run at once."""
        if len(self._rows) == _COLUMNS or not self.free(heavy=False):
            return _NEVER
        columns = (_FIRST_LIGHT, _FIRST_HEAVY) if self.free(heavy=True) else (_FIRST_LIGHT,)
        own = self._start // _COLUMNS
        firsts = (self._rows[column::_COLUMNS].tolist() for column in columns)
        return min(came for first in firsts for slot, came in enumerate(first) if slot != own)


class Bell:
    """Hears each ring of the eventfd *bell* once, whoever else hears it: `fileno` is readable then, until `heard`."""

    def __init__(self, bell: int) -> None:
        self._epoll = select.epoll()
        self._epoll.register(bell, select.EPOLLIN | select.EPOLLET)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._epoll.fileno()

    def heard(self) -> None:
        """Be ready for the next ring."""
        self._epoll.poll(0)

    def close(self) -> None:
        """Give the descriptor back."""
        self._epoll.close()


def _ring(bell: int) -> None:
    with suppress(BlockingIOError):  # after 2**64 rings
        os.eventfd_write(bell, 1)
