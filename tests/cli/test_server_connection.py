"""The paths by which a server is asked."""

from __future__ import annotations

import pytest

from imgforge.cli.benchmark.load import Target
from imgforge.cli.server_connection import ServerUnreachable, path_at


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://t/sig", "/sig"),
        ("http://p/p/plain/p", "/p/plain/p"),
        ("https://cdn.example/a;b?c", "/a;b?c"),
        ("http://t", "/"),
        ("/sig/plain/http://t/x", "/base/sig/plain/http://t/x"),
        ("sig/x", "/base/sig/x"),
        ("http:%2F%2Ft", "/base/http:%2F%2Ft"),
    ],
)
def test_a_full_url_is_asked_for_by_its_path_and_a_path_below_that_of_the_server(url: str, wanted: str) -> None:
    assert path_at("http://server/base/", url) == wanted


@pytest.mark.parametrize(("base", "url"), [("http://server", "http://[x/y"), ("ftp://server", "/x"), ("server", "/x")])
def test_malformed_urls_are_told(base: str, url: str) -> None:
    with pytest.raises(ServerUnreachable, match=r"URL|cannot be asked for"):
        path_at(base, url)


def test_a_benchmark_sends_paths_as_they_are_written() -> None:
    for url, wanted in (
        ("http://t/t//t;x?y#z", b"/t//t;x?y"),
        ("http://t?x", b"/?x"),
        ("http://u@t/\u00e4", b"/%C3%A4"),
    ):
        assert Target.of(url, {}).request.target == wanted
