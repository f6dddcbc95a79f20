"""Originals in the URL itself, through the started server."""

from __future__ import annotations

import base64
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from imgforge.urls import SourceCipher
from tests.support.live_server import LiveServer
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Reply, Twistd

_ICON = encode(gradient(24, 16), "PNG")
_URL = f"data:image/png;base64,{base64.b64encode(_ICON).decode()}"
_CIPHER = bytes(range(16))


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


class DataUrlTests(LiveServer):
    settings = {
        "ALLOW_DATA_SOURCES": "true",
        "BASE_URL": "http://127.0.0.1:1/",
        "URL_REPLACEMENTS": "data:=http://127.0.0.1:1/",
        "SOURCE_URL_ENCRYPTION_KEY": _CIPHER.hex(),
        "FALLBACK_IMAGE_PREPROCESS_URL": "true",
        "WATERMARK_PREPROCESS_URL": "true",
        "ACCESS_LOG": "json",
        "ENABLE_DEBUG_HEADERS": "true",
        "CACHE_TYPE": "memory",
    }

    def assert_image(self, reply: Reply, width: int) -> None:
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "image/png"), reply.body[:200])
        self.assertEqual(decode(reply.body).size[0], width)
        self.assertNotIn("iVBOR", repr(reply.headers))

    def test_plain_base64_and_encrypted_urls(self) -> None:
        encrypted = base64.urlsafe_b64encode(SourceCipher(_CIPHER).encrypt(_URL)).rstrip(b"=").decode()
        for source in (
            f"plain/{_URL}@png",
            f"plain/{quote(_URL, safe='')}@png",
            f"plain/{_URL.replace('data:', 'DATA:')}@png",
            f"{_base64(_URL)}.png",
            f"enc/{encrypted}.png",
        ):
            self.assert_image(self.server.get(f"/unsafe/w:12/{source}"), 12)

    def test_percent_form(self) -> None:
        svg = '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><path fill="#f00" d="M0 0h30v20z"/></svg>'
        url = f"data:image/svg+xml,{quote(svg)}"
        self.assert_image(self.server.get(f"/unsafe/w:15/{_base64(url)}.png"), 15)
        self.assert_image(self.server.get(f"/unsafe/w:15/plain/{quote(url, safe='')}@png"), 15)
        self.assert_image(self.server.get(f"/unsafe/w:15/plain/data:image/svg+xml,{quote(svg, safe='')}@png"), 15)

    def test_watermark_and_fallback_image(self) -> None:
        path = f"/unsafe/w:12/wm:1/wmu:{_base64(_URL)}/{_base64(_URL)}.png"
        self.assert_image(self.server.get(path), 12)
        reply = self.server.get(f"/unsafe/w:12/fiu:{_base64(_URL)}/{_base64('http://127.0.0.1:1/gone.png')}.png")
        self.assertEqual(reply.headers.get("fallback-image"), "1")
        self.assertEqual(decode(reply.body).size[0], 12)

    def test_info(self) -> None:
        reply = self.server.get(f"/info/unsafe/size:1/format:1/dimensions:1/{_base64(_URL)}")
        self.assertEqual(reply.status, 200)
        self.assertIn(b'"width":24', reply.body.replace(b" ", b""))

    def test_raw(self) -> None:
        reply = self.server.get(f"/unsafe/raw:1/{_base64(_URL)}", {"Range": "bytes=1-3"})
        self.assertEqual((reply.status, reply.body), (206, b"PNG"))
        self.assertEqual(reply.headers["content-disposition"], 'inline; filename="image"')
        reply = self.server.get(f"/unsafe/raw:1/{_base64('data:text/html,<script>alert(1)</script>')}")
        self.assertEqual(reply.headers["content-type"], "application/octet-stream")

    def test_malformed_ones(self) -> None:
        for url, status in (
            ("data:image/png", 404),
            ("data:image/png;base64,....", 404),
            ("data:image/png;base64,AAAA", 422),
            ("data:text/html,hello", 422),
            ("data:,", 422),
        ):
            reply = self.server.get(f"/unsafe/w:12/{_base64(url)}")
            self.assertEqual(reply.status, status, url)

    def test_logs_name_the_media_type_only(self) -> None:
        self.server.get(f"/unsafe/w:11/{_base64(_URL)}")
        long = f"/unsafe/w:11/{_base64('data:image/png;base64,' + 'QUJD' * 500)}"
        self.server.get(long, {"X-Request-ID": "long-one"})
        self.server.assert_logged('"source": "data:image/png;base64"', "long-one")
        self.assertNotIn("QUJDQUJD", self.server.output())


class SwitchTests(SynchronousTestCase):
    def test_they_are_off_unless_the_operator_wants_them(self) -> None:
        server = Twistd({"PROCESSES": "1"})
        self.addCleanup(server.clean)
        self.addCleanup(server.stop)
        reply = server.start().get(f"/unsafe/w:12/plain/{_URL}")
        self.assertEqual(reply.status, 404)
        self.assertIn(b"IMGFORGE_ALLOW_DATA_SOURCES is not set", reply.body)
        self.assertNotIn(b"iVBOR", reply.body)

    def test_allowed_sources(self) -> None:
        server = Twistd({"PROCESSES": "1", "ALLOW_DATA_SOURCES": "true", "ALLOWED_SOURCES": "data:image/gif"})
        self.addCleanup(server.clean)
        self.addCleanup(server.stop)
        reply = server.start().get(f"/unsafe/w:12/plain/{_URL}")
        self.assertEqual(
            (reply.status, reply.body.strip()), (404, b"the source is not among those that this server allows")
        )
