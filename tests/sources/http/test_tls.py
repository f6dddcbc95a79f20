"""Certificates of origins are verified, unless IMGFORGE_IGNORE_SSL_VERIFICATION is set."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from imgforge.errors import OriginFailed, SourceTooLarge
from tests.support.certificates import certificate, server_options
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import ScriptedOrigin, reactor, response, until

BODY = response(b"image")


class TlsTests(HttpCase):
    scripted: ScriptedOrigin

    def secure_origin(self, name: str, answer: bytes = BODY) -> tuple[str, str]:
        """The URL of an origin under TLS whose certificate is for *name*, and the path of that certificate."""
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        path = Path(scratch.name, "origin.pem")
        path.write_bytes(certificate(name))
        origin = self.scripted = ScriptedOrigin(lambda _: answer)
        port: Any = reactor.listenSSL(0, origin, server_options(path.read_bytes()), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(lambda: Deferred.fromCoroutine(origin.close()))
        return f"https://localhost:{port.getHost().port}/a.jpg", str(path)

    async def test_an_unknown_authority_fails(self) -> None:
        url, _ = self.secure_origin("localhost")
        with self.assertRaises(OriginFailed):
            await self.sources().fetch(url, None, {})

    async def test_ca_file_names_trusted_authorities(self) -> None:
        url, path = self.secure_origin("localhost")
        self.assertEqual((await self.sources(ca_file=path).fetch(url, None, {})).body, b"image")

    async def test_the_host_must_match_the_certificate(self) -> None:
        url, path = self.secure_origin("other.example")
        with self.assertRaises(OriginFailed):
            await self.sources(ca_file=path).fetch(url, None, {})

    async def test_verification_can_be_switched_off(self) -> None:
        url, _ = self.secure_origin("other.example")
        image = await self.sources(ignore_ssl_verification=True).fetch(url, None, {})
        self.assertEqual(image.body, b"image")

    async def test_connections_are_reused(self) -> None:
        url, path = self.secure_origin("localhost")
        sources = self.sources(ca_file=path)
        for _ in range(4):
            await sources.fetch(url, None, {})
            await deferLater(reactor, 0)
        self.assertEqual((self.scripted.connected, len(self.scripted.heads)), (1, 4))

    async def test_surplus_bytes_are_no_next_response(self) -> None:
        """The surplus bytes are a TLS record of their own, decrypted after the next request was sent."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 16000\r\nX-Pad: "
        answer = head + b"p" * (16384 - 16000 - len(head) - 4) + b"\r\n\r\n" + b"x" * 16000
        url, path = self.secure_origin("localhost", answer + response(b"poison"))
        sources = self.sources(ca_file=path)
        for _ in range(3):
            self.assertEqual((await sources.fetch(url, None, {})).body, b"x" * 16000)
        self.assertEqual(self.scripted.connected, 3)

    async def test_a_body_beyond_the_limit_closes_the_connection(self) -> None:
        url, path = self.secure_origin("localhost", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 8_000_000)
        with self.assertRaises(SourceTooLarge):
            await self.sources(ca_file=path).fetch(url, 1000, {})
        await until(lambda: not self.scripted.open)

    def test_a_file_without_certificates_is_an_error(self) -> None:
        with self.assertRaisesRegex(ValueError, "no PEM certificate"):
            self.sources(ca_file=__file__)
