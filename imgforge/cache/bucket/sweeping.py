"""Sweeps: seldom, one node reads all old entries, removes those that were purged, and then the purges themselves."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.bucket.object_names import ObjectNames
from imgforge.cache.bucket.purge_objects import PurgeObjects
from imgforge.cache.bucket.purge_remover import PurgeRemover
from imgforge.cache.purge import FINAL_AFTER
from imgforge.object_stores import IObjectStore

__all__ = ["Sweeping"]

_OLD = 3600.0  # seconds after which a purge waits for a sweep
_INTERVAL = 86400.0  # seconds from one sweep of a fleet to the next
_MANY, _SHORT_INTERVAL = 1000, 3600.0  # so many old purges are swept away sooner
_CHANCE = 0.1  # that a process begins a sweep that is due after one of its listings, so that not all begin it


class Sweeping:
    """Removes the purges that cover nothing any more: those from before *keep* seconds ago (0: entries are of use for
    ever), and the others by a sweep. *chance* gives a number from 0 to 1.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        store: IObjectStore,
        names: ObjectNames,
        remover: PurgeRemover,
        keep: float,
        *,
        chance: Callable[[], float] = random,
    ) -> None:
        self._clock = clock
        self._store = store
        self._names = names
        self._remover = remover
        self._keep = keep
        self._chance = chance
        self._work: Deferred[None] | None = None

    def stop(self) -> None:
        """End the work under way."""
        if self._work is not None:
            self._work.cancel()

    def after_listing(self, purges: PurgeObjects, age: float) -> None:
        """Begin what is due, now that *purges* are those in the bucket and the last sweep is *age* seconds ago."""
        if self._work is not None:
            return
        now = self._clock.seconds()
        if self._keep and (expired := purges.older_than(now - self._keep - FINAL_AFTER)):
            self._begin(purges.remove(list(expired)))
            return
        old = purges.older_than(now - _OLD)
        if old and age > (_SHORT_INTERVAL if len(old) > _MANY else _INTERVAL) and self._chance() < _CHANCE:
            self._begin(self._sweep(purges))

    async def _sweep(self, purges: PurgeObjects) -> None:
        await self._store.put(self._names.swept, b"{}", "application/json")
        swept = purges.older_than(self._clock.seconds() - FINAL_AFTER)
        removed = await self._remover.sweep(swept)
        await purges.remove(list(swept))
        self.log.info(
            "{where}: removed {entries} purged entries and the {purges} purges that covered them",
            where=self._store.where,
            entries=removed,
            purges=len(swept),
        )

    def _begin(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        self._work = working = Deferred.fromCoroutine(work)
        working.addBoth(self._ended)

    def _ended(self, outcome: Failure | None) -> None:
        self._work = None
        if isinstance(outcome, Failure) and not outcome.check(CancelledError):
            self.log.warn("old purges stay in the bucket until the next sweep: {error}", error=outcome.value)
