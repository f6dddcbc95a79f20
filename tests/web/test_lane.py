"""The fast lane answers as twisted.web does, or not at all."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request

from imgforge.cache import MemoryTier
from imgforge.model import CacheEntry, Rendition
from imgforge.observability import Access, AccessLog, Metrics
from imgforge.web._access import BearerGate
from imgforge.web._answer import Answer, AnswerSettings, image_answer
from imgforge.web._conditions import Conditions, conditioned
from imgforge.web._lane import FastLane, Offer, hit_access
from imgforge.web._server import Route, Server
from imgforge.web._site import ImageSite
from tests.web.test_answer import REQUEST

CONDITIONS = (b"if-none-match", b"if-modified-since", b"if-range", b"range")
BODY = b"pixels" * 50
ENTRY = CacheEntry(Rendition(BODY, "png", "image/png", 1, 1), 0.0, "tag1")


class Wire(StringTransport):
    """Takes what a real transport takes: a pause or a resumption after the end means nothing."""

    def pauseProducing(self) -> None:
        """Nothing is produced here."""

    def resumeProducing(self) -> None:
        """Nothing is produced here."""


class Log(AccessLog):
    """Keeps what it is given."""

    enabled = True

    def __init__(self) -> None:
        self.lines: list[Access] = []

    def write(self, access: Access) -> None:
        """Keep it."""
        self.lines.append(access)


class Site:
    """One image at /image (and one that varies at /varies), with or without the lane, over an in-memory transport."""

    def __init__(self, *, with_lane: bool, secret: str = "", until: float = float("inf")) -> None:
        self.clock = Clock()
        self.tier = MemoryTier(1_000_000, 100)
        self.tier.put(b"key", ENTRY)
        self.normal = 0
        gate = BearerGate(secret)
        self.lane = FastLane(self.tier, gate.expected, self.clock.seconds, logged=True) if with_lane else None

        async def image(request: Request) -> Answer:
            self.normal += 1
            gate.check(request.getHeader(b"authorization"))
            varies = request.path == b"/varies"
            answer = image_answer(ENTRY, REQUEST, AnswerSettings(), now=0, vary=varies, state="imgforge; hit")
            given = [(request.getHeader(name) or b"").decode("latin-1") for name in CONDITIONS]
            if answer is not (as_wanted := conditioned(answer, Conditions(*given), 0)):
                return as_wanted
            return Answer(200, answer.headers, answer.body, Offer(b"key", until, varies))

        async def other(_: Request) -> Answer:
            return Answer(404, [], b"nothing\n")

        routes = [Route(b"/image", "i", image), Route(b"/varies", "i", image), Route(b"", "o", other, prefix=True)]
        self.log = Log()
        server = Server(self.clock, routes, Metrics(), self.log, [(b"Server", b"imgforge")], b"", self.lane)
        self.site = ImageSite(server, self.clock, keep_alive=60, read_timeout=60, lane=self.lane)

    @property
    def by_lane(self) -> float:
        """How many requests the lane has answered."""
        return sum(counted[0] for counted in self.lane.answered.values()) if self.lane is not None else 0

    def connect(self) -> tuple[Any, Wire]:
        channel = self.site.buildProtocol(None)
        transport = Wire(peerAddress=IPv4Address("TCP", "192.0.2.1", 1))
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, *parts: bytes) -> bytes:
        """What comes back for *parts*, each of which arrives alone, on a fresh connection."""
        channel, transport = self.connect()
        for part in parts:
            if not transport.disconnecting:
                channel.dataReceived(part)
        written: bytes = transport.value()
        return written

    def logged(self) -> list[Access]:
        """What has been logged, but for what differs each time."""
        lines = self.log.lines + [hit_access(hit) for hit in (self.lane.take_hits() if self.lane else ())]
        self.log.lines = []
        return [replace(line, at=0, seconds=0, request_id="") for line in lines]

    def warm(self, *targets: bytes) -> None:
        for target in targets:
            self.ask(request(target))
        self.normal = 0
        self.logged()


def request(target: bytes = b"/image", *headers: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b"%s %s %s" % (method, target, version), b"Host: x", *headers, b"", b""])


def parsed(answer: bytes) -> list[tuple[bytes, set[bytes], bytes]]:
    """Status line, headers and body of each answer, without the headers that are new each time."""
    made = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        length = 0 if rest[:8] == b"HTTP/1.1" else min(length, len(rest))
        changing = (b"date:", b"x-request-id:")
        made.append((status, {line for line in lines if not line.lower().startswith(changing)}, rest[:length]))
        answer = rest[length:]
    return made


class LaneTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(with_lane=True)
        self.plain = Site(with_lane=False)
        self.site.warm(b"/image")

    def test_a_hit_is_what_twisted_web_would_say(self) -> None:
        for one in (
            request(),
            request(method=b"HEAD"),
            request(b"/image", b'If-None-Match: "tag1"'),
            request(b"/image", b'If-None-Match: W/"tag1"', b"Accept: */*", b"User-Agent: x", b"Connection: keep-alive"),
        ):
            self.assertEqual(parsed(self.site.ask(one)), parsed(self.plain.ask(one)))
        self.assertEqual(self.site.normal, 0)

    def test_a_hit_is_logged_as_the_normal_way_does(self) -> None:
        for one in (
            request(),
            request(method=b"HEAD"),
            request(b"/image", b'If-None-Match: "tag1"', b"User-Agent: x/1", b"referer:  http://page/ "),
            request(b"/image", b"User-Agent:"),
        ):
            self.site.ask(one)
            self.plain.ask(one)
            self.assertEqual(self.site.logged(), self.plain.logged())
        self.assertEqual(self.site.normal, 0)
        self.site.ask(request(b"/image", b"X-Request-ID: mine"))
        assert self.site.lane is not None
        (line,) = map(hit_access, self.site.lane.take_hits())
        self.assertEqual((line.request_id, line.client, line.cache), ("mine", "192.0.2.1", "imgforge; hit"))
        self.assertApproximates(line.at, time.time(), 60)

    def test_hits_are_kept_for_nobody(self) -> None:
        tier = MemoryTier(1_000_000, 100)
        tier.put(b"key", ENTRY)
        lane = FastLane(tier, b"")
        lane.offer(b"/image", b"", Offer(b"key", float("inf"), False), [], BODY)
        self.assertIsNotNone(lane.answer(request()))
        self.assertEqual(lane.take_hits(), [])

    def test_an_entry_offered_by_a_last_request_does_not_say_close(self) -> None:
        site = Site(with_lane=True)
        site.ask(request(b"/image", b"Connection: close"))
        answer = site.ask(request())
        self.assertEqual(site.normal, 1)
        self.assertNotIn(b"onnection: close", answer)

    def test_what_is_not_simple_goes_the_normal_way(self) -> None:
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
            request(b"/image?x"),
            request().replace(b"Host: x\r\n", b""),
            request().replace(b"Host: x", b"Host : x"),
            request(b"/image", b" folded: line"),
            request().replace(b"Host: x", b"Host: x/y"),
            request(b"/image", b"User-Agent: x\nContent-Length: 3"),
            request(b"/image", b"User-Agent: x\rContent-Length: 3"),
            request(b"/image", b"Cookie: \0"),
            request(b"/image", *[b"TE: x"] * 600),
        ):
            before = sum(
                counted[0] for counted in (self.site.lane or FastLane(MemoryTier(1, 1), b"")).answered.values()
            )
            self.assertEqual(parsed(self.site.ask(one)), parsed(self.plain.ask(one)), one)
            after = sum(counted[0] for counted in (self.site.lane or FastLane(MemoryTier(1, 1), b"")).answered.values())
            self.assertEqual(before, after, one)

    def test_a_request_in_pieces_is_answered_once(self) -> None:
        whole = request()
        for at in range(1, len(whole), 7):
            self.assertEqual(len(parsed(self.site.ask(whole[:at], whole[at:]))), 1)

    def test_the_request_id_is_the_clients_or_new(self) -> None:
        self.assertIn(b"X-Request-Id: mine\r\n", self.site.ask(request(b"/image", b"X-Request-ID: mine")))
        ids = {self.site.ask(request()).partition(b"X-Request-Id: ")[2][:32] for _ in range(5)}
        self.assertEqual(len(ids), 5)

    def test_an_entry_leaves_with_its_cache_entry(self) -> None:
        self.site.tier.remove(b"key")
        self.assertEqual(len(self.site.lane or ()), 0)
        self.site.ask(request())
        self.assertEqual(self.site.normal, 1)

    def test_an_entry_leaves_when_its_time_is_over(self) -> None:
        site = Site(with_lane=True, until=100)
        site.warm(b"/image")
        site.ask(request())
        self.assertEqual(site.normal, 0)
        site.clock.advance(101)
        site.ask(request())
        self.assertEqual(site.normal, 1)

    def test_the_token_is_needed(self) -> None:
        site = Site(with_lane=True, secret="s")
        token = b"Authorization: Bearer s"
        site.ask(request(b"/image", token))
        site.normal = 0
        self.assertIn(b" 200 OK", site.ask(request(b"/image", token)))
        self.assertEqual(site.normal, 0)
        for wrong in ((), (b"Authorization: Bearer t",)):
            self.assertIn(b" 403 ", site.ask(request(b"/image", *wrong)))

    def test_an_answer_that_varies_holds_for_its_accept_header_only(self) -> None:
        webp = b"Accept: image/webp"
        self.site.ask(request(b"/varies", webp))
        self.site.normal = 0
        self.site.ask(request(b"/varies", webp))
        self.assertEqual(self.site.normal, 0)
        self.site.ask(request(b"/varies", b"Accept: image/png"))
        self.assertEqual(self.site.normal, 1)

    def test_spellings_of_one_entry_are_bounded(self) -> None:
        for number in range(100):
            self.site.ask(request(b"/varies", b"Accept: image/%d" % number))
        self.assertLess(len(self.site.lane or ()), 20)


lines = st.sampled_from(
    [b"Accept: */*", b"accept:image/webp", b'If-None-Match: "tag1"', b"If-None-Match: *", b"Connection: keep-alive",
     b"Connection: close", b"Range: bytes=0-1", b"Cookie: a=b", b"Content-Length: 3", b"Transfer-Encoding: chunked",
     b"X-Request-ID: a", b"Authorization: Bearer s", b"Expect: 100-continue", b"X: y", b"bad header", b":", b" fold"]
)  # fmt: skip
starts = st.sampled_from([b"GET /image", b"HEAD /image", b"GET /varies", b"GET /other", b"GET  /image", b"get /image"])
ends = st.sampled_from([b" HTTP/1.1", b" HTTP/1.0", b"", b" HTTP/1.1 ", b" HTTP/2.0"])


class DifferentialTests(SynchronousTestCase):
    @given(starts, ends, st.lists(lines, max_size=4), st.binary(max_size=12), st.integers(0, 80), st.booleans())
    def test_random_requests_get_the_same_answers_with_and_without_the_lane(
        self, start: bytes, end: bytes, headers: list[bytes], behind: bytes, cut: int, twice: bool
    ) -> None:
        data = b"\r\n".join([start + end, b"Host: x", *headers, b"", b""]) + behind
        if twice:
            data += request()
        sites = [Site(with_lane=with_lane) for with_lane in (True, False)]
        for site in sites:
            site.warm(b"/image", b"/varies")
        answers = [site.ask(*filter(None, (data[:cut], data[cut:]))) for site in sites]
        self.assertEqual(parsed(answers[0]), parsed(answers[1]), data)
