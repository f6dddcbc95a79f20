"""Originals in data URLs: their forms, their limits, and that nothing but an image URL leads to one."""

from __future__ import annotations

import base64
from typing import Any

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from imgforge.errors import ImgforgeError, SourceNotFound, SourceRefused, SourceTooLarge, UnknownScheme
from imgforge.interfaces import ISource
from imgforge.sources.data_urls import DataSource
from imgforge.testing.memory_source import MemoryConsumer
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import response

_BODY = b"\x89PNG\xfb\xff\xfe?"
_BASE64 = base64.b64encode(_BODY).decode()


def _sniffed(body: bytes) -> str:
    return "image/png" if body.startswith(b"\x89PNG") else ""


class FormTests(TestCase):
    source = DataSource(_sniffed)

    def test_it_is_a_source(self) -> None:
        self.assertTrue(verifyObject(ISource, self.source))

    async def test_forms(self) -> None:
        for url, media_type, body in (
            (f"data:image/png;base64,{_BASE64}", "image/png", _BODY),
            (f"DATA:Image/PNG;BASE64,{_BASE64}", "image/png", _BODY),
            (f"data:image/png;charset=utf-8; base64,{_BASE64.rstrip('=')}", "image/png", _BODY),
            (f"data:;base64,{_BASE64.replace('+', '%2B').replace('/', '%2f')}", "", _BODY),
            (f"data:image/png;base64,{_BASE64.replace('+', '-').replace('/', '_')}", "image/png", _BODY),
            (f"data:image/png;base64, {_BASE64[:4]}%0A\n{_BASE64[4:]} ", "image/png", _BODY),
            ('data:image/svg+xml,%3Csvg%20id="a,b"/>#x', "image/svg+xml", b'<svg id="a,b"/>#x'),
            ("data:image/svg+xml;base64;x=1,PHN2Zy8+", "image/svg+xml", b"PHN2Zy8+"),
            ("data:,%FF%zz+", "", b"\xff%zz+"),
            ("data:image/svg+xml,<ü>", "image/svg+xml", "<ü>".encode()),
            ("data:,", "", b""),
        ):
            image = await self.source.fetch(url, None, {})
            self.assertEqual((image.content_type, image.body), (media_type, body), url)

    async def test_malformed_urls(self) -> None:
        for url in (
            "data:image/png;base64",
            "data:",
            "data:image,x",
            "data:image/png/x,x",
            "data:image/p\r\nX: y,x",
            f"data:{'a' * 100}/b,x",
            "data:image/png;base64,a",
            "data:image/png;base64,####",
            "data:image/png;base64,AAAA=AAA",
            "data:image/png;base64,ü",
            "data:image/png,\ud800",
        ):
            await self.assertFailure(self.source.fetch(url, None, {}), SourceNotFound)

    async def test_limits(self) -> None:
        url = f"data:image/png;base64,{_BASE64}"
        self.assertEqual((await self.source.fetch(url, len(_BODY), {})).body, _BODY)
        await self.assertFailure(self.source.fetch(url, len(_BODY) - 1, {}), SourceTooLarge)
        await self.assertFailure(self.source.fetch("data:," + "a" * 70_000, None, {}), SourceTooLarge)


class StreamTests(TestCase):
    async def streamed(self, url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        consumer = MemoryConsumer()
        await DataSource(_sniffed).stream(url, headers, consumer.started)
        head: Any = consumer.head
        return head.status, head.headers, consumer.body

    async def test_whole_and_part(self) -> None:
        url = f"data:image/png;base64,{_BASE64}"
        head = {"content-type": "image/png", "accept-ranges": "bytes"}
        self.assertEqual(await self.streamed(url), (200, head, _BODY))
        head["content-range"] = "bytes 1-3/8"
        self.assertEqual(await self.streamed(url, range="bytes=1-3"), (206, head, b"PNG"))
        self.assertEqual(await self.streamed(url, range="bytes=8-"), (416, {"content-range": "bytes */8"}, b""))

    async def test_page_is_not_sent_as_one(self) -> None:
        for url, media_type in (
            ("data:text/html,<script>", "application/octet-stream"),
            (f"data:text/html;base64,{_BASE64}", "image/png"),
            (f"data:;base64,{_BASE64}", "image/png"),
        ):
            self.assertEqual((await self.streamed(url))[1]["content-type"], media_type)


class PolicyTests(HttpCase):
    url = f"data:image/png;base64,{_BASE64}"

    async def test_data_urls_need_the_setting(self) -> None:
        error: Any = await self.assertFailure(self.sources().fetch(self.url, None, {}), UnknownScheme)
        self.assertIn("IMGFORGE_ALLOW_DATA_SOURCES is not set", error.message)
        self.assertNotIn(_BASE64, error.message)
        self.assertEqual((await self.sources(data_urls=True).fetch(self.url, None, {})).body, _BODY)
        svg = 'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg"/>'
        self.assertIn(b"http://", (await self.sources(data_urls=True).fetch(svg, None, {})).body)

    async def test_allowed_sources_hold_for_data_urls(self) -> None:
        for patterns, allowed in (
            (("https://example.com/",), False),
            (("https://example.com/", "data:image/png;"), True),
            (("data:image/gif",), False),
            (("data:",), True),
        ):
            sources = self.sources(data_urls=True, allowed_sources=patterns)
            if allowed:
                self.assertEqual((await sources.fetch(self.url, None, {})).body, _BODY)
            else:
                await self.assertFailure(sources.fetch(self.url, None, {}), SourceRefused)

    async def test_no_redirect_leads_to_a_data_url(self) -> None:
        answer = response(b"", "302 Found", Location=self.url)
        for kind in (SourceRefused, ImgforgeError):
            message = await self.assert_fails(kind, answer, data_urls=True)
            self.assertNotIn(_BASE64, message)
