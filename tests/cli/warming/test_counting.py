"""Which logged requests are counted, how often, and since when."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgforge.cli.warming import ImagePaths, LoggedRequest, PathCounts, is_success, parse_since
from imgforge.config import load_settings
from imgforge.urls import Signer

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}
SIGNER = Signer(b"k", b"s")


def images(base_path: str = "", signer: Signer | None = None, settings: Mapping[str, str] = KEYS) -> ImagePaths:
    return ImagePaths(load_settings(None, settings), base_path, signer)


def test_successful_gets_count() -> None:
    for method, status, success in (
        ("GET", 200, True), ("GET", 304, True), ("GET", 206, True),
        ("GET", 404, False), ("GET", 302, False), ("HEAD", 200, False), ("PURGE", 200, False),
    ):  # fmt: skip
        assert is_success(LoggedRequest(method, b"/", status, None)) is success


@pytest.mark.parametrize(
    "path",
    [
        b"/sig/w:3/plain/http://x/a.jpg@webp",
        b"/unsafe/plain/local:///a.jpg",
        b"/sig/w:3/aHR0cDovL3gv/YS5qcGc.webp",
        b"/sig/enc/abcdef",
        b"/sig/w:3/enc/abcdef.png",
        b"/sig/pr:only_the_server_knows_it/plain/http://x/a.jpg",
        b"/sig/exp:9999999999/plain/http://x/a.jpg",
    ],
)
def test_image_paths_are_kept_as_they_were_sent(path: bytes) -> None:
    found = images()
    for target in (path, path + b"?v=2", b"https://cdn.example:443" + path + b"?", path + b"#top"):
        assert found.counted(target) == path
        assert found.requested(path) == path


@pytest.mark.parametrize(
    "path",
    [
        b"/", b"", b"*", b"/status", b"/health", b"/metrics", b"/favicon.ico", b"/robots.txt", b"/cache/purge", b"//",
        b"/info/sig/plain/http://x/a.jpg", b"/srcset/sig/widths:40:80/plain/http://x/a.jpg", b"/static/scripts/app.js",
        b"/sig/exp:1/plain/http://x/a.jpg", b"/sig/raw:1/plain/http://x/a.jpg", b"/sig/plain/http://x/a b.jpg",
        b"/sig/plain/http://x/\xc3\xbc.jpg", b"/sig/plain/http://x/a\nb.jpg", b"/w:3/plain/http://x/a.jpg",
        b"/sig/plain/" + b"a" * 20_000,
    ],
)  # fmt: skip
def test_other_paths_are_left_out(path: bytes) -> None:
    assert images().counted(path) is None


def test_bypassed_caches_are_left_out() -> None:
    settings = KEYS | {"IMGFORGE_ALLOW_BYPASS_CACHE": "true"}
    assert images(settings=settings).counted(b"/sig/bypass_cache:1/plain/http://x/a.jpg") is None


def test_prefixes_of_the_logged_server_and_of_the_base_url_are_not_doubled() -> None:
    found = images("/new/", settings=KEYS | {"IMGFORGE_PATH_PREFIX": "/old"})
    path = b"/sig/plain/http://x/a.jpg"
    for target in (path, b"/new" + path, b"/old" + path, b"http://h/old" + path):
        assert found.counted(target) == path
    assert found.requested(path) == b"/new" + path


def test_new_signatures_replace_old_ones() -> None:
    found = images("/p", SIGNER)
    counted = {found.counted(b"/" + old + b"/w:3/plain/http://x/a;b.jpg?v=1") for old in (b"one", b"two", b"unsafe")}
    assert counted == {b"/w:3/plain/http://x/a;b.jpg"}
    assert found.requested(counted.pop() or b"") == b"/p" + SIGNER.sign("/w:3/plain/http://x/a;b.jpg").encode()


@given(st.binary(max_size=80).map(lambda tail: b"/" + tail))
def test_any_target_is_counted_or_not(target: bytes) -> None:
    counted = images().counted(target)
    assert counted is None or target.startswith(counted)


@given(st.lists(st.binary(min_size=1, max_size=3), max_size=60), st.integers(1, 400), st.integers(1, 9))
def test_counts_are_exact_however_little_memory_there_is(paths: list[bytes], most_bytes: int, top: int) -> None:
    with PathCounts(most_bytes) as counts:
        for path in paths:
            counts.add(path)
        ranked = sorted(Counter(paths).items(), key=lambda item: (-item[1], item[0]))
        assert counts.totals(None) == (len(ranked), len(ranked))
        assert list(counts.ranked(None)) == ranked
        assert list(counts.ranked(top)) == ranked[:top]
        done = [path for path, _ in ranked[::2]]
        counts.mark_done([*done, b"another"])
        assert list(counts.ranked(top)) == [row for row in ranked[:top] if row[0] not in done]
        assert counts.totals(top)[1] == len(list(counts.ranked(top)))


def test_since_takes_durations_and_dates() -> None:
    now = time.time()
    for text, seconds in (("90s", 90), ("5m", 300), ("2h", 7200), ("1.5d", 129600), ("1w", 604800)):
        assert parse_since(text, now) == now - seconds
    assert parse_since("2026-11-28", now) == 1795824000
    for text in ("2026-11-28T01:00", "2026-11-28T01:00Z", "2026-11-28 02:00+01:00"):
        assert parse_since(text, now) == 1795824000 + 3600
    for text in ("", "h", "2", "-2h", "2h3", "yesterday", "9999999999w", "2026-13-01", "1e9d"):
        with pytest.raises(ValueError, match="neither a duration"):
            parse_since(text, now)
