"""Entries that wait to be written to a slow tier: bounded in bytes, a few written at once, readable meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from imgforge.model import CacheEntry

__all__ = ["WriteBehind"]

# Bytes that may wait to be written, and how many entries are written at once.
_BACKLOG = 64 << 20
_AT_ONCE = 4
# Seconds that a write may take, and bytes a second that it takes beyond them.
_WRITE_WITHIN = 5.0
_SLOWEST = 1 << 20
# Seconds that the writes may take when the server stops.
_DRAIN = 3.0
# Bytes of an entry beside its body.
_OVERHEAD = 1000


class _Waiting:
    """An entry that waits, or is being written."""

    def __init__(self, entry: CacheEntry) -> None:
        self.entry = entry
        self.size = len(entry.rendition.body) + _OVERHEAD
        self.writing = False
        self.done: Deferred[None] = Deferred()


class WriteBehind:
    """Writes by *write*, which gets key, entry and the seconds that it may take, and never fails.

    *dropped* is called for each entry that is not written because the server stops.
    """

    def __init__(
        self,
        clock: IReactorTime,
        write: Callable[[bytes, CacheEntry, float], Deferred[Any]],
        dropped: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._write = write
        self._dropped = dropped
        # In the order in which they came; those of one key are written one after the other.
        self._queue: dict[bytes, _Waiting] = {}
        self._writing: dict[bytes, _Waiting] = {}
        self._bytes = 0
        self._beginning = False
        self._idle: Deferred[None] | None = None

    def get(self, key: bytes) -> CacheEntry | None:
        """The entry that waits under *key*, or is being written."""
        waiting = self._queue.get(key) or self._writing.get(key)
        return None if waiting is None else waiting.entry

    def waiting(self) -> list[tuple[bytes, CacheEntry]]:
        """The entries that wait, with their keys."""
        return [(key, one.entry) for key, one in self._queue.items()]

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[None] | None:
        """Have *entry* written; fires when it was, or will not be. None where too much waits already."""
        waiting = _Waiting(entry)
        self.withdraw(key)
        if self._bytes and self._bytes + waiting.size > _BACKLOG:
            return None
        self._bytes += waiting.size
        self._queue[key] = waiting
        self._next()
        return waiting.done

    def withdraw(self, key: bytes) -> Deferred[None]:
        """Do not write the entry that waits under *key*; fires when none under it is being written."""
        waiting = self._queue.pop(key, None)
        if waiting is not None:
            self._ended(waiting)
        writing = self._writing.get(key)
        if writing is None:
            return succeed(None)
        ended: Deferred[None] = Deferred()

        def written(_: None) -> None:
            ended.callback(None)

        writing.done.addCallback(written)
        return ended

    async def close(self) -> None:
        """Wait for the writes, at most some seconds; what is left is dropped."""
        if self._queue or self._writing:
            self._idle = Deferred()
            await self._idle.addTimeout(_DRAIN, self._clock, lambda _outcome, _seconds: None)
        while self._queue:
            _, waiting = self._queue.popitem()
            self._dropped()
            self._ended(waiting)

    def _next(self) -> None:
        """Begin as many writes as may be. One that ends at once calls this again: the loop goes on, no deeper."""
        if self._beginning:
            return
        self._beginning = True
        try:
            while len(self._writing) < _AT_ONCE:
                key = next((key for key in self._queue if key not in self._writing), None)
                if key is None:
                    return
                self._begin(key, self._queue.pop(key))
        finally:
            self._beginning = False

    def _begin(self, key: bytes, waiting: _Waiting) -> None:
        self._writing[key] = waiting

        def ended(_: object) -> None:
            del self._writing[key]
            self._ended(waiting)
            self._next()
            if self._idle is not None and not self._queue and not self._writing and not self._idle.called:
                self._idle.callback(None)

        self._write(key, waiting.entry, _WRITE_WITHIN + waiting.size / _SLOWEST).addBoth(ended)

    def _ended(self, waiting: _Waiting) -> None:
        self._bytes -= waiting.size
        waiting.done.callback(None)
