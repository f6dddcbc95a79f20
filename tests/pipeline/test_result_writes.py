"""When a result is in the cache: clients do not wait for that, jobs of a queue do."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import Cache
from imgforge.interfaces import IServerReactor
from imgforge.model import CacheEntry, Rendition
from imgforge.pipeline import StalenessPolicy
from imgforge.pipeline.result_cache import ResultCache
from imgforge.testing import FaultyTier

KEY = b"k" * 32
ENTRY = CacheEntry(Rendition(b"body", "png", "image/png"), 0.0, "etag", source="http://origin/a.png")


class WriteTests(SynchronousTestCase):
    """`writes` are those of a tier; each ends when a test says so."""

    def setUp(self) -> None:
        clock, self.tier = Clock(), FaultyTier("slow")
        self.writes: list[Deferred[None]] = []
        self.patch(self.tier, "put", self.put)
        cache = Cache(cast("IServerReactor", clock), "slow", behind=[self.tier])
        self.results = ResultCache(clock, cache, StalenessPolicy())

    def put(self, _key: bytes, _entry: CacheEntry) -> Deferred[None]:
        self.writes.append(Deferred())
        return self.writes[-1]

    def written(self, key: bytes = KEY) -> Deferred[None]:
        return Deferred.fromCoroutine(self.results.written(key))

    def test_a_result_is_given_before_it_is_written(self) -> None:
        self.assertEqual(self.results.store(KEY, ENTRY).entry, ENTRY)
        first, second = self.written(), self.written()
        self.assertNoResult(first)
        self.successResultOf(self.written(b"other"))
        self.writes[0].callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(self.written())

    def test_the_last_of_several_writes_counts(self) -> None:
        self.results.store(KEY, ENTRY)
        self.results.store(KEY, ENTRY)
        self.writes[0].callback(None)
        last = self.written()
        self.assertNoResult(last)
        self.writes[1].callback(None)
        self.successResultOf(last)

    def test_a_write_that_fails_ends_too(self) -> None:
        self.results.store(KEY, ENTRY)
        waiting = self.written()
        self.writes[0].errback(OSError("full"))
        self.successResultOf(waiting)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_what_is_written_at_once_is_not_waited_for(self) -> None:
        self.patch(self.tier, "put", lambda _key, _entry: succeed(None))
        self.results.store(KEY, ENTRY)
        self.successResultOf(self.written())
