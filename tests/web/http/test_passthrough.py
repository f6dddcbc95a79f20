"""Headers and cookies of a client that are passed on to the origin."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from imgforge.web import Passthrough

Headers = tuple[tuple[str, bytes], ...]


def sent_headers(passthrough: Passthrough, source: str, *headers: tuple[str, bytes]) -> dict[str, str]:
    """The headers that are sent to the origin of *source* for a request with *headers*."""
    channel: Any = DummyChannel()
    request = Request(channel, False)
    for name, value in headers:
        request.requestHeaders.addRawHeader(name, value)
    return dict(passthrough.of(request, source)[0])


class CookieTests(SynchronousTestCase):
    def cookies(self, source: str, *headers: tuple[str, bytes], base: str = "", anywhere: bool = False) -> str:
        passthrough = Passthrough((), True, anywhere, base)
        return sent_headers(passthrough, source, ("Cookie", b"a=1; b=2"), *headers).get("cookie", "")

    def test_cookies_go_to_the_host_of_the_request_only(self) -> None:
        for source, host, reaches in (
            ("http://img.example/a.png", b"img.example", True),
            ("https://IMG.example.:8443/a.png", b"img.EXAMPLE:80", True),
            ("http://[::1]/a.png", b"[::1]:8080", True),
            ("http://example/a.png", b"img.example", False),
            ("http://a.img.example/a.png", b"img.example", False),
            ("http://img.example.evil/a.png", b"img.example", False),
            ("http://img.example/a.png", b"", False),
            ("http:///a.png", b"", False),
            ("http://[/a.png", b"img.example", False),
            ("local:///a.png", b"img.example", False),
            ("data:image/png;base64,AAAA", b"img.example", False),
        ):
            self.assertEqual(self.cookies(source, ("Host", host)), "a=1; b=2" if reaches else "", (source, host))

    def test_x_forwarded_host_takes_precedence(self) -> None:
        source, host = "http://img.example/a.png", ("Host", b"inner")
        self.assertEqual(self.cookies(source, host, ("X-Forwarded-Host", b"img.example")), "a=1; b=2")
        self.assertEqual(self.cookies(source, ("Host", b"img.example"), ("X-Forwarded-Host", b"other")), "")
        for text in (b"x, img.example", b"x@img.example", b"img.example/", b"[::1", b"\xff", b" "):
            self.assertEqual(self.cookies(source, host, ("X-Forwarded-Host", text)), "", text)

    def test_cookie_base_names_the_host_and_path_of_the_cookies(self) -> None:
        host = ("Host", b"whatever")
        for source, base, reaches in (
            ("http://img.example/x/a.png", "https://img.example", True),
            ("http://img.example/x/a.png", "https://img.example/x/", True),
            ("http://img.example/x/a.png", "https://img.example/x/y.html", True),
            ("http://img.example/x/a.png", "https://img.example/y/", False),
            ("http://img.example/xx/a.png", "https://img.example/x/", False),
            ("http://img.example/x/../a.png", "https://img.example/x/", False),
            ("http://img.example/x/%2e%2E/a.png", "https://img.example/x/", False),
            ("http://other.example/x/a.png", "https://img.example/x/", False),
        ):
            self.assertEqual(bool(self.cookies(source, host, base=base)), reaches, (source, base))

    def test_cookies_go_to_any_origin_if_configured(self) -> None:
        self.assertEqual(self.cookies("http://other/a.png", anywhere=True), "a=1; b=2")
        self.assertEqual(self.cookies("local:///a.png", anywhere=True), "")

    def test_malformed_cookies_are_dropped(self) -> None:
        everywhere = Passthrough((), True, True)
        for header, sent in (
            (b"a=1;b=2 ;\tc=3", "a=1; b=2; c=3"),
            (b'a="1 2"; b=3, 4', 'a="1 2"; b=3, 4'),
            (b"a=1; nonsense; =2; b c=3; d=4", "a=1; d=4"),
            (b"a=1; a=2; b=3", "a=2; b=3"),
            (b'a=\xff; b="1; c=\\; d=\x7f; e=\0; f=1\t2; g=', "g="),
            (b"", None),
            (b"nonsense", None),
        ):
            self.assertEqual(sent_headers(everywhere, "http://x/", ("Cookie", header)).get("cookie"), sent, header)
        several = ("Cookie", b"a=1"), ("Cookie", b"b=2")
        self.assertEqual(sent_headers(everywhere, "http://x/", *several), {"cookie": "a=1; b=2"})

    @given(st.binary(max_size=60))
    def test_values_have_no_line_breaks(self, header: bytes) -> None:
        sent = sent_headers(Passthrough(("x-a",), True, True), "http://x/", ("Cookie", header), ("X-A", header))
        for value in sent.values():
            self.assertTrue(value.isascii() and not set(value) & set("\r\n\0"), sent)


class HeaderTests(SynchronousTestCase):
    def test_named_headers_are_passed_on(self) -> None:
        passthrough = Passthrough(("x-tenant", "x-other"))
        headers = (("X-Tenant", b"a"), ("x-tenant", b"b"), ("X-More", b"c"), ("Cookie", b"d=1"))
        self.assertEqual(sent_headers(passthrough, "https://x/", *headers), {"x-tenant": "a, b"})
        self.assertEqual(sent_headers(passthrough, "local:///x", *headers), {})
        self.assertEqual(sent_headers(passthrough, "https://x/", ("X-Tenant", b"\xe4")), {})

    def test_vary_has_each_header_that_may_be_passed_on(self) -> None:
        channel: Any = DummyChannel()
        request = Request(channel, False)
        request.requestHeaders.addRawHeader("Host", b"img.example")
        both = Passthrough(("x-tenant",), True)
        for source, names in (
            ("http://img.example/", (b"X-Tenant", b"Cookie")),
            ("http://other/", (b"X-Tenant",)),
            ("local:///x", ()),
        ):
            self.assertEqual(both.of(request, source)[1], names, source)
        self.assertEqual(Passthrough().of(request, "http://img.example/"), ((), ()))
