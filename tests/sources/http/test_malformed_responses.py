"""Origins that break HTTP around their responses, and connections that must not be used again."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from imgforge.errors import ImgforgeError, OriginFailed, SourceNotFound, SourceRefused, SourceTooLarge
from imgforge.sources import SourceRegistry
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import ScriptedOrigin, reactor, response, until

SIZE = 200_000


class SurplusTests(HttpCase):
    """A connection with bytes after a response is not used again (response smuggling)."""

    async def connections_for_two(self, sources: SourceRegistry, origin: ScriptedOrigin) -> int:
        for _ in range(2):
            self.assertEqual((await sources.fetch(origin.url(), None, {})).body, b"first")
        return origin.connected

    async def test_surplus_bytes_in_the_same_segment(self) -> None:
        origin = self.origin(response(b"first") + response(b"poison"))
        self.assertEqual(await self.connections_for_two(self.sources(), origin), 2)

    async def test_surplus_bytes_after_a_response_without_body(self) -> None:
        def answer(head: bytes) -> bytes:
            if b"/moved" in head:
                return response(b"first")
            return response(b"", "302 Found", Location="/moved") + response(b"poison")

        origin = self.origin(answer)
        self.assertEqual((await self.sources().fetch(origin.url(), None, {})).body, b"first")
        self.assertEqual(origin.connected, 2)

    async def test_surplus_bytes_in_the_kernels_buffer(self) -> None:
        """A read of the reactor ends exactly with the response; the next request is sent before the next read."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 65000\r\nX-Pad: "
        answer = head + b"p" * (65536 - 65000 - len(head) - 4) + b"\r\n\r\n" + b"x" * 65000
        origin, sources = self.origin(answer + response(b"poison")), self.sources()
        for _ in range(3):
            self.assertEqual((await sources.fetch(origin.url(), None, {})).body, b"x" * 65000)
        self.assertEqual(origin.connected, 3)

    async def test_a_connection_that_was_closed_while_idle_is_replaced(self) -> None:
        def once(transport: Any) -> None:
            transport.write(response(b"first"))
            transport.loseConnection()

        origin = self.origin(lambda _: once)
        self.assertEqual(await self.connections_for_two(self.sources(), origin), 2)


class HeadTests(HttpCase):
    async def test_endless_headers_abort_the_connection(self) -> None:
        def flood(transport: Any) -> None:
            transport.write(b"HTTP/1.1 200 OK\r\n" + b"X-Flood: yes\r\n" * 20_000)

        origin = self.origin(lambda _: flood)
        with self.assertRaises(OriginFailed):
            await self.sources().fetch(origin.url(), None, {})
        await until(lambda: not origin.open)

    async def test_endless_interim_responses_fail(self) -> None:
        await self.assert_fails(OriginFailed, b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000)

    async def test_a_few_interim_responses_are_skipped(self) -> None:
        answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + response(b"picture")
        self.assertEqual((await self.fetch(answer)).body, b"picture")

    async def test_contradictory_lengths_fail(self) -> None:
        await self.assert_fails(OriginFailed, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")

    async def test_control_characters_are_removed_from_headers(self) -> None:
        image = await self.fetch(response(b"x", Content_Type="image/png\x01\x85;a", ETag='"a\x7fb"'))
        self.assertEqual((image.content_type, image.etag), ("image/png;a", '"ab"'))

    async def test_nul_in_a_header_fails(self) -> None:
        await self.assert_fails(OriginFailed, response(b"x", ETag='"a\0b"'))

    async def test_no_line_break_is_sent_in_a_request(self) -> None:
        origin = self.origin(response(b"x"))
        await self.sources().fetch(origin.url("/a\r\nEvil: 1"), None, {"x-extra": "1\r\nEvil: 1\0"})
        self.assertNotIn(b"\r\nevil:", origin.heads[0].lower())
        self.assertNotIn(b"\0", origin.heads[0])

    async def test_cookies_are_not_kept(self) -> None:
        origin, sources = self.origin(response(b"x", Set_Cookie="a=b; Path=/")), self.sources()
        for _ in range(2):
            await sources.fetch(origin.url(), None, {})
        self.assertNotIn(b"cookie", origin.heads[1].lower())


class EncodingTests(HttpCase):
    async def test_identity_is_asked_for_and_deflate_is_understood(self) -> None:
        origin = self.origin(response(zlib.compress(b"picture"), Content_Encoding="deflate"))
        self.assertEqual((await self.sources().fetch(origin.url(), None, {})).body, b"picture")
        self.assertIn(b"accept-encoding: identity", origin.heads[0].lower())

    async def test_damaged_compressed_bodies_fail(self) -> None:
        packed = gzip.compress(bytes(range(256)) * 50)
        for wrong in (packed[:-9], packed + b"more", b"not packed", packed[:20] + b"\xff" * 20 + packed[40:]):
            await self.assert_fails(OriginFailed, response(wrong, Content_Encoding="gzip"))

    async def test_the_limit_holds_for_the_unpacked_body(self) -> None:
        packed = gzip.compress(b"x" * 1000)
        self.assertEqual(len((await self.fetch(response(packed, Content_Encoding="gzip"), limit=1000)).body), 1000)
        await self.assert_fails(SourceTooLarge, response(packed, Content_Encoding="gzip"), limit=999)

    async def test_a_bomb_is_refused_long_before_the_limit(self) -> None:
        limit = 200 << 20
        for body in (
            bytes(9 << 20),  # a thousand times larger
            os.urandom(700_000) + bytes(60 << 20),  # not as a whole, but one read of it
        ):
            packed = gzip.compress(body)
            await self.assert_fails(SourceTooLarge, response(packed, Content_Encoding="gzip"), limit=limit)

    async def test_well_compressed_bodies_are_no_bombs(self) -> None:
        for body in (bytes(8 << 20), os.urandom(100).hex().encode() * 9, os.urandom(300_000) + bytes(12 << 20)):
            packed = gzip.compress(body)
            image = await self.fetch(response(packed, Content_Encoding="gzip"), limit=200 << 20)
            self.assertEqual(len(image.body), len(body))


class RefusedConnectionTests(HttpCase):
    """A refused response leaves no connection open."""

    async def test_each_kind_of_refusal_closes_the_connection(self) -> None:
        body = b"x" * SIZE
        for answer, limit in (
            (response(body, "206 Partial Content"), None),
            (response(body, "500 Oops"), None),
            (response(body, "404 Not Found"), None),
            (response(body, Content_Encoding="br"), None),
            (response(body, "302 Found", Location="ftp://x/"), None),
            (response(body, "302 Found", Location="http://[::1"), None),
            (response(body), 10),
            (b"HTTP/1.1 200 OK\r\n\r\n" + body, 10),
        ):
            origin = self.origin(answer)
            with self.assertRaises(ImgforgeError):
                await self.sources().fetch(origin.url(), limit, {})
            await until(lambda origin=origin: not origin.open)  # type: ignore[misc]

    async def test_cancelling_in_the_middle_of_a_body_closes_the_connection(self) -> None:
        origin = self.origin(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nstart")
        fetching = self.sources().fetch(origin.url(), None, {})
        await until(lambda: bool(origin.heads))
        await deferLater(reactor, 0.05)
        fetching.cancel()
        with self.assertRaises(CancelledError):
            await fetching
        await until(lambda: not origin.open)


class RedirectTests(HttpCase):
    def to(self, location: str) -> ScriptedOrigin:
        return self.origin(response(b"", "302 Found", Location=location))

    async def test_credentials_are_not_sent_to_another_origin(self) -> None:
        other = self.origin(response(b"x"))
        first = self.to(other.url())
        sent = {"authorization": "secret", "X-Api-Key": "secret", "if-none-match": '"v"'}
        await self.sources().fetch(first.url(), None, sent)
        self.assertEqual(first.heads[0].count(b"secret"), 2)
        self.assertNotIn(b"secret", other.heads[0])
        self.assertIn(b'if-none-match: "v"', other.heads[0].lower())

    async def test_credentials_are_sent_again_to_the_same_origin(self) -> None:
        origin = self.origin(
            lambda head: response(b"x") if b"/b" in head else response(b"", "302 Found", Location="/b")
        )
        await self.sources().fetch(origin.url(), None, {"authorization": "secret"})
        self.assertIn(b"secret", origin.heads[1])

    async def test_locations_in_utf8_are_escaped(self) -> None:
        moved = "/ä b.jpg"
        origin = self.origin(
            lambda head: response(b"x") if b"%C3%A4%20b" in head else response(b"", "301 Moved", Location=moved)
        )
        self.assertEqual((await self.sources().fetch(origin.url(), None, {})).body, b"x")

    async def test_a_location_must_be_a_valid_url(self) -> None:
        for location, error in (
            ("http://[::1", OriginFailed),
            ("http://a b/", SourceNotFound),
            ("http://user@127.0.0.1/", SourceRefused),
        ):
            with self.assertRaises(error):
                await self.sources().fetch(self.to(location).url(), None, {})
