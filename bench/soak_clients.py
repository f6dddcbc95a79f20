"""The actions of the good and the hostile clients in a soak: each sends one request, or misuses one connection.

An action returns "" where the server answered correctly, `REFUSED` where it answered 429, and otherwise a description
of the wrong answer. Reports name an action after its function.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from random import Random

from bench.load import Answer, fetch
from bench.workloads import image_path

__all__ = ["GOOD", "HOSTILE", "REFUSED", "WIDTHS", "ClientAction", "SoakTarget", "good_path"]

REFUSED = "refused"
WIDTHS = (80, 160, 320)
_TIMEOUT = 15.0  # seconds, more than any timeout of the server

_BAD_TARGETS = (
    "/unsafe/w:nan/plain/local:///a.jpg",
    "/unsafe/w:1e999/plain/local:///a.jpg",
    "/unsafe/rs:fit:99999999:1/pd:99999999/plain/local:///a.jpg",
    "/unsafe/unknown:1/plain/local:///a.jpg",
    "/unsafe/" + "bl:1/" * 2000 + "plain/local:///a.jpg",
    "/unsafe/plain/local:///../../etc/passwd",
    "/unsafe/plain/http://169.254.169.254/latest/meta-data",
    "/unsafe/plain/gopher://127.0.0.1/",
    "/unsafe/w:9/%00%ff%zz",
    "/unsafe/plain/" + "a" * 17_000,
    "/" + "/" * 300,
)
_MALFORMED_REQUESTS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    b"\x00" * 2000,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA\x00b: c\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
)


@dataclass(frozen=True, slots=True)
class SoakTarget:
    """The server under test and the URLs that the clients use.

    Attributes
    ----------
    address
        Host and port of the server.
    origin_url
        Base URL of the origin that serves the good pictures.
    expected_bodies
        The correct response body for each pair of picture number and width.
    bomb_urls, broken_urls, large_url
        Decompression bombs, responses that break HTTP, and a body of several megabytes.
    purge_secret
        The bearer token of `/cache/purge`.
    """

    address: tuple[str, int]
    origin_url: str
    expected_bodies: Mapping[tuple[int, int], bytes]
    bomb_urls: Sequence[str]
    broken_urls: Sequence[str]
    large_url: str
    purge_secret: str


ClientAction = Callable[[SoakTarget, Random], str]


def good_path(origin_url: str, folder: str, picture: int, width: int) -> str:
    """Return the path of a picture's rendition; another *folder* makes it another original with the same pixels."""
    return image_path(f"rs:fit:{width}:0", f"{origin_url}/{folder}/{picture}.jpg", "jpg")


def _fetch_good_image(server: SoakTarget, rng: Random, folder: str) -> str:
    picture, width = rng.choice(list(server.expected_bodies))
    answer = fetch(server.address, good_path(server.origin_url, folder, picture, width), _TIMEOUT)
    if answer.status == 200:
        return "" if answer.body == server.expected_bodies[picture, width] else "wrong pixels"
    return _check_status(answer, ())


def _check_status(answer: Answer, allowed: Sequence[int]) -> str:
    if answer.status in allowed:
        return ""
    if answer.status == 429:
        return REFUSED
    return f"status {answer.status} {answer.body[:80]!r}"


def hit(server: SoakTarget, rng: Random) -> str:
    """Request an image that is cached, unless it was evicted or purged."""
    return _fetch_good_image(server, rng, "hot")


def cold(server: SoakTarget, rng: Random) -> str:
    """Request an image of an original that no cache has."""
    return _fetch_good_image(server, rng, f"cold{rng.getrandbits(64):x}")


def status(server: SoakTarget, _rng: Random) -> str:
    """Request the health check."""
    return _check_status(fetch(server.address, "/status", _TIMEOUT), (200,))


def metrics(server: SoakTarget, _rng: Random) -> str:
    """Request the metrics."""
    return _check_status(fetch(server.address, "/metrics", _TIMEOUT), (200,))


def purge(server: SoakTarget, rng: Random) -> str:
    """Purge one original, or all originals of `cold`."""
    picture = rng.randrange(len(server.expected_bodies) // len(WIDTHS))
    source = {"source": f"{server.origin_url}/hot/{picture}.jpg"}
    purged = rng.choice((source, {"prefix": f"{server.origin_url}/cold"}))
    headers = {"Authorization": f"Bearer {server.purge_secret}"}
    connection = http.client.HTTPConnection(*server.address, timeout=_TIMEOUT)
    with closing(connection):
        connection.request("POST", "/cache/purge", json.dumps(purged), headers)
        response = connection.getresponse()
        return _check_status(Answer(response.status, "", response.read()), (200,))


def bomb(server: SoakTarget, rng: Random) -> str:
    """Request an image of a decompression bomb; a small image and a refusal are both correct."""
    path = image_path(f"w:64/cb:{rng.getrandbits(64):x}", rng.choice(server.bomb_urls), "png")
    return _check_status(fetch(server.address, path, _TIMEOUT), (200, 400, 408, 422, 502, 504))


def broken(server: SoakTarget, rng: Random) -> str:
    """Request an image from an origin that breaks HTTP or never answers."""
    path = image_path(f"w:64/cb:{rng.getrandbits(64):x}", rng.choice(server.broken_urls), "png")
    return _check_status(fetch(server.address, path, _TIMEOUT), (404, 408, 422, 502, 504))


def target(server: SoakTarget, rng: Random) -> str:
    """Request a malformed or forbidden URL."""
    return _check_status(fetch(server.address, rng.choice(_BAD_TARGETS), _TIMEOUT), (400, 403, 404, 414, 422))


def garbage(server: SoakTarget, rng: Random) -> str:
    """Send a malformed request; the server may answer once, with an error, and must close the connection."""
    with socket.create_connection(server.address, _TIMEOUT) as connection:
        received = b""
        # A server that closes with unread data resets the connection, before or after the answer was read.
        with suppress(ConnectionError):
            connection.sendall(rng.choice(_MALFORMED_REQUESTS))
            while data := connection.recv(65536):
                received += data
    refused = not received or received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    return "" if refused and received.count(b"HTTP/1.1 ") < 2 else f"answered {received[:80]!r}"


def slow_head(server: SoakTarget, _rng: Random) -> str:
    """Send a request head byte by byte until the server closes the connection (slowloris)."""
    deadline = time.monotonic() + _TIMEOUT
    with socket.create_connection(server.address, 0.3) as connection, suppress(ConnectionError):
        while time.monotonic() < deadline:
            connection.sendall(b"G")
            with suppress(TimeoutError):
                if not connection.recv(4096):
                    return ""
        return "the server keeps waiting for a slow request head"
    return ""


def slow_reader(server: SoakTarget, rng: Random) -> str:
    """Request megabytes and read them in small pieces with long pauses."""
    with socket.create_connection(server.address, _TIMEOUT) as connection, suppress(ConnectionError):
        _send_get(connection, image_path("raw:1", server.large_url, ""))
        for _ in range(rng.randrange(5, 20)):
            connection.recv(2048)
            time.sleep(0.1)
    return ""


def leaver(server: SoakTarget, rng: Random) -> str:
    """Close the connection before the image arrives, with FIN or with RST."""
    picture, width = rng.choice(list(server.expected_bodies))
    with socket.create_connection(server.address, _TIMEOUT) as connection:
        _send_get(connection, good_path(server.origin_url, f"cold{rng.getrandbits(64):x}", picture, width))
        time.sleep(rng.random() * 0.06)
        if rng.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return ""


def flood(server: SoakTarget, _rng: Random) -> str:
    """Pipeline many requests on one connection and read no answer."""
    with socket.create_connection(server.address, _TIMEOUT) as connection, suppress(ConnectionError):
        for picture, width in server.expected_bodies:
            _send_get(connection, good_path(server.origin_url, "hot", picture, width))
        time.sleep(0.2)
    return ""


def _send_get(connection: socket.socket, path: str) -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode("ascii"))


# Actions with their weights: how often a client picks each.
GOOD: dict[ClientAction, float] = {hit: 80, cold: 18, status: 1, metrics: 1}
HOSTILE: dict[ClientAction, float] = {
    bomb: 20,
    broken: 20,
    target: 20,
    garbage: 20,
    leaver: 20,
    flood: 4,
    purge: 3,
    slow_reader: 3,
    slow_head: 2,
}
