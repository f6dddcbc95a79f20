"""Sources that crashed a worker, and suspects, in memory that the supervisor and its workers share.

    work       for each worker, by name: a digest (16 bytes) and a stamp for each busy render thread, else zeros
    changes    a counter of the supervisor's changes to the table
    table      rows of a digest, the time until which the row is valid, the number of the change, and a verdict

A worker writes the sources that it is decoding, 24 bytes an image; the stamp is the last change of the table that it
has seen. When a worker dies, the supervisor reads them. After a crash (a signal such as SIGSEGV, or missed heartbeats)
the source is quarantined if it was the only one: all workers refuse it until the row expires. Several sources become
suspects, and so do those of a worker that was killed from outside, for instance by the OOM killer.

Each worker takes one suspect at a time, so that the next death identifies it: a suspect that is being decoded then is
quarantined. Only work that began after the suspicion counts, since before it several suspects could be decoded at once,
and one cause may kill several workers at the same moment. A suspect that is decoded without a crash is cleared.

Digests are of the source's URL; the text itself stays in the worker.
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

THREADS = 4096  # maximum in a worker; unused pages take no memory
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
    """The digest of *source*, 16 bytes."""
    return blake2b(source.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


def _is_valid(until: float, now: float, seconds: float) -> bool:
    """Whether a row has not expired; a clock that was set back makes rows invalid rather than eternal."""
    return 0 < until - now <= seconds + _ROUNDING


class _Row(NamedTuple):
    """A row of the table; `change` is the number of its last change."""

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
        """The rows in use."""
        for number in range(_ROWS):
            row = _Row(number, *_ROW.unpack_from(self._memory, self._row_at(number)))
            if row.verdict != _FREE:
                yield row

    def close(self) -> None:
        """Release the memory."""
        self._memory.close()
        os.close(self.descriptor)


class Verdict(NamedTuple):
    """The consequences of a worker's death, as hexadecimal digests: sources in quarantine, and new suspects."""

    quarantined: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()


class QuarantineTable(_Memory):
    """The supervisor's side."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.time) -> None:
        super().__init__(slots)
        self._clock = clock

    def died(self, slot: int, seconds: float, *, crashed: bool = True) -> Verdict:
        """Judge the sources that the dead worker of *slot* was decoding; verdicts are valid for *seconds*.

        *crashed*: by a fault of its own. A worker that was killed from outside proves nothing even about one source.
        """
        under_way = self.leave(slot)
        if not seconds:
            return Verdict()
        valid = [row for row in self._rows() if _is_valid(row.until, self._clock(), seconds)]
        suspects = {row.digest: row.change for row in valid if row.verdict == _SUSPECT}
        known = {row.digest for row in valid if row.verdict == _QUARANTINED} & under_way.keys()
        guilty = {digest for digest, seen in under_way.items() if digest in suspects and seen >= suspects[digest]}
        if crashed:
            guilty |= known or (set(under_way) if len(under_way) == 1 else set())
        suspected = set() if guilty else under_way.keys() - suspects.keys() - known
        until = self._clock() + seconds
        for digest in guilty:
            self._enter(digest, until, _QUARANTINED)
        for digest in suspected:
            self._enter(digest, until, _SUSPECT)
        return Verdict(*(tuple(sorted(digest.hex() for digest in digests)) for digests in (guilty, suspected)))

    def leave(self, slot: int) -> dict[bytes, int]:
        """Take the sources that the gone worker of *slot* was decoding, with the last change that it had seen then."""
        start = slot * _WORK
        entries = self._memory[start : start + _WORK]
        under_way: dict[bytes, int] = {}
        if any(entries):
            for digest, seen in _AT_WORK.iter_unpack(entries):
                under_way[digest] = max(seen, under_way.get(digest, 0))
            under_way.pop(bytes(_DIGEST), None)
            self._memory[start : start + _WORK] = bytes(_WORK)
        return under_way

    def quarantined(self, seconds: float) -> dict[str, float]:
        """The sources in quarantine, as hexadecimal digests, and until when (seconds since the epoch)."""
        return {
            row.digest.hex(): row.until
            for row in self._rows()
            if row.verdict == _QUARANTINED and _is_valid(row.until, self._clock(), seconds)
        }

    def restore(self, sources: Mapping[str, float], seconds: float) -> None:
        """Quarantine *sources* of an earlier server again, as its `quarantined` returned them."""
        for digest, until in sources.items():
            if _is_valid(until, self._clock(), seconds):
                self._enter(bytes.fromhex(digest), until, _QUARANTINED)

    def _enter(self, digest: bytes, until: float, verdict: int) -> None:
        rows = {row.number: row for row in self._rows()}
        free = (number for number in range(_ROWS) if number not in rows)
        number = next((row.number for row in rows.values() if row.digest == digest), None)
        if number is None:
            number = next(free, None)
        if number is None:  # the row that expires first
            number = min(rows, key=lambda number: rows[number].until)
        at, change = self._row_at(number), self._changes + 1
        self._memory[at + _VERDICT] = _FREE  # until the rest is there
        _ROW.pack_into(self._memory, at, digest, until, change, _FREE)
        self._memory[at + _VERDICT] = verdict
        _CHANGES.pack_into(self._memory, self._changes_at, change)


class SharedCrashTracker(_Memory):
    """The side of the worker of *slot*; see `imgforge.pipeline.CrashTracker`."""

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
        # The change that was seen, not the latest: it decided whether this work waited as a suspect's.
        _AT_WORK.pack_into(self._memory, at, digest, self._seen)
        try:
            yield
        finally:
            self._memory[at : at + _AT_WORK.size] = bytes(_AT_WORK.size)
            self._free.append(thread)
            self._clear(digest)

    def _clear(self, digest: bytes) -> None:
        row = self._row_of(digest)
        if row is not None and self._memory[self._row_at(row) + _VERDICT] == _SUSPECT:
            self._memory[self._row_at(row) + _VERDICT] = _FREE

    def _verdict(self, source: str) -> int:
        if not self._changes:  # no worker has died yet: no digest is needed
            return _FREE
        digest = digest_of(source)
        row = self._row_of(digest)
        if row is None:
            return _FREE
        known, until, _, verdict = _ROW.unpack_from(self._memory, self._row_at(row))
        return int(verdict) if known == digest and _is_valid(until, self._clock(), self._seconds) else _FREE

    def _row_of(self, digest: bytes) -> int | None:
        """The row for *digest*; the table is read again after a change."""
        changes = self._changes
        if changes != self._seen:
            self._known = {row.digest: row.number for row in self._rows()}
            self._seen = changes
        return self._known.get(digest)
