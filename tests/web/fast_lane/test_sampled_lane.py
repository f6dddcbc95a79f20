"""Some hits of the fast lane are noted, as many as the sampling says, whoever asks and however."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, repeat

from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import MemoryTier
from imgforge.web import Clients, FastLaneSettings, Hit, HitSampling, Offer, SampledFastLane
from tests.support.fast_lane_case import BODY, ENTRY, request

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
OTHER = b"/other"


class SampledLaneTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1000.25
        self.noted: list[Hit] = []
        self.schemes: list[str] = []

    def note(self, hit: Hit, scheme: str) -> None:
        self.noted.append(hit)
        self.schemes.append(scheme)

    def lane(self, gaps: Iterator[int], *, parents: bool = True, clients: Clients | None = None) -> SampledFastLane:
        tier = MemoryTier(1_000_000, 100)
        tier.put(b"key", ENTRY)
        lane = SampledFastLane(
            tier,
            FastLaneSettings(clients=clients or Clients()),
            lambda: self.now,
            sampling=HitSampling(gaps, self.note, parents),
        )
        for target in (b"/image", OTHER):
            offer = Offer(b"key", float("inf"), False, source="http://x/a.png", format="png")
            lane.offer(target, b"", offer, [(b"ETag", [b'"tag1"']), (b"Cache-Status", [b"imgforge; hit"])], BODY)
        return lane

    def ask(self, lane: SampledFastLane, data: bytes, times: int = 1, proxy: str | None = None) -> list[bytes]:
        ids = []
        for _ in range(times):
            answer = lane.answer(data, "192.0.2.1", proxy)
            assert answer is not None
            self.assertEqual(answer[-1], BODY)
            ids.append(b"".join(answer[:-1]).rpartition(b"X-Request-Id: ")[2].strip())
        return ids

    def test_each_nth_of_equal_requests_is_noted(self) -> None:
        lane = self.lane(cycle((3, 2)))
        ids = self.ask(lane, request(), 10)
        self.assertEqual(len(set(ids)), 10)
        # The first gap is drawn for requests that are prepared one by one.
        self.assertEqual([hit.request_id for hit in self.noted], [ids[1], ids[4], ids[6], ids[9]])
        hit = self.noted[0]
        self.assertEqual((hit.at, hit.method, hit.status, hit.size), (1000.25, "GET", 200, len(BODY)))
        self.assertEqual(
            (hit.target.target, hit.target.source, hit.target.format), (b"/image", "http://x/a.png", "png")
        )
        self.assertEqual([count for count, _ in lane.take_answered().values()], [10])

    def test_all_are_noted_also_beyond_the_ends_of_a_prepared_response(self) -> None:
        lane = self.lane(repeat(1))
        ids = self.ask(lane, request(), 5000)
        self.assertEqual([hit.request_id for hit in self.noted], ids)

    def test_requests_with_ids_or_of_proxies_are_counted_down_together(self) -> None:
        lane = self.lane(repeat(3), clients=Clients(("10.0.0.1/32",)))
        given = [request(b"/image", b"X-Request-ID: mine-%d" % number) for number in range(4)]
        for data in given:
            self.ask(lane, data)
        self.assertEqual([hit.request_id for hit in self.noted], [b"mine-2"])
        for _ in range(2):
            self.ask(lane, request(OTHER, b"X-Forwarded-For: 192.0.2.7"), proxy="10.0.0.1")
        self.assertEqual(self.noted[1].client, "192.0.2.7")

    def test_the_scheme_is_that_of_the_connection_also_where_a_prepared_response_is_shared(self) -> None:
        lane = self.lane(repeat(1))
        over_tls, plain = lane.for_connection(lambda: True), lane.for_connection(lambda: False)
        for data in (request(), request(b"/image", b"X-Request-ID: mine")):
            for one in (plain, over_tls, plain, over_tls):
                self.assertIsNotNone(one.answer(data, "192.0.2.1"))
        self.assertIsNone(over_tls.answer(request(b"/missing")))
        self.assertIsNotNone(plain.answer(request()))
        self.assertEqual(self.schemes, ["http", "https"] * 4 + ["http"])
        self.assertEqual(over_tls.last, plain.last)

    def test_a_request_that_its_client_has_sampled_is_left_to_twisted_web(self) -> None:
        lane = self.lane(repeat(1))
        for name in (b"traceparent", b"Traceparent", b"TRACEPARENT", b"TraceParent"):
            for flags in (b"01", b"03", b"0b"):
                self.assertIsNone(lane.answer(request(b"/image", name + b": " + PARENT + flags)))
        self.ask(lane, request(b"/image", b"traceparent: " + PARENT + b"00"), 3)
        self.ask(lane, request(b"/image", b"traceparent: " + PARENT + b"02\r\nX-Request-ID: x"), 3)
        self.assertEqual(self.noted, [])  # their client has decided against it
        self.ask(lane, request(b"/image", b"Referer: http://race/"))
        self.assertEqual(len(self.noted), 1)

    def test_without_parents_clients_decide_nothing(self) -> None:
        lane = self.lane(repeat(1 << 62), parents=False)
        self.ask(lane, request(b"/image", b"traceparent: " + PARENT + b"01"), 100)
        self.assertEqual(self.noted, [])
