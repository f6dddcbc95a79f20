"""A site with a fast lane, and a client's connection in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.server import Request

from imgforge.cache import MemoryTier
from imgforge.model import CacheEntry, Rendition
from imgforge.observability import Access, AccessLog, Metrics
from imgforge.web.fast_lane.lane import FastLane, Offer, hit_access
from imgforge.web.http.conditions import Conditions, conditioned
from imgforge.web.http.forwarded import Clients
from imgforge.web.http.record import record_of
from imgforge.web.http.request_headers import BearerGate
from imgforge.web.http.response import Answer, AnswerSettings, aging_since, image_answer
from imgforge.web.routes import Route
from imgforge.web.server import Server
from imgforge.web.site import ImageSite
from tests.support.requests import REQUEST

__all__ = ["BODY", "ENTRY", "Log", "Site", "Wire", "request"]


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

    def __init__(
        self,
        *,
        with_lane: bool,
        secret: str = "",
        until: float = float("inf"),
        clients: Clients | None = None,
        entry: CacheEntry = ENTRY,
    ) -> None:
        self.clock = Clock()
        self.admit: Callable[[Request], None] = lambda _: None
        self.tier = MemoryTier(1_000_000, 100)
        self.tier.put(b"key", entry)
        self.normal = 0
        gate = BearerGate(secret)
        lane = FastLane(self.tier, gate.expected, self.clock.seconds, logged=True, clients=clients)
        self.lane = lane if with_lane else None

        async def image(request: Request) -> Answer:
            self.normal += 1
            record = record_of(request)
            record.source, record.format = "http://origin/a.png", "png"
            gate.check(request.getHeader(b"authorization"))
            self.admit(request)
            varies = request.path == b"/varies"
            vary = [b"Accept"] if varies else []
            chosen, now = AnswerSettings(cache_control_passthrough=True), self.clock.seconds()
            answer = image_answer(entry, REQUEST, chosen, now=now, vary=vary, state="imgforge; hit")
            given = [(request.getHeader(name) or b"").decode("latin-1") for name in CONDITIONS]
            if answer is not (as_wanted := conditioned(answer, Conditions(*given), 0)):
                return as_wanted
            offer = Offer(b"key", until, varies, aging_since(entry, chosen), None, record.source, record.format)
            return Answer(200, answer.headers, answer.body, offer)

        async def other(_: Request) -> Answer:
            return Answer(404, [], b"nothing\n")

        routes = [
            Route(b"/image", "i", image),
            Route(b"/varies", "i", image),
            Route(b"/health", "h", image, always=True),
            Route(b"", "o", other, prefix=True),
        ]
        self.log = Log()
        server = Server(self.clock, routes, Metrics(), self.log, [(b"Server", b"imgforge")], b"", self.lane, clients)
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
        return [line._replace(at=0, seconds=0, request_id="") for line in lines]

    def warm(self, *targets: bytes) -> None:
        for target in targets:
            self.ask(request(target))
        self.normal = 0
        self.logged()


def request(target: bytes = b"/image", *headers: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b"%s %s %s" % (method, target, version), b"Host: localhost", *headers, b"", b""])
