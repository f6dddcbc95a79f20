"""Access logs: a line of each format, what is none, and any bytes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgforge.cli.warming import LoggedRequest, LogParser
from imgforge.observability import Access, AccessLog

AT = datetime(2026, 11, 28, 14, 54, 40, tzinfo=UTC).timestamp()
PATH = b"/sig/w:3/plain/http://x/a.jpg@webp"
COMBINED = b'10.0.0.1 - joe [28/Nov/2026:16:54:40 +0200] "GET %s HTTP/1.1" 200 2326 "http://e/\\"x" "Mozilla/5.0"'
BALANCER = (
    b"https 2026-11-28T14:54:40.000000Z app/lb/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 "
    b'200 200 0 57 "GET https://www.example.com:443%s HTTP/2.0" "curl/7.46.0" - - arn:aws:x "Root=1" "-" "-"'
)
FIELDS = b"#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer)"
CLOUDFRONT = b"2026-11-28\t14:54:40\tLAX1\t392\t192.0.2.1\tGET\td1.cloudfront.net\t%s\t200\t-\tMozilla/5.0%%2520(X)"


def parse(*lines: bytes) -> LoggedRequest | None:
    parser = LogParser()
    return [parser.parse(line) for line in lines][-1]


def expected(target: bytes = PATH, at: float | None = AT) -> LoggedRequest:
    return LoggedRequest("GET", target, 200, at)


def test_combined_common_and_journal_lines() -> None:
    for line in (
        COMBINED,
        COMBINED.partition(b' "http')[0],
        b"Nov 28 14:54:40 host imgforge[7]: " + COMBINED,
        b"vhost:80 " + COMBINED,
    ):
        assert parse(line % PATH) == expected()


def test_escapes_of_request_lines_are_undone() -> None:
    for escaped, sent in (
        (rb"/a\x22b\\c", rb'/a"b\c'),
        (rb"/\xC3\xbc", b"/\xc3\xbc"),
        (rb"/a\"b", b'/a"b'),
        (rb"/a\x2", b"/ax2"),
    ):
        assert parse(COMBINED.replace(b"%s", escaped)) == expected(sent)


@pytest.mark.parametrize("form", ["common", "combined", "json"])
def test_lines_of_imgforge_itself(form: str) -> None:
    stream = StringIO()
    log = AccessLog(stream, form)
    target = '/s/w:3/plain/http://x/"ä\\.jpg?v="1"'
    log.write(Access(AT, "::1", "GET", target, "HTTP/1.1", 200, 9, 0.1, "id", "imgforge; hit", '"', "\t" * 9))
    log.close()
    line = stream.getvalue().rstrip("\n").encode()
    assert parse(line) == expected(target.encode())
    assert parse(b"Nov 28 14:54:40 host imgforge[7]: " + line) == expected(target.encode())


def test_json_lines_with_the_names_of_nginx() -> None:
    line = {
        "time_iso8601": "2026-11-28T15:54:40+01:00",
        "request_method": "GET",
        "request_uri": PATH.decode(),
        "status": "200",
    }
    assert parse(json.dumps(line).encode()) == expected()


def test_load_balancers_log_whole_urls() -> None:
    url = b"https://www.example.com:443" + PATH
    assert parse(BALANCER % PATH) == expected(url)
    assert parse((BALANCER % PATH).removeprefix(b"https ")) == expected(url)  # a classic one
    assert parse(BALANCER.replace(b" 200 200 ", b" - - ") % PATH) is None


def test_cloudfront_fields_are_found_by_their_names() -> None:
    assert parse(CLOUDFRONT % PATH) == expected()
    assert parse(b"#Version: 1.0", FIELDS, CLOUDFRONT % PATH) == expected()
    fields = b"#Fields: sc-status cs-uri-stem x-edge-result-type cs-method time date"
    assert parse(fields, b"200\t" + PATH + b"\tHit\tGET\t14:54:40\t2026-11-28") == expected()
    assert parse(b"#Fields: a b c d e f g", CLOUDFRONT % PATH) is None


@pytest.mark.parametrize(
    ("logged", "sent"),
    [
        (b"/s/plain/http://x/a%2520b%253F.jpg", b"/s/plain/http://x/a%20b%3F.jpg"),
        (b"/s/plain/http://x/%25C3%25BC.jpg", b"/s/plain/http://x/%C3%BC.jpg"),
        (b"/s/plain/http://x/%7Ea%5B1%5D.jpg", b"/s/plain/http://x/~a[1].jpg"),
        # Logged as it was sent, by other programs with this format.
        (b"/s/plain/http%3A%2F%2Fx%2Fa%2520b.jpg", b"/s/plain/http%3A%2F%2Fx%2Fa%2520b.jpg"),
        (b"/s/plain/http://x/a%20b.jpg", b"/s/plain/http://x/a%20b.jpg"),
        (b"/s/plain/100%", b"/s/plain/100%"),
    ],
)
def test_paths_of_cloudfront_are_decoded_once(logged: bytes, sent: bytes) -> None:
    assert parse(CLOUDFRONT.replace(b"%s", logged).replace(b"%%", b"%")) == expected(sent)


def test_other_lines_are_none() -> None:
    for line in (
        b"2026-11-28T14:54:40+0000 [-] Log opened.",
        b'{"time": "2026-11-28T14:54:40Z", "level": "info", "message": "listening"}',
        b'10.0.0.1 - - [28/Nov/2026:16:54:40 +0200] "\\x16\\x03\\x01" 400 0 "-" "-"',
        b'10.0.0.1 - - [28/Nov/2026:16:54:40 +0200] "GET / HTTP/1.1" 2000 0',
        b"[1, 2]",
        b"# nothing",
        b"",
    ):
        assert parse(line) is None, line


def test_times_that_no_calendar_has_are_unknown() -> None:
    for day in (b"31/Feb/2026", b"28/Xyz/2026", b"28/Nov/0000"):
        line = (COMBINED % PATH).replace(b"28/Nov/2026", day)
        assert parse(line) == expected(at=None)
    assert parse((COMBINED % PATH).replace(b"+0200", b"+9999")) == expected(at=None)
    assert parse((CLOUDFRONT % PATH).replace(b"14:54:40", b"x" * 99)) == expected(at=None)


TOKENS = st.sampled_from(
    [
        *(b'"', b"\\", b"\t", b" ", b"[28/Nov/2026:16:54:40 +0200] ", b"GET / HTTP/1.1", b" 200 ", b"{", b'{"method"'),
        *(b":", b"}", b"\xff", b"%", b"%25", b"#Fields:", b" cs-method", b" cs-uri-stem sc-status date time", b"GET\t"),
        *(b"/\t", b"200\t", b"https 2026-11-28T14:54:40.000000Z ", b'"status": 1e999', b'"path":"\\ud800"', b'"GET'),
        *(b"9" * 5000, b"[" * 2000, b"2026-11-28\t14:54:40\t"),
    ]
)
LINES = st.one_of(
    st.binary(max_size=300),
    st.lists(TOKENS, max_size=30).map(b"".join),
    st.tuples(st.sampled_from([COMBINED, BALANCER, CLOUDFRONT]), st.binary(max_size=60), st.integers(0, 400)).map(
        lambda parts: parts[0].replace(b"%s", parts[1])[: parts[2]] + parts[1]
    ),
)


@given(st.lists(LINES, max_size=8))
def test_any_bytes_are_a_request_or_none(lines: list[bytes]) -> None:
    parser = LogParser()
    for line in lines:
        request = parser.parse(line)
        if request is not None:
            assert request.target
            assert len(request.target) <= len(line)
            assert request.method.isascii() or line.startswith(b"{") or b'{"' in line


def test_long_lines_that_almost_match_take_no_longer_than_others() -> None:
    # A quadratic search would take minutes.
    for unit in (
        b'[28/Nov/2026:16:54:40 +0200] "',
        b'"\\',
        b'{"',
        b"a ",
        b"\t",
        b"%25",
        b"https 2026-11-28T14:54:40Z ",
    ):
        parse(unit * (60_000 // len(unit)))
        parse(b'[28/Nov/2026:16:54:40 +0200] "' + unit * (60_000 // len(unit)))
        parse(b"https 2026-11-28T14:54:40.0Z " + unit * (60_000 // len(unit)))
