"""Header and log injection: no text of a client starts a line of a response, a request to an origin, or the log."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from tests.support.hostile_world import RawOrigin, base64_of, serving, whole
from tests.support.pictures import encode, gradient
from tests.support.process import Reply, Twistd

# Line breaks, and bytes that some parsers treat as such.
BREAKS = (
    "%0d%0a",
    "%0a",
    "%0d",
    "%00",
    "%0b",
    "%0c",
    "%1b",
    "%7f",
    "%C2%85",
    "%E2%80%A8",
    "%E2%80%A9",
    "%E5%98%8A%E5%98%8D",
    "%250d%250a",
)
INJECTED = "Evil: injected"
PICTURE = encode(gradient(30, 20), "PNG")
# Paths whose text may reach a header or a log line; {} is the encoded text.
PLACES = (
    "/unsafe/fn:{}/plain/{source}",
    "/unsafe/fn:a{}/att:1/plain/{source}",
    "/unsafe/ct:{}/plain/{source}",
    "/unsafe/ct:a:{}:b/plain/{source}",
    "/unsafe/cb:{}/plain/{source}",
    "/unsafe/w:9/plain/{source}%3F{}",
    "/unsafe/raw:1/plain/{source}%3F{}",
    "/unsafe/raw:1/fn:{}/plain/{source}",
    "/unsafe/st:{}/plain/{source}",
    "/unsafe/wmt:{}/wm:1/plain/{source}",
    "/unsafe/pr:{}/plain/{source}",
    "/unsafe/{}:1/plain/{source}",
    "/unsafe/w:{}/plain/{source}",
    "/unsafe/plain/{source}@{}",
    "/unsafe/plain/http://127.0.0.1{}/",
    "/unsafe/plain/{}://x/",
    "/unsafe/plain/local:///{}",
    "/{}/w:9/plain/{source}",
    "/info/unsafe/ct:{}/plain/{source}",
    "/status{}",
    "/{}",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Twistd]:
    with serving(
        ALLOW_LOOPBACK_SOURCE_ADDRESSES="true",
        ALLOW_UNSIGNED="true",
        SET_CANONICAL_HEADER="true",
        ENABLE_DEBUG_HEADERS="true",
        CACHE_TYPE="memory",
        CACHE_CONTROL_PASSTHROUGH="true",
        ACCESS_LOG="json",
    ) as server:
        yield server


def assert_not_injected(reply: Reply, server: Twistd, origin: RawOrigin) -> None:
    """Checks *reply*, all requests to *origin* so far, and the log of *server*."""
    assert "evil" not in reply.headers, reply.headers
    for value in reply.headers.values():
        assert value.isprintable(), value
    for _, head in origin.requests:
        names = [line.partition(":")[0].strip().lower() for line in head.split("\r\n")[1:]]
        assert "evil" not in names, head
        assert all(char.isprintable() for char in head.replace("\r\n", "")), head
    for line in server.output().splitlines():
        assert not line.lower().startswith("evil"), line


@pytest.mark.parametrize("place", PLACES)
def test_no_text_of_a_url_starts_a_header_or_log_line(server: Twistd, origin: RawOrigin, place: str) -> None:
    for mark in BREAKS:
        text = f"x{mark}{INJECTED.replace(' ', '%20').replace(':', '%3A')}"
        path = place.replace("{source}", f"http:%2F%2F127.0.0.1:{origin.port}%2Fa.png").replace("{}", text)
        reply = server.get(path)
        assert reply.status in {200, 400, 403, 404, 422, 502}, (path, reply.status)
        assert_not_injected(reply, server, origin)


@pytest.mark.parametrize(
    "place",
    [
        "/unsafe/{}",
        "/unsafe/fn:{}:1/plain/{source}",
        "/unsafe/wm:1/wmu:{}/plain/{source}",
        "/unsafe/st:{}/plain/{source}",
    ],
)
def test_no_text_within_base64_starts_a_header_or_log_line(server: Twistd, origin: RawOrigin, place: str) -> None:
    for mark in ("\r\n", "\n", "\r", "\0", "\x85", "\u2028"):
        hidden = base64_of(f"{origin.url('/a.png')}{mark}{INJECTED}")
        reply = server.get(place.replace("{source}", origin.url("/a.png")).replace("{}", hidden))
        assert reply.status in {200, 400, 404, 422, 502}
        assert_not_injected(reply, server, origin)


@pytest.mark.parametrize(
    "name",
    [
        "X-Request-ID",
        "Accept",
        "Range",
        "If-None-Match",
        "If-Modified-Since",
        "Host",
        "User-Agent",
        "Referer",
        "Authorization",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "Forwarded",
        "Cookie",
        "X-Original-URL",
        "X-HTTP-Method-Override",
        "Accept-Encoding",
    ],
)
def test_request_headers_inject_nothing_and_do_not_reach_the_origin(
    server: Twistd, origin: RawOrigin, name: str
) -> None:
    """They do not change the cached response for other clients either."""
    url = f"/unsafe/w:11/plain/{origin.url('/a.png')}"
    before = server.get(url)
    for value in (
        "evil.example",
        "a\tEvil: 1",
        "\x80\xff",
        "a" * 4000,
        '"><script>',
        "../../etc/passwd",
        "bytes=0-1",
        "*",
        "nan",
        "\x1b[31m",
    ):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.putrequest("GET", url, skip_host=name == "Host")
        connection.putheader(name, value.encode("latin-1"))
        connection.endheaders()
        answer = connection.getresponse()
        reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        assert reply.status in {200, 206, 304, 400, 431}, (value, reply.status)
        assert_not_injected(reply, server, origin)
        if name != "X-Request-ID":  # sent back if it is a token
            assert value not in str(reply.headers) or len(value) < 4
    after = server.get(url)
    assert after.body == before.body
    assert all("evil.example" not in head for _, head in origin.requests if name != "Host")


DATES = (
    "Wed, 21 Oct 99999999999999 07:28:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    f"Wed, 21 Oct {'9' * 4500} 07:28:00 GMT",
    "Wed, 21 Oct 2015 07:28:00",
    "Wed, 99 Oct 2015 99:28:00 GMT",
    "yesterday",
)


@pytest.mark.parametrize("date", DATES)
def test_malformed_dates_of_clients_are_ignored(server: Twistd, origin: RawOrigin, date: str) -> None:
    origin.answers["/dated.png"] = whole(PICTURE, "200 OK", "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT")
    for options in ("w:12", "raw:1"):
        url = f"/unsafe/{options}/plain/{origin.url('/dated.png')}"
        for headers in (
            {"If-Modified-Since": date},
            {"If-Unmodified-Since": date},
            {"If-Range": date, "Range": "bytes=0-3"},
        ):
            reply = server.get(url, headers)
            assert (reply.status, len(reply.body)) == (200, len(server.get(url).body)), (options, headers)


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("name", ["Last-Modified", "Expires"])
def test_malformed_dates_of_origins_are_ignored(server: Twistd, origin: RawOrigin, name: str, date: str) -> None:
    path = f"/{name}-{DATES.index(date)}.png"
    origin.answers[path] = whole(PICTURE, "200 OK", f"{name}: {date}")
    good = "Wed, 21 Oct 2015 07:28:00 GMT"
    for options in ("w:12", "raw:1", "w:12/exp:4000000000"):
        url = f"/unsafe/{options}/plain/{origin.url(path)}"
        for headers in (
            {},
            {"If-Modified-Since": good},
            {"If-Unmodified-Since": good},
            {"If-Range": good, "Range": "bytes=0-3"},
        ):
            assert server.get(url, headers).status == 200, (options, headers)
