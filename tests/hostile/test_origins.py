"""Origins that violate HTTP: no partial image is served, no error is cached, and no connection is poisoned."""

from __future__ import annotations

import gzip
import http.client
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import quote

import pytest

from tests.support.hostile_world import Canary, RawOrigin, ask, descriptors, serving, whole
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Twistd, wait_for

PICTURE = encode(gradient(64, 48), "PNG")
POISON = encode(gradient(7, 7), "PNG")
HALF = PICTURE[: len(PICTURE) // 2]


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", head: bytes = b"") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + head + b"\r\n" + body + end


def then_close(answer: bytes, *, reset: bool = False) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.sendall(answer)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return send


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
TE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# Responses that must not become an image.
BROKEN: dict[str, bytes | Callable[[socket.socket], None]] = {
    "no answer": then_close(b""),
    "a reset": then_close(b"", reset=True),
    "no HTTP": then_close(b"\x16\x03\x01\x02\x00" + bytes(200)),
    "HTTP/0.9": then_close(PICTURE),
    "another protocol": then_close(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a bad version": then_close(whole(PICTURE).replace(b"HTTP/1.1", b"HTTP/x.y")),
    "a bad status": then_close(whole(PICTURE, "abc OK")),
    "status 0": then_close(whole(PICTURE, "0 OK")),
    "status 99": then_close(whole(PICTURE, "99 OK")),
    "status 1000": then_close(whole(PICTURE, "1000 OK")),
    "no end of the head": then_close(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"),
    "a reset in the head": then_close(b"HTTP/1.1 200 OK\r\nContent-Le", reset=True),
    "half the body": then_close(LENGTH % len(PICTURE) + HALF),
    "half the body and a reset": then_close(LENGTH % len(PICTURE) + HALF, reset=True),
    "all but a byte": then_close(LENGTH % len(PICTURE) + PICTURE[:-1]),
    "a longer length": then_close(LENGTH % (len(PICTURE) + 1) + PICTURE),
    "a shorter length": then_close(LENGTH % len(HALF) + PICTURE),
    "a negative length": then_close(LENGTH.replace(b"%d", b"-5") + PICTURE),
    "a signed length": then_close(LENGTH.replace(b"%d", b"+%d" % len(PICTURE)) + PICTURE),
    "a hexadecimal length": then_close(LENGTH.replace(b"%d", b"0x%x" % len(PICTURE)) + PICTURE),
    "a length of words": then_close(LENGTH.replace(b"%d", b"many") + PICTURE),
    "an empty length": then_close(LENGTH.replace(b"%d", b"") + PICTURE),
    "an endless length": then_close(LENGTH.replace(b"%d", b"9" * 400) + PICTURE),
    "two lengths": then_close(whole(PICTURE, "200 OK", "Content-Length: 5")),
    "two lengths in one": then_close(LENGTH.replace(b"%d", b"5, %d" % len(PICTURE)) + PICTURE),
    "a length of unicode digits": then_close(LENGTH.replace(b"%d", "\u0661\u0662".encode()) + PICTURE),
    "no last chunk": then_close(chunked(PICTURE, end=b"")),
    "half a chunk": then_close(TE + b"%x\r\n" % len(PICTURE) + HALF),
    "half of the last chunk": then_close(chunked(PICTURE, end=b"0\r\n")),
    "a chunk too long": then_close(TE + b"5\r\n" + PICTURE + b"\r\n0\r\n\r\n"),
    "a negative chunk": then_close(TE + b"-5\r\n" + PICTURE + b"\r\n0\r\n\r\n"),
    "a chunk of 0x": then_close(TE + b"0x%x\r\n" % len(PICTURE) + PICTURE + b"\r\n0\r\n\r\n"),
    "a chunk of +": then_close(TE + b"+%x\r\n" % len(PICTURE) + PICTURE + b"\r\n0\r\n\r\n"),
    "a chunk of spaces": then_close(TE + b" %x\r\n" % len(PICTURE) + PICTURE + b"\r\n0\r\n\r\n"),
    "a huge chunk": then_close(TE + b"f" * 40 + b"\r\n" + PICTURE),
    "an endless chunk line": then_close(TE + b"5;" + b"x" * 200_000),
    "chunks without lines": then_close(TE + b"%x" % len(PICTURE) + PICTURE + b"0"),
    "endless trailers": then_close(chunked(PICTURE, end=b"0\r\n" + b"X-Trailer: yes\r\n" * 20_000)),
    "a length and chunks": then_close(chunked(PICTURE, head=b"Content-Length: 9\r\n")),
    "chunked twice": then_close(chunked(PICTURE, head=b"Transfer-Encoding: chunked\r\n")),
    "an unknown transfer": then_close(whole(PICTURE, "200 OK", "Transfer-Encoding: gzip")),
    "chunks that are none": then_close(TE + PICTURE),
    "an unknown encoding": then_close(whole(PICTURE, "200 OK", "Content-Encoding: zstd")),
    "a lying encoding": then_close(whole(PICTURE, "200 OK", "Content-Encoding: gzip")),
    "half an encoding": then_close(whole(gzip.compress(PICTURE)[:-30], "200 OK", "Content-Encoding: gzip")),
    "an encoding twice": then_close(whole(gzip.compress(PICTURE), "200 OK", "Content-Encoding: gzip, gzip")),
    "more behind the encoding": then_close(whole(gzip.compress(PICTURE) + b"x", "200 OK", "Content-Encoding: gzip")),
    "a wrong checksum": then_close(whole(gzip.compress(PICTURE)[:-8] + bytes(8), "200 OK", "Content-Encoding: gzip")),
    "a bomb": then_close(whole(gzip.compress(bytes(60 << 20)), "200 OK", "Content-Encoding: gzip")),
    "a bomb in a bomb": then_close(
        whole(gzip.compress(gzip.compress(bytes(60 << 20))), "200 OK", "Content-Encoding: gzip")
    ),
    "a zlib bomb": then_close(whole(zlib.compress(bytes(60 << 20)), "200 OK", "Content-Encoding: deflate")),
    "a part nobody asked for": then_close(whole(HALF, "206 Partial Content", "Content-Range: bytes 0-9/99")),
    "no content": then_close(whole(b"", "204 No Content")),
    "not modified": then_close(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "switching protocols": then_close(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + PICTURE),
    "endless interim answers": then_close(b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000),
    "endless headers": then_close(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000),
    "an endless header": then_close(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000),
    "a header without a colon": then_close(whole(PICTURE, "200 OK", "Nonsense")),
    "a header with a NUL": then_close(whole(PICTURE, "200 OK", "Content-Length\0: 5", "A\0b: c")),
    "a space before the colon": then_close(whole(PICTURE, "200 OK", "Transfer-Encoding : chunked")),
    "a folded length": then_close(b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\n" + PICTURE),
    "an error with a picture": then_close(whole(PICTURE, "500 Oops")),
    "not found with a picture": then_close(whole(PICTURE, "404 Not Found")),
    "more than allowed": then_close(whole(PICTURE + bytes(40 << 20))),
    "more than allowed in chunks": then_close(chunked(PICTURE, *[bytes(1 << 20)] * 40)),
}
# Unusual but harmless, or unambiguous enough to be accepted.
TOLERATED = {"a header without a colon", "a header with a NUL", "status 1000"}
# Streamed (raw:1), the bodies of these are as long as their heads say, in some reading.
STREAMED = TOLERATED | {"a bomb in a bomb", "a zlib bomb", "a bomb", "a folded length"}

WHOLE = (PICTURE, HALF, PICTURE + bytes(40 << 20))

# Bytes that follow a valid response on the same connection, and must not be taken for the next response.
SURPLUS = {
    "a second answer": whole(PICTURE) + whole(POISON),
    "a second answer later": whole(PICTURE),
    "rubbish": whole(PICTURE) + b"\r\n\r\nrubbish",
    "an empty line": whole(PICTURE) + b"\r\n",
    "half an answer": whole(PICTURE) + b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
    "behind the last chunk": chunked(PICTURE) + whole(POISON),
    "behind an empty redirect": whole(b"", "302 Found", "Location: /good") + whole(POISON),
    "behind an error": whole(b"no", "404 Not Found") + whole(POISON),
    "behind a 304": b"HTTP/1.1 304 Not Modified\r\n\r\n" + whole(POISON),
    "behind a 204": b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n" + whole(POISON),
    "an interim answer": whole(PICTURE) + b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    origin = RawOrigin()
    origin.answers["/good"] = whole(PICTURE)
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Twistd]:
    with serving(
        ALLOW_LOOPBACK_SOURCE_ADDRESSES="true",
        CACHE_TYPE="memory",
        CACHE_NOT_FOUND_TTL="0",
        DOWNLOAD_TIMEOUT="5",  # which nobody but silent origins should reach, on a busy machine either
        MAX_SRC_FILE_SIZE=str(30 << 20),
        WORKERS="2",
    ) as server:
        yield server


@pytest.mark.parametrize("name", BROKEN)
def test_broken_responses_are_neither_processed_nor_cached(server: Twistd, origin: RawOrigin, name: str) -> None:
    path = f"/{list(BROKEN).index(name)}"
    origin.answers[path] = BROKEN[name]
    reply = ask(server, "w:20", origin.url(path), "@png")
    if name not in TOLERATED:
        assert reply.status in {404, 422, 502, 504}, reply.status
        assert reply.headers["cache-control"] == "no-store"
    try:
        streamed = ask(server, "raw:1", origin.url(path))
    except (OSError, http.client.HTTPException):  # a stream that was aborted
        pass
    else:
        assert name in STREAMED or streamed.status != 200 or streamed.body in WHOLE
    origin.answers[path] = whole(PICTURE)
    repaired = ask(server, "w:20", origin.url(path), "@png")
    assert (repaired.status, decode(repaired.body).size) == (200, (20, 15))


@pytest.mark.parametrize("name", SURPLUS)
def test_surplus_bytes_are_never_taken_for_the_next_response(server: Twistd, origin: RawOrigin, name: str) -> None:
    path = f"/surplus/{list(SURPLUS).index(name)}"
    origin.answers[path] = SURPLUS[name]
    for turn in range(6):
        ask(server, f"w:20/cb:{turn}", origin.url(path), "@png")
        for options in (f"w:21/cb:{turn}", "raw:1"):
            reply = ask(server, options, origin.url("/good"))
            assert decode(reply.body).size == ((21, 16) if options != "raw:1" else (64, 48))


def test_the_circuit_breaker_opens_for_an_origin_that_refuses_connections(server: Twistd) -> None:
    with Canary() as canary:
        port = canary.port
    for _ in range(11):
        assert ask(server, "w:9", f"http://127.0.0.1:{port}/").status == 502
    reply = ask(server, "w:9", f"http://127.0.0.1:{port}/")
    assert (reply.status, b"left alone" in reply.body) == (502, True)
    assert b'refusals_total{reason="circuit"}' in server.get("/metrics").body


SLOW: dict[str, bytes] = {
    "silent at once": b"",
    "silent in the head": b"HTTP/1.1 200 OK\r\nContent-",
    "silent in the body": LENGTH % len(PICTURE) + HALF,
    "silent in a chunk": TE + b"%x\r\n" % len(PICTURE) + HALF,
    "silent in the trailers": chunked(PICTURE, end=b"0\r\nX: y\r\n"),
}


def test_silent_origins_time_out_in_parallel_and_leave_no_connections(server: Twistd, origin: RawOrigin) -> None:
    """There are more silent origins than threads; meanwhile other images are served."""
    for number, response in enumerate(SLOW.values()):
        origin.answers[f"/slow/{number}"] = response
    before = descriptors(server)
    with ThreadPoolExecutor(20) as pool:
        paths = [f"/slow/{number % len(SLOW)}?{number}" for number in range(20)]
        responses = [pool.submit(ask, server, "w:20", origin.url(path)) for path in paths]
        assert ask(server, "w:22", origin.url("/good")).status == 200
        assert not any(response.done() for response in responses)
        assert {response.result().status for response in responses} == {504}
    wait_for(lambda: descriptors(server) <= before + 2, "the connections to be closed")


def test_open_streams_do_not_block_images_of_the_same_host(origin: RawOrigin) -> None:
    """Neither streams that wait for the origin's response, nor streams whose clients stop reading."""
    origin.answers |= {"/silent": b"", "/large": whole(bytes(8 << 20))}
    before = len(origin.requests)
    settings = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "WORKERS": "1", "REQUESTS_QUEUE_SIZE": "1"}
    with serving(**settings) as server, ExitStack() as clients:
        for number in range(6):
            for path in ("/silent", "/large"):
                client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                source = quote(origin.url(f"{path}?{number}"), safe="")
                client.sendall(f"GET /unsafe/raw:1/plain/{source} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_for(lambda: len(origin.requests) == before + 12, "all requests to reach the origin")
        for turn in range(4):
            assert ask(server, f"w:20/cb:{turn}", origin.url("/good")).status == 200


@pytest.mark.parametrize("name", [
    "Content-Type: text/html", "Content-Type: image/svg+xml", "Content-Disposition: attachment; filename=evil.exe",
    "Set-Cookie: a=b", "Cache-Control: no-store", "X-Accel-Redirect: /etc/passwd", "X-Sendfile: /etc/passwd",
    "Refresh: 0; url=http://evil.example/", "Link: <http://evil.example/>; rel=preload", "Server: evil",
    "Access-Control-Allow-Origin: *", "Clear-Site-Data: *", "Strict-Transport-Security: max-age=0", "Alt-Svc: evil",
    "ETag: \"a\\r\\nEvil: 1\"", "Last-Modified: \x01\x7f\xff", "Location: http://evil.example/", "Connection: evil",
])  # fmt: skip
def test_headers_of_an_origin_are_not_passed_on(server: Twistd, origin: RawOrigin, name: str) -> None:
    path = f"/header/{abs(hash(name))}"
    origin.answers[path] = whole(PICTURE, "200 OK", name)
    header, _, value = name.partition(": ")
    reply = ask(server, "w:20", origin.url(path))
    assert (reply.status, reply.headers["content-type"]) == (200, "image/png")
    assert reply.headers.get(header.lower(), "") != value
    assert "evil" not in str(reply.headers).lower()
