"""Fetches from HTTP origins: correct, broken, slow, endless and hostile ones."""

from __future__ import annotations

import gzip
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from imgforge.errors import (
    ImgforgeError,
    OriginFailed,
    OriginTimeout,
    SourceMissing,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
)
from imgforge.model import SourceImage
from imgforge.sources import AddressPolicy
from tests.support.http_case import HttpCase
from tests.support.logged_lines import logged_lines
from tests.support.scripted_origin import ScriptedOrigin, reactor, response

_LOOPBACK = """127.0.0.1 localhost LOCALHOST. 2130706433 0x7f000001 0177.0.0.1 127.1 0.0.0.0 [::1] [::ffff:127.0.0.1]
    [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1]"""


class LogTests(HttpCase):
    async def test_the_query_of_a_url_is_not_logged(self) -> None:
        lines = logged_lines(self)
        origin = self.origin(lambda _: lambda transport: transport.loseConnection())
        await self.assertFailure(self.sources().fetch(origin.url() + "?signature=secret", None, {}), OriginFailed)
        (line,) = [line for line in lines if "cannot fetch" in line]
        self.assertIn(origin.url(), line)
        self.assertNotIn("signature", line)


class GoodOriginTests(HttpCase):
    async def test_an_image_has_body_and_validators(self) -> None:
        answer = response(
            b"picture", ETag='"v1"', Last_Modified="yesterday", Cache_Control="max-age=5", Content_Type="image/png"
        )
        image = await self.fetch(answer)
        self.assertEqual(image, SourceImage(b"picture", "image/png", '"v1"', "yesterday", "max-age=5", ""))

    async def test_a_copy_is_revalidated(self) -> None:
        answers = [
            b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nCache-Control: max-age=9\r\nContent-Length: 5000\r\n\r\n',
            response(b"new", ETag='"v2"'),
        ]
        origin, sources = self.origin(lambda _: answers.pop(0)), self.sources()
        validators = {"if-none-match": '"v1"', "if-modified-since": "yesterday"}
        unchanged = await sources.fetch(origin.url(), 100, validators)
        self.assertEqual(unchanged, SourceImage(b"", "", '"v1"', "", "max-age=9", "", not_modified=True))
        self.assertIn(b'If-None-Match: "v1"\r\n', origin.heads[0] + b"\r\n")
        new = await sources.fetch(origin.url(), 100, validators)
        self.assertEqual((new.body, new.etag, new.not_modified), (b"new", '"v2"', False))
        self.assertEqual(origin.connected, 1)

    async def test_a_304_to_an_unconditional_request_fails(self) -> None:
        await self.assert_fails(OriginFailed, b"HTTP/1.1 304 Not Modified\r\n\r\n")

    async def test_404_and_410_are_missing_sources_and_403_is_not(self) -> None:
        for status, missing in (("404 Not Found", True), ("410 Gone", True), ("403 Forbidden", False)):
            with self.assertRaises(SourceNotFound) as caught:
                await self.fetch(response(b"", status))
            self.assertEqual(isinstance(caught.exception, SourceMissing), missing)

    async def test_connections_are_reused(self) -> None:
        origin, sources = self.origin(response(b"x")), self.sources()
        for _ in range(5):
            await sources.fetch(origin.url(), None, {})
        self.assertEqual((origin.connected, len(origin.heads)), (1, 5))

    async def test_chunked_bodies_and_bodies_that_end_with_the_connection(self) -> None:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
        self.assertEqual((await self.fetch(chunked)).body, b"abcdefg")

        def until_close(transport: Any) -> None:
            transport.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")
            transport.loseConnection()

        self.assertEqual((await self.fetch(lambda _: until_close)).body, b"all of it")

    async def test_gzip_is_unpacked(self) -> None:
        packed = gzip.compress(b"<svg/>" * 100)
        self.assertEqual((await self.fetch(response(packed, Content_Encoding="gzip"))).body, b"<svg/>" * 100)

    async def test_special_characters_are_escaped(self) -> None:
        origin = self.origin(response(b"x"))
        await self.sources().fetch(origin.url("/a b/ä%2Fc?d=e f#g"), None, {})
        self.assertEqual(origin.heads[0].split(b"\r\n")[0], b"GET /a%20b/%C3%A4%2Fc?d=e%20f HTTP/1.1")

    async def test_redirects_are_followed(self) -> None:
        def answer(head: bytes) -> bytes:
            if b"/a.jpg" in head:
                return response(b"", "302 Found", Location="/b.jpg?token=secret")
            return response(b"moved")

        origin = self.origin(answer)
        moved, direct = [await self.sources().fetch(origin.url(path), None, {}) for path in ("/a.jpg", "/c.jpg")]
        self.assertEqual((moved.body, moved.redirected_to), (b"moved", origin.url("/b.jpg")))  # without the query
        self.assertEqual(direct.redirected_to, "")

    async def test_headers_are_sent(self) -> None:
        origin = self.origin(response(b"x"))
        await self.sources(user_agent="tester/1").fetch(origin.url(), None, {"x-extra": "1"})
        head = origin.heads[0].lower()
        self.assertIn(b"user-agent: tester/1", head)
        self.assertIn(b"x-extra: 1", head)


class BadOriginTests(HttpCase):
    async def test_each_status_has_its_error(self) -> None:
        for status, error in (("404 No", SourceNotFound), ("403 No", SourceNotFound), ("410 No", SourceNotFound),
                              ("500 No", OriginFailed), ("503 No", OriginFailed), ("429 No", OriginFailed),
                              ("206 Part", OriginFailed), ("304 Same", OriginFailed)):  # fmt: skip
            await self.assert_fails(error, response(b"", status))

    async def test_a_short_body_fails(self) -> None:
        def short(transport: Any) -> None:
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            transport.loseConnection()

        await self.assert_fails(OriginFailed, lambda _: short)

    async def test_malformed_chunks_fail(self) -> None:
        await self.assert_fails(OriginFailed, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n")

    async def test_a_response_in_another_protocol_fails(self) -> None:
        await self.assert_fails(OriginFailed, b"SSH-2.0-OpenSSH\r\n\r\n")

    async def test_a_refused_connection_fails(self) -> None:
        origin = self.origin(response(b"x"))
        url = origin.url()
        await origin.close()
        with self.assertRaises(OriginFailed):
            await self.sources().fetch(url, None, {})

    async def test_a_declared_length_beyond_the_limit_is_refused_before_the_body(self) -> None:
        message = await self.assert_fails(SourceTooLarge, response(b"x" * 1000), limit=999)
        self.assertIn("1000 bytes", message)

    async def test_an_endless_body_is_aborted_at_the_limit(self) -> None:
        def endless(transport: Any) -> None:
            transport.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)

        origin = self.origin(lambda _: endless)
        with self.assertRaises(SourceTooLarge):
            await self.sources().fetch(origin.url(), 50_000, {})
        while origin.open:
            await deferLater(reactor, 0.01)

    async def test_a_compressed_bomb_is_aborted_at_the_limit(self) -> None:
        bomb = gzip.compress(bytes(5_000_000))
        await self.assert_fails(SourceTooLarge, response(bomb, Content_Encoding="gzip"), limit=100_000)

    async def test_unknown_encodings_fail(self) -> None:
        await self.assert_fails(OriginFailed, response(b"x", Content_Encoding="br"))

    async def test_a_silent_origin_times_out(self) -> None:
        def silent(_: Any) -> None:
            """Send nothing."""

        await self.assert_fails(OriginTimeout, lambda _: silent, download_timeout=0.2)

    async def test_a_slow_body_has_the_same_deadline(self) -> None:
        def trickle(transport: Any) -> None:
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
            for turn in range(1, 20):
                reactor.callLater(turn * 0.05, transport.write, b"x")

        await self.assert_fails(OriginTimeout, lambda _: trickle, download_timeout=0.3)
        await deferLater(reactor, 0.8)  # until its last call has been made

    async def test_surplus_bytes_never_become_the_next_image(self) -> None:
        def later(transport: Any) -> None:
            transport.write(response(b"first"))
            reactor.callLater(0.05, transport.write, response(b"poison"))

        for answer in (response(b"first") + response(b"poison"), lambda _: later):
            origin, sources = self.origin(answer), self.sources()
            for _ in range(3):
                self.assertEqual((await sources.fetch(origin.url(), None, {})).body, b"first")
                await deferLater(reactor, 0.1)

    async def test_a_cancelled_fetch_closes_its_connection(self) -> None:
        def silent(_: Any) -> None:
            """Send nothing."""

        origin = self.origin(lambda _: silent)
        fetching = self.sources().fetch(origin.url(), None, {})
        while not origin.heads:
            await deferLater(reactor, 0.01)
        fetching.cancel()
        with self.assertRaises(CancelledError):
            await fetching
        while origin.open:
            await deferLater(reactor, 0.01)

    async def test_headers_that_may_be_credentials_do_not_follow_a_redirect_to_another_origin(self) -> None:
        other = self.origin(response(b"picture"))
        first = self.origin(response(b"", "302 Found", Location=other.url()))
        sources = self.sources(custom_headers={"x-token": "hush"})
        await sources.fetch(first.url(), None, {"cookie": "client=1", "if-none-match": '"v1"'})
        for name in (b"x-token", b"cookie", b"if-none-match"):
            self.assertIn(name, first.heads[0].lower())
        self.assertIn(b"if-none-match", other.heads[0].lower())
        self.assertNotIn(b"x-token", other.heads[0].lower())
        self.assertNotIn(b"cookie", other.heads[0].lower())

    async def test_too_many_redirects_fail(self) -> None:
        await self.assert_fails(OriginFailed, response(b"", "302 Found", Location="/a.jpg"), max_redirects=3)

    async def test_redirects_to_other_schemes_are_refused(self) -> None:
        for target in ("local:///etc/passwd", "file:///etc/passwd", "ftp://x/"):
            await self.assert_fails(SourceRefused, response(b"", "302 Found", Location=target))


class PolicyTests(HttpCase):
    async def test_no_spelling_of_loopback_is_connected_to(self) -> None:
        canary = self.origin(response(b"secret"))
        sources = self.sources(addresses=AddressPolicy())
        for host in _LOOPBACK.split():
            with self.assertRaises(ImgforgeError):
                await sources.fetch(canary.url(host=host), None, {})
        self.assertEqual(canary.connected, 0)

    async def test_a_refusal_names_the_setting_and_not_the_address(self) -> None:
        canary = self.origin(response(b"secret"))
        with self.assertRaises(SourceRefused) as caught:
            await self.sources(addresses=AddressPolicy()).fetch(canary.url(host="localhost"), None, {})
        self.assertIn("IMGFORGE_ALLOW_LOOPBACK_SOURCE_ADDRESSES", caught.exception.message)
        self.assertNotIn("127.0.0.1", caught.exception.message)

    async def test_the_target_of_a_redirect_must_be_allowed(self) -> None:
        other = self.origin(response(b"secret"))
        first = self.origin(response(b"", "302 Found", Location=other.url("/forbidden/x")))
        sources = self.sources(allowed_sources=(first.url("/"),))
        with self.assertRaises(SourceRefused):
            await sources.fetch(first.url(), None, {})
        self.assertEqual(other.connected, 0)

    async def test_credentials_in_urls_are_refused(self) -> None:
        canary = self.origin(response(b"x"))
        with self.assertRaises(SourceRefused):
            await self.sources().fetch(canary.url(host="user:pw@127.0.0.1"), None, {})
        self.assertEqual(canary.connected, 0)

    async def test_ipv6_literals_are_connected_to(self) -> None:
        port = reactor.listenTCP(0, ScriptedOrigin(lambda _: response(b"six")), interface="::1")
        origin = port.factory
        try:
            url = f"http://[::1]:{port.getHost().port}/"
            self.assertEqual((await self.sources().fetch(url, None, {})).body, b"six")
        finally:
            await port.stopListening()
            await origin.close()

    async def test_unknown_schemes_and_invalid_urls_fail(self) -> None:
        for url in (
            "gopher://x/",
            "a.jpg",
            "",
            "http://",
            "http:///a",
            "http://x:99999/",
            "http://[::1/",
            "local:///a",
        ):
            with self.assertRaises(ImgforgeError):
                await self.sources().fetch(url, None, {})
