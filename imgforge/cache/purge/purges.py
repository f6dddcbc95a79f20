"""What has been purged, and whether an entry is.

A purge is a moment, a kind and a value; it covers every entry that matches and whose original was asked for by then. To
tell costs a few look-ups in tables, however many purges there are: prefixes are grouped by their length.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from imgforge.cache.keys import URL_BYTES
from imgforge.model import CacheEntry

__all__ = ["Kind", "Purge", "Purges"]

Kind = Literal["url", "source", "prefix", "tag"]

NEVER = -math.inf


@dataclass(frozen=True, slots=True)
class Purge:
    """*value* is a source's URL, the beginning of one, a cache tag, or for `url` the first part of keys in hexadecimal.

    *at* is in seconds since the epoch.
    """

    at: float
    kind: Kind
    value: str


class Purges:
    """Purges by what they cover; the latest of equal ones counts. *clock* is the wall's."""

    def __init__(self, purges: Iterable[Purge] = (), clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._latest = NEVER
        self._exact: dict[tuple[str, str], float] = {}
        self._prefixes: dict[int, dict[str, float]] = {}
        for purge in purges:
            self.add(purge)

    def add(self, purge: Purge) -> None:
        """Let *purge* count as well."""
        self._latest = max(self._latest, purge.at)
        if purge.kind == "prefix":
            table = self._prefixes.setdefault(len(purge.value), {})
            table[purge.value] = max(purge.at, table.get(purge.value, NEVER))
        else:
            exact = purge.kind, purge.value
            self._exact[exact] = max(purge.at, self._exact.get(exact, NEVER))

    def moment(self, key: bytes, source: str, tags: Iterable[str]) -> float:
        """When an entry such as these would make was last purged; minus infinity for never."""
        if self._latest == NEVER:
            return NEVER
        exact = self._exact
        found = [exact.get(("url", key[:URL_BYTES].hex()), NEVER), exact.get(("source", source), NEVER)]
        found += [exact.get(("tag", tag), NEVER) for tag in tags]
        found += [table.get(source[:length], NEVER) for length, table in self._prefixes.items()]
        return max(found)

    def cover(self, key: bytes, entry: CacheEntry) -> bool:
        """Whether *entry* may not be served any more.

        One from the future was made before the clock was put back, and so before the purge, whatever the two say.
        """
        if self._latest == NEVER:
            return False
        asked = entry.asked_at or entry.stored_at
        future = asked > self._clock()
        if asked > self._latest and not future:
            return False
        moment = self.moment(key, entry.source, entry.tags)
        return asked <= moment or (future and moment > NEVER)
