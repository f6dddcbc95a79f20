"""The fast lane answers exactly as twisted.web does, or leaves the request to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import MemoryTier
from imgforge.model import Hints
from imgforge.web import Clients, FastLane, FastLaneSettings, Offer, hit_access
from tests.support.fast_lane_case import BODY, ENTRY, Site, request

# Where a response begins: neither bodies nor error lines contain a status line.
START = re.compile(rb"(?=HTTP/1\.[01] [0-9]{3} )")
MADE_ID = re.compile(rb"X-Request-Id: [0-9a-f]{32}\Z")


def parsed(stream: bytes) -> list[tuple[bytes, list[bytes], bytes]]:
    """Status line, sorted headers and body of each response, without the headers that are new each time."""
    made = []
    for answer in filter(None, START.split(stream)):
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        kept = [MADE_ID.sub(b"X-Request-Id: made", line) for line in lines if not line.startswith(b"Date: ")]
        made.append((status, sorted(kept), body))
    return made


class FastLaneTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(with_fast_lane=True)
        self.plain = Site(with_fast_lane=False)
        self.site.warm(b"/image")

    def test_hit_equals_the_response_of_twisted_web(self) -> None:
        for one in (
            request(),
            request(method=b"HEAD"),
            request(b"/image", b'If-None-Match: "tag1"'),
            request(b"/image", b'If-None-Match: W/"tag1"', b"Accept: */*", b"User-Agent: x", b"Connection: keep-alive"),
        ):
            self.assertEqual(parsed(self.site.ask(one)), parsed(self.plain.ask(one)))
        self.assertEqual(self.site.by_twisted, 0)

    def test_hit_is_logged_like_a_response_of_twisted_web(self) -> None:
        for one in (
            request(),
            request(method=b"HEAD"),
            request(b"/image", b'If-None-Match: "tag1"', b"User-Agent: x/1", b"referer:  http://page/ "),
            request(b"/image", b"User-Agent:"),
        ):
            self.site.ask(one)
            self.plain.ask(one)
            self.assertEqual(self.site.logged(), self.plain.logged())
        self.assertEqual(self.site.by_twisted, 0)
        self.site.ask(request(b"/image", b"X-Request-ID: mine"))
        assert self.site.fast_lane is not None
        (line,) = map(hit_access, self.site.fast_lane.take_hits())
        self.assertEqual((line.request_id, line.client, line.cache), ("mine", "192.0.2.1", "imgforge; hit"))
        self.assertEqual(line.at, self.site.clock.seconds())

    def test_hits_are_not_kept_without_an_access_log(self) -> None:
        tier = MemoryTier(1_000_000, 100)
        tier.put(b"key", ENTRY)
        fast_lane = FastLane(tier, FastLaneSettings())
        fast_lane.offer(b"/image", b"", Offer(b"key", float("inf"), False), [], BODY)
        self.assertIsNotNone(fast_lane.answer(request()))
        self.assertEqual(fast_lane.take_hits(), [])

    def test_response_offered_by_a_last_request_does_not_have_connection_close(self) -> None:
        site = Site(with_fast_lane=True)
        site.ask(request(b"/image", b"Connection: close"))
        answer = site.ask(request())
        self.assertEqual(site.by_twisted, 1)
        self.assertNotIn(b"onnection: close", answer)

    def test_request_that_is_not_simple_goes_to_twisted_web(self) -> None:
        for one in (
            request(b"/image", b"Range: bytes=0-3"),
            request(b"/image", b"Connection: close"),
            request(b"/image", b"Content-Length: 0"),
            request(b"/image", b"If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT"),
            request(b"/image", b'If-None-Match: "other"'),
            request(b"/image", b"Host: again"),
            request(b"/image", b"X-Unheard-Of: 1"),
            request(version=b"HTTP/1.0"),
            request(method=b"POST"),
            request() + request(),
            request(b"/image?x y"),
            request(b"/image?\x01"),
            request(b"/image", b"User-Agent: x", b"User-Agent: y"),
            request().replace(b"Host: localhost\r\n", b""),
            request().replace(b"Host: localhost", b"Host : x"),
            request(b"/image", b" folded: line"),
            request().replace(b"Host: localhost", b"Host: x/y"),
            request(b"/image", b"User-Agent: x\nContent-Length: 3"),
            request(b"/image", b"User-Agent: x\rContent-Length: 3"),
            request(b"/image", b"Cookie: \0"),
            request(b"/image", *[b"TE: x"] * 600),
        ):
            before = self.site.hits
            self.assertEqual(parsed(self.site.ask(one)), parsed(self.plain.ask(one)), one)
            after = self.site.hits
            self.assertEqual(before, after, one)

    def test_request_in_pieces_is_answered_once(self) -> None:
        whole = request()
        for at in range(1, len(whole), 7):
            self.assertEqual(len(parsed(self.site.ask(whole[:at], whole[at:]))), 1)

    def test_request_id_is_the_clients_or_new(self) -> None:
        self.assertIn(b"X-Request-Id: mine\r\n", self.site.ask(request(b"/image", b"X-Request-ID: mine")))
        ids = {self.site.ask(request()).partition(b"X-Request-Id: ")[2][:32] for _ in range(5)}
        self.assertEqual(len(ids), 5)

    def test_hits_keep_a_connection_open(self) -> None:
        channel, transport = self.site.connect()
        for _ in range(3):
            self.site.clock.advance(40)
            channel.dataReceived(request())
        self.assertEqual(self.site.by_twisted, 0)
        self.site.clock.advance(59)
        self.assertFalse(transport.disconnecting)
        self.site.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_hit_marks_its_entry_as_visited(self) -> None:
        place = self.site.tier.visit_mark(b"key")
        assert place is not None
        place.visited = False
        self.site.ask(request())
        self.assertTrue(place.visited)

    def test_response_is_dropped_with_its_cache_entry(self) -> None:
        self.site.tier.remove(b"key")
        self.assertEqual(len(self.site.fast_lane or ()), 0)
        self.site.ask(request())
        self.assertEqual(self.site.by_twisted, 1)

    def test_response_is_dropped_when_it_expires(self) -> None:
        site = Site(with_fast_lane=True, until=100)
        site.warm(b"/image")
        site.ask(request())
        self.assertEqual(site.by_twisted, 0)
        site.clock.advance(101)
        site.ask(request())
        self.assertEqual(site.by_twisted, 1)

    def test_age_grows_if_the_origins_max_age_is_passed_on(self) -> None:
        entry = replace(ENTRY, stored_at=1000.0, asked_at=990.5, source_cache_control="max-age=60")
        sites = [Site(with_fast_lane=with_fast_lane, entry=entry) for with_fast_lane in (True, False)]
        for site in sites:
            site.clock.advance(991)
            site.warm(b"/image")
        self.assertNotIn(b"\r\nAge:", sites[0].ask(request()))
        for passed, age in ((0.4, 0), (0.2, 1), (59, 60), (1e6, 1000060)):
            for one in (request(), request(b"/image", b'If-None-Match: "tag1"'), request(method=b"HEAD")):
                answers = []
                for site in sites:
                    site.clock.advance(passed)
                    answers.append(site.ask(one))
                self.assertEqual(parsed(answers[0]), parsed(answers[1]))
                self.assertEqual(answers[0].count(b"\r\nAge: %d\r\n" % age), 1 if age else 0)
                passed = 0
        self.assertEqual(sites[0].by_twisted, 0)
        sites[0].ask(request(b"/image", b"X-Request-ID: mine"))
        self.assertEqual([hit_access(hit).request_id for hit in sites[0].fast_lane.take_hits()][-1], "mine")  # type: ignore[union-attr]

    def test_response_that_had_an_age_when_it_was_offered_has_one_age(self) -> None:
        site = Site(with_fast_lane=True, entry=replace(ENTRY, stored_at=1000.0, source_cache_control="max-age=60"))
        site.clock.advance(1030)
        site.warm(b"/image")
        site.clock.advance(10)
        answer = site.ask(request())
        self.assertEqual((site.by_twisted, answer.count(b"Age:"), answer.count(b"\r\nAge: 40\r\n")), (0, 1, 1))

    def test_no_age_without_the_origins_max_age(self) -> None:
        self.site.clock.advance(1000)
        self.assertNotIn(b"\r\nAge:", self.site.ask(request()))

    def test_token_is_required(self) -> None:
        site = Site(with_fast_lane=True, secret="s")
        token = b"Authorization: Bearer s"
        site.ask(request(b"/image", token))
        site.by_twisted = 0
        self.assertIn(b" 200 OK", site.ask(request(b"/image", token)))
        self.assertEqual(site.by_twisted, 0)
        for wrong in ((), (b"Authorization: Bearer t",)):
            self.assertIn(b" 403 ", site.ask(request(b"/image", *wrong)))

    def test_response_that_varies_is_for_its_accept_header_only(self) -> None:
        webp = b"Accept: image/webp"
        self.site.ask(request(b"/varies", webp))
        self.site.by_twisted = 0
        self.site.ask(request(b"/varies", webp))
        self.assertEqual(self.site.by_twisted, 0)
        self.site.ask(request(b"/varies", b"Accept: image/png"))
        self.assertEqual(self.site.by_twisted, 1)

    def test_query_host_and_unknown_types_add_no_spelling(self) -> None:
        site = Site(with_fast_lane=True)
        for number in range(20):
            site.ask(request(b"/image?%d" % number))
            site.ask(request(b"http://host%d/image" % number))
            site.ask(request(b"/varies", b"Accept: text/%d, image/webp" % number))
        # twisted.web answers the first of each target, and all absolute targets.
        self.assertEqual((len(site.fast_lane or ()), site.by_twisted), (2, 22))

    def test_query_changes_the_log_only(self) -> None:
        for one in (request(b"/image?x=/&y"), request(b"/image?", method=b"HEAD"), request(b"/image?\xc3\xa4")):
            self.assertEqual(parsed(self.site.ask(one)), parsed(self.plain.ask(one)))
            self.assertEqual(self.site.logged(), self.plain.logged())
        self.assertEqual(self.site.by_twisted, 0)

    def test_new_spelling_replaces_the_oldest(self) -> None:
        tier = MemoryTier(1_000_000, 100)
        tier.put(b"key", ENTRY)
        fast_lane = FastLane(tier, FastLaneSettings())
        offer = Offer(b"key", float("inf"), False)
        for number in range(1000):  # as if signatures were not checked
            fast_lane.offer(b"/%d/image" % number, b"", offer, [], BODY)
        fast_lane.offer(b"/image", b"", offer, [], BODY)
        self.assertIsNotNone(fast_lane.answer(request()))
        self.assertLess(len(fast_lane), 10)
        tier.remove(b"key")
        self.assertEqual(len(fast_lane), 0)

    def test_bytes_of_spellings_count_as_those_of_their_entry(self) -> None:
        for varies in (False, True):
            tier = MemoryTier(100_000, 100)
            fast_lane = FastLane(tier, FastLaneSettings())
            tier.put(b"key", ENTRY)
            before = tier.bytes
            offer = Offer(b"key", 100.0, varies)
            for number in range(30):
                target = b"/%d/%s" % (number, b"x" * 1000)
                fast_lane.offer(target, b"image/webp", offer, [(b"X-Name", [b"n" * 2000])], BODY)
            self.assertEqual(len(fast_lane), 8)
            self.assertGreater(tier.bytes - before, 8 * 5000)
            self.assertLess(tier.bytes - before, 8 * 9000)
            for number in range(99):
                tier.put(b"%d" % number, ENTRY)
                fast_lane.offer(b"/%d" % number, b"", Offer(b"%d" % number, 100.0, varies), [], BODY)
                self.assertLessEqual(tier.bytes, 100_000)
            tier.drop(lambda _key, _entry: True)
            self.assertEqual((len(fast_lane), tier.bytes), (0, 0))

    def test_bytes_of_an_expired_response_are_given_back(self) -> None:
        site = Site(with_fast_lane=True, until=100)
        before = site.tier.bytes
        site.warm(b"/image")
        self.assertGreater(site.tier.bytes, before)
        site.clock.advance(101)
        assert site.fast_lane is not None
        self.assertIsNone(site.fast_lane.answer(request()))
        self.assertEqual(site.tier.bytes, before)

    def test_long_target_is_left_to_twisted_web(self) -> None:
        tier = MemoryTier(1_000_000, 100)
        tier.put(b"key", ENTRY)
        fast_lane = FastLane(tier, FastLaneSettings())
        fast_lane.offer(b"/" + b"x" * 2048, b"", Offer(b"key", 100.0, False), [], BODY)
        fast_lane.offer(b"/" + b"x" * 15000, b"", Offer(b"key", 100.0, True), [], BODY)
        self.assertEqual(len(fast_lane), 0)
        fast_lane.offer(b"/" + b"x" * 1500, b"", Offer(b"key", 100.0, False), [], BODY)
        self.assertEqual(len(fast_lane), 1)

    def test_response_that_varies_by_hints_is_for_these_only(self) -> None:
        tier = MemoryTier(1_000_000, 100)
        tier.put(b"key", ENTRY)
        fast_lane = FastLane(tier, FastLaneSettings())
        fast_lane.offer(b"/image", b"", Offer(b"key", float("inf"), False, hints=Hints(100, 2.0)), [], BODY)
        same = (b"Width: 91", b"Sec-CH-DPR: 1.9", b"DPR: 7")
        self.assertIsNotNone(fast_lane.answer(request(b"/image", *same, b"Accept: image/webp")))
        for other in ((), same[:1], same[1:], (*same, b"DPR: 7"), (*same, b"Sec-CH-Width: 300")):
            self.assertIsNone(fast_lane.answer(request(b"/image", *other)), other)

    def test_forwarded_request_is_refused_if_only_this_machine_is_served(self) -> None:
        site = Site(with_fast_lane=True, clients=Clients(direct_only=True))
        site.warm(b"/image")
        self.assertIn(b" 200 ", site.ask(request()))
        for header in (b"X-Forwarded-For: 127.0.0.1", b"Via: 1.1 x", b"x-forwarded-proto: https", b"X-Real-IP: ::1",
                       b"Forwarded: for=_x", b"CF-Connecting-IP: 192.0.2.9"):  # fmt: skip
            answer = site.ask(request(b"/image", header))
            self.assertIn(b" 403 ", answer.partition(b"\r\n")[0], header)
            self.assertIn(b"IMGFORGE_KEY", answer)
            self.assertIn(b" 200 ", site.ask(request(b"/health", header)).partition(b"\r\n")[0])
        self.assertIn(b" 200 ", Site(with_fast_lane=True).ask(request(b"/image", b"Via: 1.1 x")))

    def test_spellings_of_one_entry_are_bounded(self) -> None:
        for number in range(100):
            self.site.ask(request(b"/varies", b"Accept: image/%d" % number))
        self.assertLess(len(self.site.fast_lane or ()), 20)


# Headers that the fast lane evaluates, leaves to twisted.web, or must not trust.
LINES = st.sampled_from(
    [b"Accept: */*", b"accept:image/webp", b"ACCEPT: \timage/webp ", b"User-Agent: x", b"cOOKIE: a=b", b"TE:",
     b'If-None-Match: "tag1"', b'if-none-match:W/"tag1"', b"If-None-Match: *", b'If-None-Match: "a", "tag1"',
     b"If-None-Match:", b"If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT", b'If-Match: "tag1"',
     b"Connection: keep-alive", b"connection: Keep-Alive", b"Connection: close", b"Connection: keep-alive, close",
     b"Connection: TE", b"Connection:", b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"Upgrade: h2c",
     b"Range: bytes=0-1", b"Range: bytes=999-", b'If-Range: "tag1"', b"Host: x", b"HOST: x/y", b"Host:",
     b"Content-Length: 0", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Expect: 100-continue",
     b"X-Request-ID: a", b"x-request-id: a b", b"X-Request-ID:", b"Authorization: Bearer s", b"authorization:Bearer t",
     b"Origin: a", b"DPR: 2", b"Sec-CH-Width: 9", b"X-Real-IP: 192.0.2.1",
     b"X: y", b"bad header", b": x", b" fold", b"\tfold", b"Accept : x", b"Via: \xff", b"Via: a\nb", b"Via: a\rb",
     b"Via: \0", b"X-Forwarded-For: 203.0.113.9", b"x-forwarded-for: 203.0.113.9, 198.51.100.1\t", b"X-Forwarded-For:",
     b'Forwarded: for=203.0.113.9, For="[2001:db8::1]:80" ', b'Forwarded: for="', b"Pragma",
     b"User-Agent: " + b"a" * 2000]
)  # fmt: skip
METHODS = st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"HEAD", b"get", b"POST", b"OPTIONS", b""])
TARGETS = st.sampled_from(
    [
        b"/image",
        b"/image",
        b"/varies",
        b"/other",
        b"/image?",
        b"/image?a b",
        b"/varies?\xc3",
        b"/\xc3\xa4",
        b"http://x/image",
        b"*",
        b"",
    ]
)
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 5 + [b"HTTP/1.0", b"HTTP/1.1 ", b"HTTP/2.0", b"http/1.1", b""])
SIMPLE = st.builds(
    lambda method, target, lines: b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"hOsT: x", *lines, b"", b""]),
    st.sampled_from([b"GET", b"HEAD"]),
    st.sampled_from([b"/image", b"/varies"]),
    st.lists(LINES, max_size=1),
)
HOPS = st.sampled_from(
    [b"203.0.113.9", b"203.0.113.7:80", b"198.51.100.3", b"192.0.2.77", b"unknown", b"", b" ", b"\t"]
)
PROXIED = st.lists(
    st.builds(
        lambda name, hops: b"%s: %s" % (name, b",".join(hops)),
        st.sampled_from([b"X-Forwarded-For", b"x-forwarded-for"]),
        st.lists(HOPS, min_size=1, max_size=3),
    )
    | HOPS.map(lambda hop: b"Forwarded: for=" + hop),
    max_size=3,
).map(lambda lines: b"\r\n".join([b"GET /image HTTP/1.1", b"Host: x", *lines, b"", b""]))
ODD = st.builds(
    lambda start, lines, ends, behind: ends.join([b" ".join(start), *lines, b"", b""]) + behind,
    st.tuples(METHODS, TARGETS, VERSIONS),
    st.lists(st.just(b"Host: x") | LINES, max_size=5),
    st.sampled_from([b"\r\n"] * 5 + [b"\n", b"\r"]),
    st.sampled_from([b"", b"", b"abc", b"0\r\n\r\n", b"\r\n", b"\r\n\r\n"]),
)


class DifferentialTests(SynchronousTestCase):
    """The same bytes in the same packets, with and without the fast lane: equal responses, log lines and end."""

    def compare(self, packets: Sequence[bytes], secret: str = "", clients: Clients | None = None) -> float:
        """How many of the responses were hits of the fast lane."""
        outcomes = []
        hits = 0.0
        for with_fast_lane in (True, False):
            site = Site(with_fast_lane=with_fast_lane, secret=secret, clients=clients)
            token = [b"Authorization: Bearer s"] if secret else []
            for warming in (b"/image", b"/varies"):
                site.ask(request(warming, *token))
            site.logged()
            before = site.hits
            channel, transport = site.connect()
            for packet in packets:
                if not transport.disconnecting:
                    channel.dataReceived(packet)
            hits += site.hits - before
            log = sorted(site.logged(), key=repr)  # hits are logged later
            outcomes.append((parsed(transport.value()), bool(transport.disconnecting), log))
        self.assertEqual(outcomes[0], outcomes[1], packets)
        return hits

    def test_random_requests_get_equal_responses(self) -> None:
        hits = 0.0

        @settings(max_examples=300, deadline=None)
        @given(st.lists(SIMPLE | ODD, min_size=1, max_size=4), st.sampled_from(["", "s"]))
        def requests_one_by_one(requests: list[bytes], secret: str) -> None:
            nonlocal hits
            hits += self.compare(requests, secret)

        requests_one_by_one()
        self.assertGreater(hits, 50)  # else the test compared too little

    def test_requests_behind_a_trusted_proxy_have_equal_clients(self) -> None:
        clients = Clients(["192.0.2.1", "198.51.100.0/24"], ["192.0.2.1", "203.0.113.0/24"])
        hits = 0.0

        @settings(max_examples=200, deadline=None)
        @given(st.lists(PROXIED, min_size=1, max_size=3))
        def requests_through_it(requests: list[bytes]) -> None:
            nonlocal hits
            hits += self.compare(requests, clients=clients)

        requests_through_it()
        self.assertGreater(hits, 50)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(SIMPLE | ODD, min_size=1, max_size=4), st.lists(st.integers(0, 400), max_size=6))
    def test_requests_in_any_packets_get_equal_responses(self, requests: list[bytes], cuts: list[int]) -> None:
        stream = b"".join(requests)
        edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
        self.compare([stream[start:end] for start, end in pairwise(edges)])

    @settings(max_examples=150, deadline=None)
    @given(SIMPLE, st.integers(0, 200), st.binary(max_size=3), st.integers(0, 2))
    def test_valid_request_with_a_few_bytes_changed_gets_equal_responses(
        self, good: bytes, at: int, new: bytes, removed: int
    ) -> None:
        at %= len(good)
        self.compare([good[:at] + new + good[at + removed :], request()])
