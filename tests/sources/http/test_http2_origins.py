"""Fetches over HTTP/2 as a whole: ALPN, the pool and the tunnel of a proxy, from hypercorn."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SkipTest

from imgforge.sources import SourceRegistry
from tests.support.http2_servers import HypercornOrigin, NginxOrigin, content
from tests.support.http_case import HttpCase
from tests.support.proxy import Proxy
from tests.support.scripted_origin import until


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return not client.connect_ex(("127.0.0.1", port))


class Http2OriginTests(HttpCase):
    timeout = 120
    hypercorn: HypercornOrigin

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.hypercorn = HypercornOrigin(scratch.name)
        cls.addClassCleanup(cls.hypercorn.stop)

    def setUp(self) -> None:
        self.proxy = Proxy()  # which counts connections
        self.addCleanup(lambda: Deferred.fromCoroutine(self.proxy.close()))

    def proxied(self, **changes: Any) -> SourceRegistry:
        return self.sources(
            proxies={"HTTPS_PROXY": self.proxy.url()},
            ignore_ssl_verification=True,
            response_headers=("x-version", "x-target"),
            **changes,
        )

    async def test_more_connections_are_opened_where_the_streams_of_one_are_in_use(self) -> None:
        """nginx allows 8 streams and ends a connection after 100 requests."""
        if NginxOrigin.program is None:
            raise SkipTest("nginx is not installed")
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        nginx = NginxOrigin(scratch.name)
        self.addCleanup(nginx.stop)
        Path(scratch.name, "files", "a").write_bytes(content("a", 50_000))
        sources, url = self.proxied(), f"https://origin.test:{nginx.port}/a"
        await until(lambda: _listens(nginx.port))
        for _ in range(8):
            images = await gatherResults([sources.fetch(url, None, {}) for _ in range(64)])
            self.assertEqual({image.body for image in images}, {content("a", 50_000)})
        self.assertGreaterEqual(len(self.proxy.heads), 8)
        self.assertLess(len(self.proxy.heads), 64)

    def url(self, path: str, host: str = "origin.test") -> str:
        return f"https://{host}:{self.hypercorn.port}{path}"

    async def fetch_many(self, sources: SourceRegistry, number: int) -> set[str]:
        """The versions of HTTP by which *number* originals came at once."""
        fetching = [sources.fetch(self.url(f"/100000/{name}"), None, {}) for name in range(number)]
        images = await gatherResults(fetching)
        self.assertEqual([image.body for image in images], [content(str(name), 100_000) for name in range(number)])
        return {dict(image.headers)["x-version"] for image in images}

    async def test_64_originals_share_one_connection(self) -> None:
        sources = self.proxied()
        for _ in range(2):
            self.assertEqual(await self.fetch_many(sources, 64), {"2"})
        self.assertEqual(len(self.proxy.heads), 1)

    async def test_switched_off_each_has_its_own(self) -> None:
        self.assertEqual(await self.fetch_many(self.proxied(http2=False), 8), {"1.1"})
        self.assertEqual(len(self.proxy.heads), 8)

    async def test_the_bytes_of_the_url_arrive_and_certificates_are_verified(self) -> None:
        target = "/5/a%2fb//c/../d?sig=%7E%2B+x"
        sources = self.sources(ca_file=self.hypercorn.pem, response_headers=("x-version", "x-target"))
        image = await sources.fetch(self.url(target, "localhost"), None, {})
        self.assertEqual(dict(image.headers), {"x-version": "2", "x-target": target})

    async def test_another_host_of_the_certificate_has_its_own_connection(self) -> None:
        sources = self.proxied()
        for host in ("one.test", "other.test"):
            await sources.fetch(self.url("/5/a", host), None, {})
        self.assertEqual(len(self.proxy.heads), 2)

    async def test_one_connection_is_opened_ahead(self) -> None:
        sources = self.proxied(preconnect=4, preconnect_urls=(self.url("/"),))
        await until(lambda: self.proxy.heads)
        self.assertEqual(await self.fetch_many(sources, 10), {"2"})
        self.assertEqual(len(self.proxy.heads), 1)
