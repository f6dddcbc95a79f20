"""The operator's proxies: which origins they are asked for, and what they are told."""

from __future__ import annotations

import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import OriginFailed, SourceRefused
from imgforge.sources import AddressPolicy, Proxies
from imgforge.sources.http.wire_url import Origin
from tests.support.certificates import certificate, server_options
from tests.support.http_case import HttpCase
from tests.support.logged_lines import logged_lines
from tests.support.proxy import Proxy
from tests.support.scripted_origin import ScriptedOrigin, reactor, response, until

HTTP, HTTPS = Origin("http", "origin.test", 80), Origin("https", "origin.test", 443)


class VariablesTests(SynchronousTestCase):
    def asked(self, origin: Origin, **environ: str) -> bool:
        return Proxies({"HTTP_PROXY": "http://proxy.test:3128", **environ}).proxy_for(origin) is not None

    def test_each_scheme_has_its_variable(self) -> None:
        proxies = Proxies({"http_proxy": "proxy.test:3128", "HTTPS_PROXY": "http://[::1]/"})
        http, https = proxies.proxy_for(HTTP), proxies.proxy_for(HTTPS)
        assert http is not None
        assert https is not None
        self.assertEqual([(http.host, http.port), (https.host, https.port)], [("proxy.test", 3128), ("::1", 80)])
        self.assertIsNone(Proxies({"HTTP_PROXY": "proxy.test"}).proxy_for(HTTPS))
        self.assertIsNone(Proxies({}).proxy_for(HTTP))

    def test_they_are_named_without_their_credentials(self) -> None:
        self.assertEqual(str(Proxies({})), "")
        proxies = Proxies({"HTTP_PROXY": "http://user:hush@one:8080", "https_proxy": "two:3128"})
        self.assertEqual(str(proxies), "http by one:8080, https by two:3128")

    def test_upper_case_comes_first(self) -> None:
        proxy = Proxies({"http_proxy": "http://one.test", "HTTP_PROXY": "http://other.test"}).proxy_for(HTTP)
        assert proxy is not None
        self.assertEqual(proxy.host, "other.test")

    def test_exceptions(self) -> None:
        for exceptions, asked in (
            ("origin.test", False), ("test", False), (".test", False), ("*.test", False),
            ("a.test, ORIGIN.TEST", False),
            ("origin.test:80", False), ("*", False), ("origin.test:81", True), ("igin.test", True), ("", True),
            ("origin.test.other", True), ("10.0.0.0/8", True), (",,", True),
        ):  # fmt: skip
            self.assertEqual(self.asked(HTTP, NO_PROXY=exceptions), asked, exceptions)

    def test_networks_are_exceptions(self) -> None:
        for host, exceptions, asked in (
            ("10.1.2.3", "10.0.0.0/8", False), ("11.1.2.3", "10.0.0.0/8", True), ("10.1.2.3", "10.1.2.3:80", False),
            ("10.1.2.3", "10.1.2.3:81", True), ("2001:db8::1", "2001:db8::/32", False),
            ("0xa010203", "10.1.2.3", False),
            ("2001:db8::1", "[2001:db8::1]:80", False),
        ):  # fmt: skip
            self.assertEqual(self.asked(Origin("http", host, 80), no_proxy=exceptions), asked, (host, exceptions))

    def test_this_machine_is_asked_directly(self) -> None:
        for host in ("localhost", "a.localhost", "localhost.", "127.0.0.1", "127.1", "0x7f000001", "::1", "0.0.0.0"):  # noqa: S104
            self.assertFalse(self.asked(Origin("http", host, 80)), host)

    def test_mistakes_name_the_variable_and_no_password(self) -> None:
        for value in (
            "socks5://u:secret@x",
            "https://u:secret@x",
            "http://",
            "http://u:secret@x:99999",
            "http://x/secret",
        ):
            with self.assertRaisesRegex(ValueError, "HTTP_PROXY must be") as caught:
                Proxies({"HTTP_PROXY": value})
            self.assertNotIn("secret", str(caught.exception))

    def test_credentials_are_not_shown(self) -> None:
        proxy = Proxies({"HTTP_PROXY": "http://us%40er:secret@proxy.test"}).proxy_for(HTTP)
        assert proxy is not None
        self.assertEqual(proxy.headers, [(b"Proxy-Authorization", b"Basic " + b64encode(b"us@er:secret"))])
        self.assertNotIn(b64encode(b"us@er:secret").decode(), repr(proxy))


class ProxyCase(HttpCase):
    def proxy(self, answer: bytes = b"") -> Proxy:
        proxy = Proxy(answer)
        self.addCleanup(lambda: Deferred.fromCoroutine(proxy.close()))
        return proxy


class HttpTests(ProxyCase):
    async def test_requests_have_the_absolute_form_and_credentials(self) -> None:
        origin, proxy = self.origin(response(b"x")), self.proxy()
        sources = self.sources(proxies={"HTTP_PROXY": proxy.url("user:secret@")}, addresses=AddressPolicy())
        url = origin.url("/a%2fb//c/../d?sig=%7E%2B+x", host="origin.test")
        for _ in range(2):
            self.assertEqual((await sources.fetch(url, None, {})).body, b"x")
        first, *lines = origin.heads[0].split(b"\r\n")
        self.assertEqual(first, b"GET " + url.encode() + b" HTTP/1.1")
        self.assertIn(b"Host: " + url.split("/")[2].encode(), lines)
        self.assertIn(b"Proxy-Authorization: Basic " + b64encode(b"user:secret"), lines)
        self.assertEqual((len(proxy.heads), len(origin.heads), origin.connected), (1, 2, 1))

    async def test_exceptions_are_asked_directly(self) -> None:
        origin, proxy = self.origin(response(b"x")), self.proxy()
        sources = self.sources(proxies={"HTTP_PROXY": proxy.url()})
        self.assertEqual((await sources.fetch(origin.url(), None, {})).body, b"x")
        self.assertEqual(proxy.heads, [])
        self.assertNotIn(b"proxy", origin.heads[0].lower())

    async def test_addresses_that_the_policy_refuses_are_not_asked_for(self) -> None:
        proxy = self.proxy(response(b"secret"))
        sources = self.sources(
            proxies={"HTTP_PROXY": proxy.url(), "HTTPS_PROXY": proxy.url()},
            addresses=AddressPolicy(allow_private=False),
        )
        hosts = "169.254.169.254 10.0.0.1 0xa9fea9fe 2852039166 [fe80::1] [fd00::1] [64:ff9b::7f00:1] 127.1 localhost"
        for host in hosts.split():
            for scheme in ("http", "https"):
                with self.assertRaises(SourceRefused):
                    await sources.fetch(f"{scheme}://{host}/", None, {})
        self.assertEqual(proxy.heads, [])

    async def test_a_proxy_that_refuses_its_credentials_is_a_failure_with_its_cause_in_the_log(self) -> None:
        lines, proxy = logged_lines(self), self.proxy(response(b"", "407 No"))
        for scheme, answer in (("http", "the proxy asks for other credentials"), ("https", "the proxy answered 407")):
            sources = self.sources(proxies={f"{scheme.upper()}_PROXY": proxy.url("user:secret@")})
            with self.assertRaises(OriginFailed):
                await sources.fetch(f"{scheme}://origin.test/", None, {})
            self.assertIn(answer, "\n".join(lines))
        self.assertNotIn("secret", "\n".join(lines))

    async def test_a_proxy_that_is_gone_is_a_failure_with_its_cause_in_the_log(self) -> None:
        lines, proxy = logged_lines(self), self.proxy()
        url = proxy.url()
        await proxy.close()
        with self.assertRaises(OriginFailed):
            await self.sources(proxies={"HTTP_PROXY": url}).fetch("http://origin.test/", None, {})
        self.assertIn("cannot connect to the proxy: connection refused", "\n".join(lines))


class TunnelTests(ProxyCase):
    def secure_origin(self) -> tuple[ScriptedOrigin, str, str]:
        """An origin under TLS, its URL, and the path of its certificate."""
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        path = Path(scratch.name, "origin.pem")
        path.write_bytes(certificate("origin.test"))
        origin = self.origin(response(b"image"))
        port: Any = reactor.listenSSL(0, origin, server_options(path.read_bytes()), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return origin, f"https://origin.test:{port.getHost().port}/a.jpg", str(path)

    async def test_https_goes_through_a_tunnel(self) -> None:
        origin, url, path = self.secure_origin()
        proxy = self.proxy()
        sources = self.sources(proxies={"HTTPS_PROXY": proxy.url("user:secret@")}, ca_file=path)
        for _ in range(3):
            self.assertEqual((await sources.fetch(url, None, {})).body, b"image")
        authority = url.split("/")[2].encode()
        self.assertEqual(
            proxy.heads[0].split(b"\r\n"),
            [
                b"CONNECT " + authority + b" HTTP/1.1",
                b"Host: " + authority,
                b"Proxy-Authorization: Basic " + b64encode(b"user:secret"),
            ],
        )
        self.assertEqual(len(proxy.heads), 1)
        self.assertTrue(origin.heads[0].startswith(b"GET /a.jpg HTTP/1.1\r\n"))
        self.assertNotIn(b"Proxy", origin.heads[0])

    async def test_the_certificate_is_the_origins(self) -> None:
        _, url, _ = self.secure_origin()
        with self.assertRaises(OriginFailed):
            await self.sources(proxies={"HTTPS_PROXY": self.proxy().url()}).fetch(url, None, {})

    async def test_odd_answers_of_a_proxy_fail(self) -> None:
        established = b"HTTP/1.1 200 OK\r\n\r\n"
        for answer in (
            response(b"", "502 No"),
            established + b"more",
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
            b"HTTP/1.1 100 Continue\r\n\r\n" * 9_000,
        ):
            proxy = self.proxy(answer)
            sources = self.sources(proxies={"HTTPS_PROXY": proxy.url()})
            with self.assertRaises(OriginFailed):
                await sources.fetch("https://origin.test/", None, {})
            await until(lambda proxy=proxy: not proxy.open)  # type: ignore[misc]

    async def test_cancelling_closes_the_connection_to_the_proxy(self) -> None:
        proxy = self.proxy(b"HTTP/1.1 ")
        fetching = self.sources(proxies={"HTTPS_PROXY": proxy.url()}).fetch("https://origin.test/", None, {})
        await until(lambda: proxy.heads)
        fetching.cancel()
        with self.assertRaises(CancelledError):
            await fetching
        await until(lambda: not proxy.open)
