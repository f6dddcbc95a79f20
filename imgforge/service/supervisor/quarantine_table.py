"""Which source a worker died of, and that no worker reads it for a while.

One piece of memory that the parent and its workers share:

    work       for each worker's name, a digest (16 bytes) and a stamp for each thread that is at work, else zeros
    changes    a number that grows with each of the parent's changes to the table
    table      rows of a digest, the time until which the row counts, the number of the change, and a verdict

Workers write what they are at, 24 bytes an image: the stamp is the change of the table that they have seen. When one
dies the parent reads what it was at. After a crash (SIGSEGV and its like, or no heartbeat) the source is quarantined if
it was the only one: refused by all workers until its time is up. Several become suspects, and so do those of a
worker that was killed from outside, by the OOM killer perhaps, of which they may be innocent.

Each worker takes one suspect at a time, so that the next death tells which it was: a suspect at work then is
quarantined. Only work counts that was begun after the suspicion, for before it nothing kept suspects apart, and what
kills one worker kills others at about the same moment. Suspects whose work ends are acquitted: hence one that was
merely there is served again at once.

Digests are of the source's URL, in 16 bytes; the text itself stays in the worker.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import NamedTuple

__all__ = ["THREADS", "QuarantineTable", "SharedCrashTracker", "Verdict"]

THREADS = 4096  # of a worker, at the most; only what is used of the memory exists
_ROWS = 256
_DIGEST = 16
_AT_WORK = struct.Struct("=16sQ")  # digest, change seen
_WORK = THREADS * _AT_WORK.size
_CHANGES = struct.Struct("=Q")
_ROW = struct.Struct("=16sdQB7x")  # digest, seconds since the epoch, change, verdict
_VERDICT = _DIGEST + 16
_ROUNDING = 1.0
_FREE, _SUSPECT, _QUARANTINED = range(3)


def digest_of(source: str) -> bytes:
    """What stands for *source*."""
    return blake2b(source.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


def _counts(until: float, now: float, seconds: float) -> bool:
    """Whether a row's time is not up; of a clock that has been put back nothing is believed."""
    return 0 < until - now <= seconds + _ROUNDING


class _Row(NamedTuple):
    """A row of the table; `change` made it what it is."""

    number: int
    digest: bytes
    until: float
    change: int
    verdict: int


class _Memory:
    """The memory for *slots* workers: a file without a name, whose *descriptor* the workers inherit."""

    def __init__(self, slots: int, descriptor: int | None = None) -> None:
        self._changes_at = slots * _WORK
        self._table_at = self._changes_at + _CHANGES.size
        size = self._table_at + _ROWS * _ROW.size
        if descriptor is None:
            descriptor = os.memfd_create("imgforge-quarantine", 0)
            os.truncate(descriptor, size)
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, size)

    @property
    def _changes(self) -> int:
        changes: int = _CHANGES.unpack_from(self._memory, self._changes_at)[0]
        return changes

    def _row_at(self, row: int) -> int:
        return self._table_at + row * _ROW.size

    def _rows(self) -> Iterator[_Row]:
        """The rows that say something."""
        for number in range(_ROWS):
            row = _Row(number, *_ROW.unpack_from(self._memory, self._row_at(number)))
            if row.verdict != _FREE:
                yield row

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.descriptor)


class Verdict(NamedTuple):
    """What comes of a death, as digests in hexadecimal: the sources that are refused, and the new suspects."""

    quarantined: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()


class QuarantineTable(_Memory):
    """The parent's side."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.time) -> None:
        super().__init__(slots)
        self._clock = clock

    def died(self, slot: int, seconds: float, *, crashed: bool = True) -> Verdict:
        """The worker of *slot* is dead: what comes of the sources that it was at, for *seconds* from now on.

        *crashed*: by its own doing. Else it was killed from outside, which is no proof against a single source either.
        """
        at_work = self.leave(slot)
        if not seconds:
            return Verdict()
        counting = [row for row in self._rows() if _counts(row.until, self._clock(), seconds)]
        suspects = {row.digest: row.change for row in counting if row.verdict == _SUSPECT}
        known = {row.digest for row in counting if row.verdict == _QUARANTINED} & at_work.keys()
        guilty = {digest for digest, seen in at_work.items() if digest in suspects and seen >= suspects[digest]}
        if crashed:
            guilty |= known or (set(at_work) if len(at_work) == 1 else set())
        suspected = set() if guilty else at_work.keys() - suspects.keys() - known
        until = self._clock() + seconds
        for digest in guilty:
            self._enter(digest, until, _QUARANTINED)
        for digest in suspected:
            self._enter(digest, until, _SUSPECT)
        return Verdict(*(tuple(sorted(digest.hex() for digest in digests)) for digests in (guilty, suspected)))

    def leave(self, slot: int) -> dict[bytes, int]:
        """The worker of *slot* is gone: what it was at, and the change that it had seen when it last began that."""
        start = slot * _WORK
        notes = self._memory[start : start + _WORK]
        at_work: dict[bytes, int] = {}
        if any(notes):
            for digest, seen in _AT_WORK.iter_unpack(notes):
                at_work[digest] = max(seen, at_work.get(digest, 0))
            at_work.pop(bytes(_DIGEST), None)
            self._memory[start : start + _WORK] = bytes(_WORK)
        return at_work

    def quarantined(self, seconds: float) -> dict[str, float]:
        """The sources that are refused, as digests in hexadecimal, and until when."""
        return {
            row.digest.hex(): row.until
            for row in self._rows()
            if row.verdict == _QUARANTINED and _counts(row.until, self._clock(), seconds)
        }

    def restore(self, sources: Mapping[str, float], seconds: float) -> None:
        """Refuse again what an earlier server had to refuse; what `quarantined` returned then."""
        for digest, until in sources.items():
            if _counts(until, self._clock(), seconds):
                self._enter(bytes.fromhex(digest), until, _QUARANTINED)

    def _enter(self, digest: bytes, until: float, verdict: int) -> None:
        rows = {row.number: row for row in self._rows()}
        free = (number for number in range(_ROWS) if number not in rows)
        number = next((row.number for row in rows.values() if row.digest == digest), None)
        if number is None:
            number = next(free, None)
        if number is None:  # the one whose time is up first
            number = min(rows, key=lambda number: rows[number].until)
        at, change = self._row_at(number), self._changes + 1
        self._memory[at + _VERDICT] = _FREE  # until the rest is there
        _ROW.pack_into(self._memory, at, digest, until, change, _FREE)
        self._memory[at + _VERDICT] = verdict
        _CHANGES.pack_into(self._memory, self._changes_at, change)


class SharedCrashTracker(_Memory):
    """The side of the worker that has *slot*; see `imgforge.pipeline.CrashTracker`."""

    def __init__(
        self, slots: int, slot: int, descriptor: int, seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(slots, descriptor)
        self._slot = slot
        self._seconds = seconds
        self._clock = clock
        self._free = list(range(THREADS - 1, -1, -1))
        self._seen = 0
        self._known: dict[bytes, int] = {}  # rows

    def is_quarantined(self, source: str) -> bool:
        """See `CrashTracker`."""
        return self._verdict(source) == _QUARANTINED

    def is_suspect(self, source: str) -> bool:
        """See `CrashTracker`."""
        return self._verdict(source) == _SUSPECT

    @contextmanager
    def working(self, source: str) -> Iterator[None]:
        """See `CrashTracker`."""
        digest = digest_of(source)
        thread = self._free.pop()
        at = self._slot * _WORK + thread * _AT_WORK.size
        # Not the change of now: it is the one that was seen which has decided how this work was begun.
        _AT_WORK.pack_into(self._memory, at, digest, self._seen)
        try:
            yield
        finally:
            self._memory[at : at + _AT_WORK.size] = bytes(_AT_WORK.size)
            self._free.append(thread)
            self._acquit(digest)

    def _acquit(self, digest: bytes) -> None:
        row = self._row_of(digest)
        if row is not None and self._memory[self._row_at(row) + _VERDICT] == _SUSPECT:
            self._memory[self._row_at(row) + _VERDICT] = _FREE

    def _verdict(self, source: str) -> int:
        if not self._changes:  # nobody died yet: no digest is needed
            return _FREE
        digest = digest_of(source)
        row = self._row_of(digest)
        if row is None:
            return _FREE
        known, until, _, verdict = _ROW.unpack_from(self._memory, self._row_at(row))
        return int(verdict) if known == digest and _counts(until, self._clock(), self._seconds) else _FREE

    def _row_of(self, digest: bytes) -> int | None:
        """The row for *digest*; the table is read when the parent has changed it."""
        changes = self._changes
        if changes != self._seen:
            self._known = {row.digest: row.number for row in self._rows()}
            self._seen = changes
        return self._known.get(digest)
