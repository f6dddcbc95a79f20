"""Coalesced work whose stages are recorded for every request that waits for it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar
from weakref import WeakValueDictionary

from imgforge.concurrency import Coalescer
from imgforge.observability import WorkRecord

__all__ = ["RecordedCoalescer"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class RecordedCoalescer(Coalescer[K, T]):
    """A `Coalescer` whose work has a record, which all that wait for it share."""

    def __init__(self) -> None:
        super().__init__()
        self._records: WeakValueDictionary[K, WorkRecord] = WeakValueDictionary()  # for as long as somebody has it

    def record(self, key: K) -> WorkRecord:
        """The record of the work under way for *key*; a new one for work that is about to begin."""
        record = self._records.get(key) if key in self else None
        if record is None:
            record = self._records[key] = WorkRecord()
        return record
