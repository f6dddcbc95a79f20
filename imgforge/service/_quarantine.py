"""Which source a worker died of, and that no worker reads it for a while.

One piece of memory that the parent and its workers share:

    work       for each worker's name, a digest (16 bytes) for each thread that is at work, else zeros
    changes    a number that grows with each of the parent's changes to the table
    table      rows of a digest, the time until which the row counts, and a verdict

Workers write what they are at, 16 bytes an image. When one dies the parent reads what it was at. If that was one
source, or one of several had been suspected before, it is quarantined: refused by all workers until its time is up.
Otherwise all of them are suspects, and from then on each worker takes one suspect at a time, so that the next death
tells which it was; suspects whose work ends are acquitted. Hence a source that kills does so twice at the most, and one
that was merely there is served again at once.

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

__all__ = ["THREADS", "Ward", "WardWitness"]

THREADS = 4096  # of a worker, at the most; only what is used of the memory exists
_ROWS = 256
_DIGEST = 16
_NOBODY = bytes(_DIGEST)
_WORK = THREADS * _DIGEST
_CHANGES = struct.Struct("=Q")
_ROW = struct.Struct("=16sdB7x")  # digest, seconds since the epoch, verdict
_VERDICT = _DIGEST + 8
_ROUNDING = 1.0
_FREE, _SUSPECT, _QUARANTINED = range(3)


def digest_of(source: str) -> bytes:
    """What stands for *source*."""
    return blake2b(source.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


def _counts(until: float, now: float, seconds: float) -> bool:
    """Whether a row's time is not up; of a clock that has been put back nothing is believed."""
    return 0 < until - now <= seconds + _ROUNDING


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

    def _rows(self) -> Iterator[tuple[int, bytes, float, int]]:
        """The rows that say something: number, digest, time, verdict."""
        for row in range(_ROWS):
            digest, until, verdict = _ROW.unpack_from(self._memory, self._row_at(row))
            if verdict != _FREE:
                yield row, digest, until, verdict

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.descriptor)


class Ward(_Memory):
    """The parent's side."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.time) -> None:
        super().__init__(slots)
        self._clock = clock

    def died(self, slot: int, seconds: float) -> list[str]:
        """The worker of *slot* was killed: the sources, as digests, that are refused for *seconds* from now on."""
        at_work = self.leave(slot)
        suspects = {digest for _, digest, until, verdict in self._rows() if _counts(until, self._clock(), seconds)}
        guilty = at_work & suspects or (at_work if len(at_work) == 1 else set())
        if not seconds:
            return []
        until = self._clock() + seconds
        for digest in guilty or at_work:
            self._enter(digest, until, _QUARANTINED if guilty else _SUSPECT)
        return sorted(digest.hex() for digest in guilty)

    def leave(self, slot: int) -> set[bytes]:
        """The worker of *slot* is gone: what it was at."""
        start = slot * _WORK
        notes = self._memory[start : start + _WORK]
        at_work = {notes[at : at + _DIGEST] for at in range(0, _WORK, _DIGEST)} - {_NOBODY}
        if at_work:
            self._memory[start : start + _WORK] = bytes(_WORK)
        return at_work

    def quarantined(self, seconds: float) -> dict[str, float]:
        """The sources that are refused, as digests in hexadecimal, and until when."""
        return {
            digest.hex(): until
            for _, digest, until, verdict in self._rows()
            if verdict == _QUARANTINED and _counts(until, self._clock(), seconds)
        }

    def restore(self, sources: Mapping[str, float], seconds: float) -> None:
        """Refuse again what an earlier server had to refuse; what `quarantined` returned then."""
        for digest, until in sources.items():
            if _counts(until, self._clock(), seconds):
                self._enter(bytes.fromhex(digest), until, _QUARANTINED)

    def _enter(self, digest: bytes, until: float, verdict: int) -> None:
        rows = {row: (known, until) for row, known, until, _ in self._rows()}
        free = (row for row in range(_ROWS) if row not in rows)
        same = (row for row, (known, _) in rows.items() if known == digest)
        row = next(same, None)
        if row is None:
            row = next(free, None)
        if row is None:  # the one whose time is up first
            row = min(rows, key=lambda row: rows[row][1])
        at = self._row_at(row)
        self._memory[at + _VERDICT] = _FREE  # until the rest is there
        _ROW.pack_into(self._memory, at, digest, until, _FREE)
        self._memory[at + _VERDICT] = verdict
        _CHANGES.pack_into(self._memory, self._changes_at, self._changes + 1)


class WardWitness(_Memory):
    """The side of the worker that has *slot*; see `imgforge.pipeline.Witness`."""

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
        """See `Witness`."""
        return self._verdict(source) == _QUARANTINED

    def is_suspect(self, source: str) -> bool:
        """See `Witness`."""
        return self._verdict(source) == _SUSPECT

    @contextmanager
    def working(self, source: str) -> Iterator[None]:
        """See `Witness`."""
        digest = digest_of(source)
        thread = self._free.pop()
        at = self._slot * _WORK + thread * _DIGEST
        self._memory[at : at + _DIGEST] = digest
        try:
            yield
        finally:
            self._memory[at : at + _DIGEST] = _NOBODY
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
        known, until, verdict = _ROW.unpack_from(self._memory, self._row_at(row))
        return int(verdict) if known == digest and _counts(until, self._clock(), self._seconds) else _FREE

    def _row_of(self, digest: bytes) -> int | None:
        """The row for *digest*; the table is read when the parent has changed it."""
        changes = self._changes
        if changes != self._seen:
            self._known = {known: row for row, known, _, _ in self._rows()}
            self._seen = changes
        return self._known.get(digest)
