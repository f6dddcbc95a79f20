"""Equal requests within a second share what was decided for the first, and nothing outlives that decision."""

from __future__ import annotations

import re
from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import MemoryTier
from imgforge.web import Clients, FastLane, FastLaneSettings, Offer
from imgforge.web.fast_lane import fast_lane as fast_lane_module
from tests.support.fast_lane_case import BODY, ENTRY, request

ID = re.compile(rb"X-Request-Id: ([0-9a-f]{32})\r\n\r\n\Z")


class PreparedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1000.25
        self.tier = MemoryTier(1_000_000, 100)
        self.tier.put(b"key", ENTRY)

    def lane(self, settings: FastLaneSettings | None = None, *, until: float = float("inf")) -> FastLane:
        fast_lane = FastLane(self.tier, settings or FastLaneSettings(), lambda: self.now)
        fast_lane.offer(b"/image", b"", Offer(b"key", until, False), [(b"ETag", [b'"tag1"'])], BODY)
        return fast_lane

    def head(self, fast_lane: FastLane, data: bytes) -> bytes:
        answer = fast_lane.answer(data, "192.0.2.1")
        assert answer is not None
        self.assertEqual(answer[-1], BODY)
        return b"".join(answer[:-1])

    def test_thousands_of_equal_requests_have_an_id_each(self) -> None:
        fast_lane = self.lane()
        ids = set()
        for number in range(10_000):
            found = ID.search(self.head(fast_lane, request()))
            assert found is not None
            ids.add(found[1])
            if not number % 7:
                ids.add(ID.findall(self.head(fast_lane, request(b"/image", b"Accept: */*")))[0])
        self.assertEqual(len(ids), 10_000 + 1429)
        self.assertEqual([taken[0] for taken in fast_lane.take_answered().values()], [11_429])
        self.assertEqual(fast_lane.take_answered(), {})

    def test_entry_that_is_removed_is_answered_no_more(self) -> None:
        fast_lane = self.lane()
        self.head(fast_lane, request())
        self.tier.remove(b"key")
        self.assertIsNone(fast_lane.answer(request()))

    def test_response_that_expires_within_the_second_is_answered_no_more(self) -> None:
        fast_lane = self.lane(until=1000.5)
        self.head(fast_lane, request())
        self.now = 1000.5
        self.head(fast_lane, request())
        self.now = 1000.51
        self.assertIsNone(fast_lane.answer(request()))

    def test_age_changes_within_the_second(self) -> None:
        fast_lane = self.lane()
        offer = Offer(b"key", float("inf"), False, 998.5)
        fast_lane.offer(b"/aging", b"", offer, [], BODY)
        self.assertIn(b"Age: 1\r\n", self.head(fast_lane, request(b"/aging")))
        self.now = 1000.49
        self.assertIn(b"Age: 1\r\n", self.head(fast_lane, request(b"/aging")))
        self.now = 1000.5
        self.assertIn(b"Age: 2\r\n", self.head(fast_lane, request(b"/aging")))

    def test_date_is_that_of_the_second_even_after_the_clock_was_set_back(self) -> None:
        times = count(1_000_000)
        self.patch(fast_lane_module, "datetimeToString", lambda _: b"%d" % next(times))
        fast_lane = self.lane()
        dates = []
        for self.now in (1000.25, 1000.99, 1001.0, 999.5):
            dates.append(re.findall(rb"Date: (\d+)", self.head(fast_lane, request()))[0])
        self.assertEqual(dates, [b"1000000", b"1000000", b"1000001", b"1000002"])

    def test_what_one_client_was_answered_is_not_answered_to_a_proxy(self) -> None:
        fast_lane = self.lane(FastLaneSettings(clients=Clients(["198.51.100.1"], ["192.0.2.0/24"])))
        for forwarded in ((), (b"X-Forwarded-For: 203.0.113.1",)):
            data = request(b"/image", *forwarded)
            self.head(fast_lane, data)
            self.assertIsNone(fast_lane.answer(data, "198.51.100.1", "198.51.100.1"))
            self.head(fast_lane, data)
        allowed = request(b"/image", b"X-Forwarded-For: 192.0.2.7")
        self.assertIsNotNone(fast_lane.answer(allowed, "198.51.100.1", "198.51.100.1"))

    def test_clients_own_id_is_for_its_request_only(self) -> None:
        fast_lane = self.lane()
        self.assertIn(b"X-Request-Id: mine\r\n\r\n", self.head(fast_lane, request(b"/image", b"X-Request-Id: mine")))
        self.assertIsNotNone(ID.search(self.head(fast_lane, request())))
        self.assertIn(b"X-Request-Id: mine\r\n\r\n", self.head(fast_lane, request(b"/image", b"X-Request-Id: mine")))

    def test_many_and_long_requests_take_little_memory(self) -> None:
        fast_lane = self.lane()
        for number in range(5000):
            self.head(fast_lane, request(b"/image", b"Cookie: %d" % number))
            self.head(fast_lane, request(b"/image", b"Cookie: %d%s" % (number, b"x" * 2000)))
        kept = fast_lane._prepared
        self.assertLessEqual(len(kept), 1024)
        self.assertLess(max(map(len, kept)), 1025)
