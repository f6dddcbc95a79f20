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
from imgforge.web import (
    Answer,
    AnswerSettings,
    BearerGate,
    Clients,
    ConnectionLimits,
    FastLane,
    FastLaneSettings,
    ImageSite,
    Offer,
    Route,
    Server,
    ServerSettings,
    hit_access,
)
from imgforge.web.http import Conditions, ServedImage, aging_since, conditioned, image_answer, record_of
from tests.support.requests import REQUEST

__all__ = ["BODY", "ENTRY", "Log", "Site", "Wire", "request"]


CONDITIONS = (b"if-none-match", b"if-modified-since", b"if-range", b"range")


BODY = b"pixels" * 50


ENTRY = CacheEntry(Rendition(BODY, "png", "image/png", 1, 1), 0.0, "tag1")


class Wire(StringTransport):
    """Allows what a real transport allows: to pause or resume after the end."""

    def pauseProducing(self) -> None:
        """Nothing is produced here."""

    def resumeProducing(self) -> None:
        """Nothing is produced here."""


class Log(AccessLog):
    """Keeps the lines in a list."""

    enabled = True

    def __init__(self) -> None:
        self.lines: list[Access] = []

    def write(self, access: Access) -> None:
        """Keeps *access*."""
        self.lines.append(access)


class Site:
    """One image at /image, and one that varies at /varies, with or without a fast lane, over in-memory transports."""

    def __init__(
        self,
        *,
        with_fast_lane: bool,
        secret: str = "",
        until: float = float("inf"),
        clients: Clients | None = None,
        entry: CacheEntry = ENTRY,
    ) -> None:
        self.clock = Clock()
        self.admit: Callable[[Request], None] = lambda _: None
        self.tier = MemoryTier(1_000_000, 100)
        self.tier.put(b"key", entry)
        self.by_twisted = 0  # requests that twisted.web has answered
        gate = BearerGate(secret)
        clients = clients or Clients()
        fast_lane = FastLane(self.tier, FastLaneSettings(gate.expected, clients, logged=True), self.clock.seconds)
        self.fast_lane = fast_lane if with_fast_lane else None

        async def image(request: Request) -> Answer:
            self.by_twisted += 1
            record = record_of(request)
            record.source, record.format = "http://origin/a.png", "png"
            gate.check(request.getHeader(b"authorization"))
            self.admit(request)
            varies = request.path == b"/varies"
            vary = [b"Accept"] if varies else []
            settings = AnswerSettings(cache_control_passthrough=True)
            served = ServedImage(entry, now=self.clock.seconds(), vary=vary, cache_status="imgforge; hit")
            answer = image_answer(served, REQUEST, settings)
            conditions = [(request.getHeader(name) or b"").decode("latin-1") for name in CONDITIONS]
            if answer is not (conditional := conditioned(answer, Conditions(*conditions), 0)):
                return conditional
            offer = Offer(b"key", until, varies, aging_since(entry, settings), None, record.source, record.format)
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
        chosen = ServerSettings(headers=[(b"Server", b"imgforge")], clients=clients)
        server = Server(self.clock, routes, Metrics(), self.log, chosen, self.fast_lane)
        self.site = ImageSite(server, self.clock, ConnectionLimits(keep_alive=60, read_timeout=60), self.fast_lane)

    @property
    def hits(self) -> float:
        """How many requests the fast lane has answered."""
        return sum(counted[0] for counted in self.fast_lane.answered.values()) if self.fast_lane is not None else 0

    def connect(self) -> tuple[Any, Wire]:
        channel = self.site.buildProtocol(None)
        transport = Wire(peerAddress=IPv4Address("TCP", "192.0.2.1", 1))
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, *parts: bytes) -> bytes:
        """The response to *parts*, each of which arrives by itself, on a new connection."""
        channel, transport = self.connect()
        for part in parts:
            if not transport.disconnecting:
                channel.dataReceived(part)
        written: bytes = transport.value()
        return written

    def logged(self) -> list[Access]:
        """The log lines since the last call, without the fields that differ each time."""
        lines = self.log.lines + [hit_access(hit) for hit in (self.fast_lane.take_hits() if self.fast_lane else ())]
        self.log.lines = []
        return [line._replace(at=0, seconds=0, request_id="") for line in lines]

    def warm(self, *targets: bytes) -> None:
        for target in targets:
            self.ask(request(target))
        self.by_twisted = 0  # requests that twisted.web has answered
        self.logged()


def request(target: bytes = b"/image", *headers: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b"%s %s %s" % (method, target, version), b"Host: localhost", *headers, b"", b""])
