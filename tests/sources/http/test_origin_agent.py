"""The agent below treq: exact bytes, no cookies, and bodies that treq finds inflated."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

from treq.client import HTTPClient
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface.verify import verifyObject

from imgforge.errors import ImgforgeError, OriginFailed, SourceMissing
from imgforge.sources.http.connection_pool import ConnectionPool
from imgforge.sources.http.connector import Connector
from imgforge.sources.http.origin_agent import NoCookies, OriginAgent
from imgforge.sources.http.origin_request import OriginRequest
from imgforge.testing import MemoryConsumer
from tests.support.http_case import SETTINGS, HttpCase
from tests.support.scripted_origin import ScriptedOrigin, reactor, response

PACKED = gzip.compress(b"picture")


class AgentTests(HttpCase):
    async def get(self, origin: ScriptedOrigin, path: str = "/", headers: Mapping[str, str] | None = None) -> Any:
        """treq's response for another URL, and its body."""
        pool = ConnectionPool(reactor, Connector(reactor, SETTINGS), 90, 4, 100)
        self.addCleanup(pool.close)
        agent = OriginAgent(pool, OriginRequest(origin.url(path), headers or {}), {})
        self.assertTrue(verifyObject(IAgent, agent))
        jar: Any = NoCookies()
        answer = await HTTPClient(agent, jar).get(
            "http://other/?a", headers=Headers({"X-Other": ["x"]}), unbuffered=True
        )
        return answer, await answer.content()

    async def test_the_bytes_of_the_wire_url_are_sent(self) -> None:
        origin = self.origin(response(b"picture"))
        target = "/a%2fb//c/../d?sig=%7E%2B+x"
        await self.get(origin, target)
        self.assertEqual(origin.heads[0].split(b"\r\n")[0], f"GET {target} HTTP/1.1".encode())

    async def test_headers_are_as_given_and_those_of_the_connection_are_its_own(self) -> None:
        origin = self.origin(response(b"picture"))
        given = {"X-Amz-Date": "now", "Accept-Encoding": "br", "Connection": "close", "Transfer-Encoding": "chunked"}
        await self.get(origin, headers=given)
        authority = origin.url("").removeprefix("http://").encode()
        self.assertEqual(
            sorted(origin.heads[0].split(b"\r\n")[1:]),
            [b"Accept-Encoding: identity", b"Host: " + authority, b"X-Amz-Date: now"],
        )

    async def test_a_host_that_was_signed_is_sent(self) -> None:
        origin = self.origin(response(b"picture"))
        await self.get(origin, headers={"Host": "bucket.test"})
        self.assertEqual(origin.heads[0].count(b"Host: "), 1)
        self.assertIn(b"Host: bucket.test\r\n", origin.heads[0] + b"\r\n")

    async def test_treq_sees_no_encoding_that_it_would_undo(self) -> None:
        for encoding, body in (
            ("gzip", b"picture"), ("GZip", b"picture"), ("x-gzip", b"picture"), ("identity", PACKED),
            ("br, gzip", PACKED), ("gzip, br", PACKED), ("gzip, gzip", PACKED),
        ):  # fmt: skip
            answer, read = await self.get(self.origin(response(PACKED, Content_Encoding=encoding)))
            self.assertEqual(read, body, encoding)
            self.assertNotIn(b"gzip", b"".join(answer.headers.getRawHeaders(b"content-encoding", [])))

    async def test_no_cookie_is_kept(self) -> None:
        answer, _ = await self.get(self.origin(response(b"", Set_Cookie="a=b; Path=/")))
        self.assertEqual(list(answer.cookies()), [])


class UnreadableTests(HttpCase):
    """Responses whose encoding nothing undoes."""

    async def test_they_fail_before_the_head_of_a_stream(self) -> None:
        for status, headers, encoding in (
            ("200 OK", {}, "br"), ("200 OK", {}, "br, gzip"), ("206 Part", {"range": "bytes=0-9"}, "gzip"),
            ("416 No", {"range": "bytes=0-9"}, "zstd"),
        ):  # fmt: skip
            consumer = MemoryConsumer()
            origin = self.origin(response(PACKED, status, Content_Encoding=encoding))
            with self.assertRaises(OriginFailed):
                await self.sources().stream(origin.url(), headers, consumer.started)
            self.assertIsNone(consumer.head)

    async def test_a_status_says_more_than_the_encoding_of_its_page(self) -> None:
        with self.assertRaises(SourceMissing):
            await self.fetch(response(PACKED, "404 No", Content_Encoding="br"))

    async def test_a_304_has_no_body_in_any_encoding(self) -> None:
        for encoding in ("gzip", "br"):
            origin = self.origin(response(b"", "304 Same", Content_Encoding=encoding))
            image = await self.sources().fetch(origin.url(), None, {"if-none-match": '"v"'})
            self.assertTrue(image.not_modified)

    async def test_damage_in_a_stream_is_the_streams_failure(self) -> None:
        consumer = MemoryConsumer()
        origin = self.origin(response(PACKED[:-4], Content_Encoding="gzip"))
        with self.assertRaises(ImgforgeError):
            await self.sources().stream(origin.url(), {}, consumer.started)
        self.assertEqual((consumer.body, consumer.producer), (b"picture", None))
