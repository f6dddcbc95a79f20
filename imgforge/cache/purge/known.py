"""The purges that a process knows, of all its tiers and of the journal, and when it may forget them.

    purge of this process ──┐
    learn of each tier ─────┼──> known purges ──> covers, last_purge: asked with each look-up
    learn of the journal ───┘         └─────────> observers: the memory tier drops what was purged

A purge is kept until no tier has an entry left that it covers, and no request under way can make another one. The
latest ten thousand are kept as they are, the others packed (`packed`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from imgforge.cache.directory_walk import FoundFile
from imgforge.cache.purge.packed import PackedPurges
from imgforge.cache.purge.purges import Purges
from imgforge.cache.purge.remover import is_purged
from imgforge.model import CacheEntry, Purge

__all__ = ["FINAL_AFTER", "KnownPurges"]

# A result whose original was requested before a purge may be written after it. No request lasts as long as this:
# twice the most that IMGFORGE_TIMEOUT may be, since a later request for the same image may carry its work on.
FINAL_AFTER = 1200.0
_MOST_UNPACKED = 10_000


class _Known(NamedTuple):
    purge: Purge
    learned_at: float  # by the clock: a tier may have swept its entries between the purge and this


class KnownPurges:
    """The purges of all tiers of a cache; *clock* gives seconds since the epoch."""

    log = Logger()

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], _Known] = {}
        self._purges = Purges(clock=clock)
        self._packed = PackedPurges()
        self._observers: list[Callable[[], None]] = []
        self._loading = False
        self._waiters: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._known) + len(self._packed)

    def add_observer(self, observer: Callable[[], None]) -> None:
        """Have *observer* called after each purge, for entries that are served without a check of `covers`.

        `covers_unpacked` tells it which were purged since it was called before.
        """
        self._observers.append(observer)

    def learn(self, purges: Sequence[Purge], *, replaced: bool = False) -> None:  # noqa: ARG002
        """See `LearnPurges`; *replaced* changes nothing: what a tier tells no more may be needed by another tier."""
        now, new = self._clock(), False
        for purge in purges:
            known = self._known.get((purge.kind, purge.value))
            if known is None and self._packed and self._packed.knows(purge):
                continue
            if known is None or known.purge.at < purge.at:
                self._known[purge.kind, purge.value] = _Known(purge, now)
                self._purges.add(purge)
                new = True
        if not new:
            return
        for observer in self._observers:
            try:
                observer()
            except Exception:  # the other observers are called all the same
                self.log.failure("a cache could not drop purged entries, and may still serve them")
        if len(self._known) > _MOST_UNPACKED:
            self._pack()

    def _pack(self) -> None:
        """Pack all but the latest half of what may be unpacked; threads find a purge in one place, or in both."""
        known = list(self._known.items())
        for _, (purge, learned_at) in known[: -_MOST_UNPACKED // 2]:
            self._packed.add(purge, learned_at)
        self._keep(dict(known[-_MOST_UNPACKED // 2 :]))

    def _keep(self, known: dict[tuple[str, str], _Known]) -> None:
        self._known = known
        self._purges = Purges([one.purge for one in known.values()], self._clock)

    def load(self, loads: Iterable[Deferred[None]]) -> None:
        """Have `loaded` wait until each of *loads* has fired or failed."""
        self._loading = True
        DeferredList(list(loads), consumeErrors=True).addCallback(self._release)

    async def loaded(self) -> None:
        """Wait until the purges before the start are known, or the tiers have failed to give them."""
        if self._loading:
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            await waiter

    def covers(self, key: bytes, entry: CacheEntry) -> bool:
        """Whether *entry* was purged. On any thread."""
        if self._purges.covers(key, entry):
            return True
        return bool(self._packed) and self._packed.covers(key, entry, self._clock())

    def covers_unpacked(self, key: bytes, entry: CacheEntry) -> bool:
        """Whether *entry* was purged of late."""
        return self._purges.covers(key, entry)

    def covers_file(self, found: FoundFile) -> bool:
        """Whether the entry in a file was purged. On a thread."""
        return is_purged(found, self.covers)

    def last_purge(self, key: bytes, source: str, tags: Iterable[str]) -> float:
        """The time of the last purge of entries with this key, source and tags; minus infinity for none."""
        latest = self._purges.last_purge(key, source, tags)
        return max(latest, self._packed.last_purge(key, source, tags)) if self._packed else latest

    def final_unswept(self, swept_before: float) -> bool:
        """Whether there are purges that no new entry can match, learned after *swept_before*."""
        final = self._clock() - FINAL_AFTER
        if self._packed.learned_between(swept_before, final):
            return True
        return any(swept_before <= known.learned_at < final for known in self._known.values())

    def forget(self, needed_since: float = math.inf) -> float:
        """Forget the purges learned before *needed_since* that no new entry can match; returns the time before which.

        *needed_since* is the least `ICacheTier.purged_before` of the tiers.
        """
        before = min(needed_since, self._clock() - FINAL_AFTER)
        kept = {name: known for name, known in self._known.items() if known.learned_at >= before}
        if len(kept) < len(self._known):
            self._keep(kept)
        self._packed.forget(before)
        return before

    def _release(self, _: object) -> None:
        self._loading = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:
                waiter.callback(None)
