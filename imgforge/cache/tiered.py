"""The cache as the pipeline sees it: tiers that are looked through from the fastest on.

get ──> memory ── miss ──> disk ── miss ──> shared ── miss ──> None
           ^                 ^                │ hit
           └──── promoted ───┴────────────────┘

once ──> lease of the disk ──> lease of the shared tier ──> make     (tiers without leases are passed over)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.leased_coalescing import LeasedCoalescer
from imgforge.cache.purge import KnownPurges, PurgeFollower
from imgforge.cache.writes import WritesUnderWay
from imgforge.interfaces import ICacheTier, IMemoryTier, IServerReactor
from imgforge.model import CacheEntry, Purge, PurgeKind

__all__ = ["Cache"]

T = TypeVar("T")

_FORGET_INTERVAL = 60.0


class Cache(Service):
    """*memory* and the tiers *behind* it, in the order in which they are asked; an entry is promoted to faster ones.

    Entries are kept while there is space, even stale ones: the pipeline decides what a stale entry is good for. The
    tiers work while this service runs; stopping it finishes what is being written. *purges* is the table that the tiers
    feed, *journal* tells the purges to other processes that have no tier in common. A tier that may fail or hang comes
    in a `GuardedTier`.
    """

    log = Logger()
    name: str  # in metrics

    def __init__(
        self,
        reactor: IServerReactor,
        name: str,
        memory: IMemoryTier | None = None,
        behind: Sequence[ICacheTier] = (),
        *,
        purges: KnownPurges | None = None,
        journal: PurgeFollower | None = None,
    ) -> None:
        self.name = name
        self.memory = memory  # from which the fast lane serves
        self.tiers: tuple[ICacheTier, ...] = (*([] if memory is None else [memory]), *behind)
        self._reactor = reactor
        self._purges = purges if purges is not None else KnownPurges(reactor.seconds)
        self._journal = journal
        self._writes = [WritesUnderWay() for _ in self.tiers]
        self._coalescers = [
            LeasedCoalescer(reactor, tier, writes.ended)
            for tier, writes in zip(self.tiers, self._writes, strict=True)
            if tier is not memory
        ]
        if memory is not None:
            self._purges.add_observer(self._drop_purged)
        self._forgetting = LoopingCall(self._forget)
        self._forgetting.clock = reactor

    def sibling(self, name: str, memory: IMemoryTier) -> Cache:
        """Another cache, for which the same purges count."""
        return Cache(self._reactor, name, memory, purges=self._purges)

    def startService(self) -> None:
        """Start the tiers; the first look-ups wait until these have told the purges before the start."""
        super().startService()
        started = [tier.start(self._purges.learn) for tier in self.tiers]
        if self._journal is not None:
            started.append(self._journal.start(self._purges.learn))
        for one in started:
            one.addErrback(partial(self._log_failed, "a cache tier has not told the purges before the start"))
        self._purges.load(started)
        self._forgetting.start(_FORGET_INTERVAL, now=False)

    def stopService(self) -> Deferred[Any]:
        """Finish what is being written; fires once the tiers have let go of all."""
        super().stopService()
        if self._forgetting.running:
            self._forgetting.stop()
        closed = [tier.close() for tier in self.tiers]
        if self._journal is not None:
            closed.append(self._journal.close())
        for one in closed:
            one.addErrback(partial(self._log_failed, "a cache tier could not be closed"))
        return DeferredList(closed)

    async def get(self, key: bytes) -> tuple[CacheEntry, str] | None:
        """The entry under *key* and the name of the tier that had it."""
        return await self._find(key, lambda entry, tier: (entry, tier))

    async def _find(self, key: bytes, serve: Callable[[CacheEntry, str], T | None]) -> T | None:
        """What *serve* makes of the first entry under *key* that is good enough for it, and of its tier's name."""
        await self._purges.loaded()
        for index, tier in enumerate(self.tiers):
            entry = await tier.get(key)
            if entry is None:
                continue
            if self._purges.covers(key, entry):  # a slower tier may have one that was made since
                tier.remove(key).addErrback(partial(self._log_failed, "a purged entry could not be removed"))
                continue
            served = serve(entry, tier.name)
            if served is not None:
                for faster in range(index):
                    self._put(faster, key, entry)
                return served
        return None

    async def size_of(self, key: bytes) -> int:
        """About how many bytes the body has that `get` gives."""
        for tier in self.tiers:
            size = await tier.size_of(key)
            if size:
                return size
        return 0

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[Any]:
        """Store *entry* in every tier, unless it was purged while it was made; fires when the slowest has it."""
        if self._purges.covers(key, entry):
            return succeed(None)
        return DeferredList([self._put(index, key, entry) for index in range(len(self.tiers))])

    async def written(self, key: bytes) -> None:
        """Return once no write of the entry under *key* is under way in any tier."""
        for writes in self._writes:
            await writes.ended(key)

    async def once(
        self,
        key: bytes,
        make: Callable[[], Awaitable[T]],
        serve: Callable[[CacheEntry], T | None],
        kept: Callable[[T], bool] = lambda _made: True,
    ) -> T:
        """The result of *make*; where another process that shares a tier is making it, *serve* of its entry.

        *serve* gives None for an entry that is not good enough, such as a stale one. *kept* says of a result of *make*
        whether it is in the cache; other processes do not wait for a result that is not. Without a tier that has leases
        each process makes its own.
        """

        async def find() -> T | None:  # memory may have a stale entry, while another process has put a fresh one behind
            return await self._find(key, lambda entry, _: serve(entry))

        for coalescer in reversed(self._coalescers):
            make = partial(coalescer.do, key, find, make, kept)
        return await make()

    async def remove(self, key: bytes) -> bool:
        """Remove the entry under *key* from every tier; False if none had it."""
        removed = await DeferredList([tier.remove(key) for tier in self.tiers], consumeErrors=True)
        return any(success and found for success, found in removed)

    async def purge(self, kind: PurgeKind, value: str) -> int:
        """Remove the entries that match, here and in all processes and hosts that share a tier or the directory.

        Returns how many entries were removed from the tier that had most of them, as many as are known within seconds;
        the others are not served either, and removed later. Those in the memory of other processes are not counted.
        `PurgeFailed` where the purge cannot be recorded for the others; it holds in this process all the same.
        """
        purge = Purge(self._reactor.seconds(), kind, value)
        dropped = 0 if self.memory is None else await self.memory.purge(purge)
        self._purges.learn([purge])
        purging = [tier.purge(purge) for tier in self.tiers if tier is not self.memory]
        if self._journal is not None:
            purging.append(Deferred.fromCoroutine(self._journal.record(purge)).addCallback(lambda _: 0))
        outcomes: list[tuple[bool, Any]] = await DeferredList(purging, consumeErrors=True)
        for success, outcome in outcomes:
            if not success:
                outcome.raiseException()
        most: int = max([dropped, *(removed for _, removed in outcomes)])
        return most

    def purged_at(self, key: bytes, source: str, tags: Iterable[str]) -> float:
        """The time of the last purge of entries with this key, source and tags; minus infinity for none."""
        return self._purges.last_purge(key, source, tags)

    def _put(self, index: int, key: bytes, entry: CacheEntry) -> Deferred[None]:
        tier = self.tiers[index]
        written = tier.put(key, entry)
        self._writes[index].add(key, written)
        return written.addErrback(partial(self._log_failed, f"an entry could not be stored in the {tier.name} cache"))

    def _drop_purged(self) -> None:
        if self.memory is not None:
            self.memory.drop(self._purges.covers_unpacked)

    def _forget(self) -> None:
        if len(self._purges):
            before = self._purges.forget(min(tier.purged_before() for tier in self.tiers))
            if self._journal is not None:
                self._journal.forget(before)

    def _log_failed(self, what: str, failure: Failure) -> None:
        self.log.failure("{what}", failure, what=what)
