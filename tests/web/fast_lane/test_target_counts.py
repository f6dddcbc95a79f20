"""Hits by target: exact where responses are prepared for a second, a sample where each is prepared by itself."""

from __future__ import annotations

from itertools import cycle

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import MemoryTier
from imgforge.web import Clients, FastLane, FastLaneSettings, Hit, HitSampling, Offer, SampledFastLane
from tests.support.fast_lane_case import BODY, ENTRY, request

FORWARDED = (b"X-Forwarded-For: 203.0.113.7",)


class TargetCountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.tier = MemoryTier(1_000_000, 100)
        self.lane = self.lane_with(counts_targets=True)

    def lane_with(self, *, counts_targets: bool) -> FastLane:
        chosen = FastLaneSettings(clients=Clients(["192.0.2.1"]), counts_targets=counts_targets)
        lane = FastLane(self.tier, chosen, self.clock.seconds)
        self.fill(lane)
        return lane

    def fill(self, lane: FastLane) -> None:
        for name in (b"a", b"b"):
            self.tier.put(name, ENTRY)
            offer = Offer(name, float("inf"), False, source="http://o/" + name.decode(), format="png")
            lane.offer(b"/" + name, b"", offer, [(b"ETag", [b'"tag"'])], BODY)

    def ask(self, target: bytes, times: int, *headers: bytes, proxy: str | None = None) -> None:
        for _ in range(times):
            self.assertIsNotNone(self.lane.answer(request(target, *headers), "192.0.2.9", proxy))

    def taken(self) -> dict[bytes, tuple[int, int, bool]]:
        return {one.target: (one.hits, one.size, one.sampled) for one in self.lane.take_targets()}

    def test_hits_are_counted_when_their_second_is_over(self) -> None:
        self.ask(b"/a", 30)
        self.ask(b"/b", 5)
        self.assertEqual(self.taken(), {})
        self.clock.advance(1.0)
        self.assertEqual(self.taken(), {b"/a": (30, 30 * len(BODY), False), b"/b": (5, 5 * len(BODY), False)})
        self.assertEqual(self.taken(), {})

    def test_none_is_lost_over_seconds_drops_and_many_equal_requests(self) -> None:
        self.ask(b"/a", 5000)  # more than a prepared response has request ids
        self.clock.advance(1.0)
        self.ask(b"/a", 7)
        self.lane._drop(b"a")  # as the tier does
        self.clock.advance(5.0)
        self.ask(b"/b", 1)
        self.clock.advance(5.0)
        counts = self.taken()
        self.assertEqual((counts[b"/a"][0], counts[b"/b"][0]), (5007, 1))

    def test_not_modified_has_no_bytes(self) -> None:
        self.ask(b"/a", 3, b'If-None-Match: "tag"')
        self.clock.advance(1.0)
        self.assertEqual(self.taken(), {b"/a": (3, 0, False)})

    def test_requests_of_a_trusted_proxy_are_estimated_from_a_sixteenth(self) -> None:
        self.ask(b"/a", 64, *FORWARDED, proxy="192.0.2.1")
        self.assertEqual(self.taken(), {b"/a": (64, 64 * len(BODY), True)})
        self.ask(b"/a", 15, *FORWARDED, proxy="192.0.2.1")
        self.assertEqual(self.taken(), {})

    def test_hits_that_are_noted_for_traces_count_as_the_others(self) -> None:
        noted: list[tuple[Hit, str]] = []
        chosen = FastLaneSettings(clients=Clients(["192.0.2.1"]), counts_targets=True)
        sampling = HitSampling(cycle([10]), lambda *one: noted.append(one))
        self.lane = SampledFastLane(self.tier, chosen, self.clock.seconds, sampling=sampling)
        self.fill(self.lane)
        self.ask(b"/a", 95)
        self.clock.advance(1.0)
        self.assertEqual((len(noted), self.taken()[b"/a"][0]), (9, 95))

    def test_nothing_is_counted_unless_it_is_wanted(self) -> None:
        self.lane = self.lane_with(counts_targets=False)
        self.ask(b"/a", 3)
        self.clock.advance(1.0)
        self.assertEqual(self.taken(), {})
