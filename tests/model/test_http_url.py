"""http and https URLs in parts."""

from __future__ import annotations

import pytest

from imgforge.model import HttpUrl, parse_http_url


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http://t/sig", HttpUrl("http", "t", 80, "t", "/sig")),
        ("HTTPS://user:p@ss@Host:8443/a%20b?x=/?#y", HttpUrl("https", "host", 8443, "Host:8443", "/a%20b?x=/?")),
        ("http://[::1]:3000", HttpUrl("http", "::1", 3000, "[::1]:3000", "/")),
        ("https://h?x#y", HttpUrl("https", "h", 443, "h", "/?x")),
        ("http://h/plain/http://other@x/y", HttpUrl("http", "h", 80, "h", "/plain/http://other@x/y")),
        ("http:/h", None),
        ("http:%2F%2Fh", None),
        ("/plain/http://h/x", None),
        ("ftp://h/x", None),
        ("", None),
    ],
)
def test_parts_are_as_they_are_written(text: str, wanted: HttpUrl | None) -> None:
    assert parse_http_url(text) == wanted


@pytest.mark.parametrize(
    "text", ["http://", "http:///x", "http://h:x/", "http://h:99999/", "http://[::1/x", "http://:80"]
)
def test_malformed_hosts_and_ports_are_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|[Pp]ort|IPv6"):
        parse_http_url(text)
