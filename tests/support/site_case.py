"""A site with connections in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request

from imgforge.observability import IRequestObserver, Metrics
from imgforge.web import Answer, ConnectionLimits, ImageSite, Route, Server, ServerSettings, whole_body
from imgforge.web.routes import STREAMED
from tests.support.fast_lane_case import Log, Wire

__all__ = ["SiteCase"]


class Abortable(Wire):
    """Keeps whether it was aborted."""

    aborted = False

    def abortConnection(self) -> None:
        """Notes the call."""
        self.aborted = True


class SiteCase(SynchronousTestCase):
    observers: Sequence[IRequestObserver] = ()
    path_prefix = b""

    def setUp(self) -> None:
        self.clock = Clock()
        self.slow: Deferred[Answer] = Deferred()
        self.access = Log()

        async def quick(_: Request) -> Answer:
            return Answer(200, [], b"quick")

        async def slow(_: Request) -> Answer:
            return await self.slow

        self.posted: list[tuple[bytes, Any]] = []  # path and arguments of each request with a body

        async def posted(request: Request) -> Answer:
            self.posted.append((request.path, request.args))
            return Answer(200, [], whole_body(request))

        async def stream(request: Request) -> Answer:
            request.write(b"some")
            await self.slow
            return STREAMED

        routes = [
            Route(b"/health", "h", quick, always=True),
            Route(b"/quick", "q", quick),
            Route(b"/slow", "s", slow),
            Route(b"/stream", "r", stream),
            Route(b"/posted", "p", posted, methods=(b"POST",)),
            Route(b"", "o", quick, prefix=True),
        ]
        self.metrics = Metrics()
        chosen = ServerSettings(headers=[(b"X-Configured", b"yes")], path_prefix=self.path_prefix)
        server = Server(self.clock, routes, self.metrics, self.access, chosen, observers=self.observers)
        self.site = ImageSite(server, self.clock, ConnectionLimits(keep_alive=60, read_timeout=5))

    def connect(self) -> tuple[Any, Abortable]:
        channel = self.site.buildProtocol(None)
        transport = Abortable(peerAddress=IPv4Address("TCP", "192.0.2.1", 1))
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, data: bytes) -> tuple[Any, Abortable]:
        channel, transport = self.connect()
        channel.dataReceived(data)
        return channel, transport
