"""Which entries a set of purges covers.

A purge covers every entry that matches and whose origin was asked by its time. The check costs a few look-ups in
tables, however many purges there are: prefixes are grouped by their length.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from imgforge.cache.keys import URL_BYTES
from imgforge.model import CacheEntry, Purge

__all__ = ["Purges"]

_NONE = -math.inf


class Purges:
    """Purges by what they cover; the latest of equal ones counts. *clock* gives seconds since the epoch."""

    def __init__(self, purges: Iterable[Purge] = (), clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._latest = _NONE
        self._exact: dict[tuple[str, str], float] = {}
        self._prefixes: dict[int, dict[str, float]] = {}
        for purge in purges:
            self.add(purge)

    def add(self, purge: Purge) -> None:
        """Add *purge* to the set."""
        self._latest = max(self._latest, purge.at)
        if purge.kind == "prefix":
            table = self._prefixes.setdefault(len(purge.value), {})
            table[purge.value] = max(purge.at, table.get(purge.value, _NONE))
        else:
            exact = purge.kind, purge.value
            self._exact[exact] = max(purge.at, self._exact.get(exact, _NONE))

    def last_purge(self, key: bytes, source: str, tags: Iterable[str]) -> float:
        """The time of the last purge of entries with this key, source and tags; minus infinity for none."""
        if self._latest == _NONE:
            return _NONE
        exact = self._exact
        times = [exact.get(("url", key[:URL_BYTES].hex()), _NONE), exact.get(("source", source), _NONE)]
        times += [exact.get(("tag", tag), _NONE) for tag in tags]
        times += [table.get(source[:length], _NONE) for length, table in list(self._prefixes.items())]
        return max(times)

    def covers(self, key: bytes, entry: CacheEntry) -> bool:
        """Whether *entry* was purged.

        An entry from the future was made before the clock was put back, and so before a purge, whatever the times say.
        """
        if self._latest == _NONE:
            return False
        asked = entry.asked_at or entry.stored_at
        future = asked > self._clock()
        if asked > self._latest and not future:
            return False
        purged = self.last_purge(key, entry.source, entry.tags)
        return asked <= purged or (future and purged > _NONE)
