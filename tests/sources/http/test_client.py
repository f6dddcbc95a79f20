"""The client for origins: connections ahead, the handshake's outcome, and headers that cannot be sent as they are."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Protocol

from imgforge.sources.http.connector import HTTP1, HTTP2, Connector
from imgforge.sources.http.http1_connection import Http1Connection
from imgforge.sources.http.wire_url import Origin
from tests.support.certificates import certificate, server_options
from tests.support.http_case import SETTINGS, HttpCase
from tests.support.logged_lines import logged_lines
from tests.support.scripted_origin import reactor, response, until


class PreconnectTests(HttpCase):
    async def test_connections_are_opened_ahead_and_used(self) -> None:
        origin = self.origin(response(b"x"))
        sources = self.sources(preconnect=3, preconnect_urls=(origin.url("/base"),))
        await until(lambda: len(origin.open) == 3)
        for _ in range(3):
            await sources.fetch(origin.url(), None, {})
        self.assertEqual((origin.connected, len(origin.heads)), (3, 3))

    async def test_none_is_opened_without_the_setting(self) -> None:
        origin = self.origin(response(b"x"))
        await self.sources(preconnect_urls=(origin.url(),)).fetch(origin.url(), None, {})
        self.assertEqual(origin.connected, 1)

    async def test_a_failure_is_one_log_line_without_the_query(self) -> None:
        lines = logged_lines(self)
        origin = self.origin(b"")
        url = origin.url()
        await origin.close()
        self.sources(preconnect=3, preconnect_urls=(f"{url}?secret",))
        await until(lambda: "connections" in str(lines))
        (line,) = [line for line in lines if "connections" in line]
        self.assertIn(f"cannot open connections to {url} ahead: connection refused", line)


class HeaderTests(HttpCase):
    async def test_control_characters_and_spaces_around_values_are_not_sent(self) -> None:
        origin = self.origin(response(b"x"))
        await self.sources().fetch(origin.url(), None, {"if-none-match": ' "a\x0bb\x01"\t', "x-empty": " "})
        lines = origin.heads[0].split(b"\r\n")
        self.assertIn(b'If-None-Match: "a b "', lines)
        self.assertIn(b"X-Empty: ", lines)


class Spoken(Protocol):
    """Stands for a connection of HTTP/2."""


class HandshakeTests(HttpCase):
    async def negotiated(self, offered: Sequence[bytes] | None, *, http2: bool = True, verified: bool = True) -> type:
        """What speaks with an origin that knows the protocols *offered*; None knows no ALPN."""
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        path = Path(scratch.name, "origin.pem")
        path.write_bytes(certificate("localhost"))
        options = server_options(path.read_bytes(), offered)
        origin = self.origin(response(b"x"))
        port: Any = reactor.listenSSL(0, origin, options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        settings = replace(
            SETTINGS, http2=http2, ca_file=str(path) if verified else "", ignore_ssl_verification=not verified
        )
        kinds: Mapping[bytes, Any] = {HTTP2: lambda _: Spoken(), HTTP1: lambda _: Http1Connection()}
        connector = Connector(reactor, settings, kinds)
        for _ in range(2):  # what is learnt from the first handshake makes no difference
            opened = await connector.connect(Origin("https", "localhost", port.getHost().port))
            connection: Any = opened.connection
            self.assertEqual((opened.shared, opened.address), (isinstance(connection, Spoken), "127.0.0.1"))
            connection.transport.abortConnection()
        await until(lambda: not origin.open)
        return type(connection)

    async def test_http2_is_chosen_by_the_origin(self) -> None:
        for verified in (True, False):
            self.assertIs(await self.negotiated([HTTP2, HTTP1], verified=verified), Spoken)
            self.assertIs(await self.negotiated([HTTP1], verified=verified), Http1Connection)

    async def test_an_origin_without_alpn_speaks_http1(self) -> None:
        """Also one of those that end the handshake when they are offered protocols."""
        self.assertIs(await self.negotiated(None), Http1Connection)
        self.assertIs(await self.negotiated([b"other"]), Http1Connection)

    async def test_http2_is_not_offered_where_it_is_switched_off(self) -> None:
        self.assertIs(await self.negotiated([HTTP2, HTTP1], http2=False), Http1Connection)

    async def test_cancelling_in_the_handshake_closes_the_connection(self) -> None:
        origin = self.origin(lambda _: lambda _: None)
        connecting = Connector(reactor, SETTINGS).connect(
            Origin("https", "127.0.0.1", int(origin.url("").split(":")[2]))
        )
        connecting.addErrback(lambda _: None)
        await until(lambda: origin.open)
        connecting.cancel()
        await until(lambda: not origin.open)
        self.assertTrue(connecting.called)
