"""What clients do to a server in a soak: each act is one request, or one misuse, and judges what came of it.

An act returns "" where the server did as it should, `REFUSED` where it was too busy, and else what was wrong.
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
_PATIENCE = 15.0  # seconds, more than any timeout of the server's

_TARGETS = (
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
_GARBAGE = (
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
    """The server's address, the origins' URLs, and what there is.

    *expected* are the right answers by picture and width; *bombs* and *broken* are URLs of pictures that are none, and
    of answers that are none.
    """

    address: tuple[str, int]
    origin: str
    expected: Mapping[tuple[int, int], bytes]
    bombs: Sequence[str]
    broken: Sequence[str]
    large: str
    secret: str


ClientAction = Callable[[SoakTarget, Random], str]


def good_path(origin: str, folder: str, picture: int, width: int) -> str:
    """The path of a picture's rendition; in another *folder* it is another original."""
    return image_path(f"rs:fit:{width}:0", f"{origin}/{folder}/{picture}.jpg", "jpg")


def _good(world: SoakTarget, chance: Random, folder: str) -> str:
    picture, width = chance.choice(list(world.expected))
    answer = fetch(world.address, good_path(world.origin, folder, picture, width), _PATIENCE)
    if answer.status == 200:
        return "" if answer.body == world.expected[picture, width] else "wrong pixels"
    return _status(answer, ())


def _status(answer: Answer, right: Sequence[int]) -> str:
    if answer.status in right:
        return ""
    if answer.status == 429:
        return REFUSED
    return f"status {answer.status} {answer.body[:80]!r}"


def hit(world: SoakTarget, chance: Random) -> str:
    """An image that is kept, mostly."""
    return _good(world, chance, "hot")


def cold(world: SoakTarget, chance: Random) -> str:
    """An original that nobody has seen."""
    return _good(world, chance, f"cold{chance.getrandbits(64):x}")


def status(world: SoakTarget, _chance: Random) -> str:
    """The health check."""
    return _status(fetch(world.address, "/status", _PATIENCE), (200,))


def metrics(world: SoakTarget, _chance: Random) -> str:
    """The metrics."""
    return _status(fetch(world.address, "/metrics", _PATIENCE), (200,))


def purge(world: SoakTarget, chance: Random) -> str:
    """One source, or all that were cold."""
    picture = chance.randrange(len(world.expected) // len(WIDTHS))
    source = {"source": f"{world.origin}/hot/{picture}.jpg"}
    wanted = chance.choice((source, {"prefix": f"{world.origin}/cold"}))
    headers = {"Authorization": f"Bearer {world.secret}"}
    connection = http.client.HTTPConnection(*world.address, timeout=_PATIENCE)
    with closing(connection):
        connection.request("POST", "/cache/purge", json.dumps(wanted), headers)
        response = connection.getresponse()
        return _status(Answer(response.status, "", response.read()), (200,))


def bomb(world: SoakTarget, chance: Random) -> str:
    """A picture that promises, hides or unpacks to more than it is: a small picture or a refusal."""
    path = image_path(f"w:64/cb:{chance.getrandbits(64):x}", chance.choice(world.bombs), "png")
    return _status(fetch(world.address, path, _PATIENCE), (200, 400, 408, 422, 502, 504))


def broken(world: SoakTarget, chance: Random) -> str:
    """An origin that breaks HTTP or is silent."""
    path = image_path(f"w:64/cb:{chance.getrandbits(64):x}", chance.choice(world.broken), "png")
    return _status(fetch(world.address, path, _PATIENCE), (404, 408, 422, 502, 504))


def target(world: SoakTarget, chance: Random) -> str:
    """A URL that means nothing, or nothing good."""
    return _status(fetch(world.address, chance.choice(_TARGETS), _PATIENCE), (400, 403, 404, 414, 422))


def garbage(world: SoakTarget, chance: Random) -> str:
    """Bytes that are no request: at most one answer, a refusal, and the end of the connection."""
    with socket.create_connection(world.address, _PATIENCE) as connection:
        received = b""
        # An end while something is unread comes as a reset, before or after the answer was read.
        with suppress(ConnectionError):
            connection.sendall(chance.choice(_GARBAGE))
            while data := connection.recv(65536):
                received += data
    good = not received or received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    return "" if good and received.count(b"HTTP/1.1 ") < 2 else f"answered {received[:80]!r}"


def slow_head(world: SoakTarget, _chance: Random) -> str:
    """A head that comes byte by byte, until the server has had enough."""
    deadline = time.monotonic() + _PATIENCE
    with socket.create_connection(world.address, 0.3) as connection, suppress(ConnectionError):
        while time.monotonic() < deadline:
            connection.sendall(b"G")
            with suppress(TimeoutError):
                if not connection.recv(4096):
                    return ""
        return "a slow head is waited for"
    return ""


def slow_reader(world: SoakTarget, chance: Random) -> str:
    """Megabytes that are asked for and read with long pauses."""
    with socket.create_connection(world.address, _PATIENCE) as connection, suppress(ConnectionError):
        _ask(connection, image_path("raw:1", world.large, ""))
        for _ in range(chance.randrange(5, 20)):
            connection.recv(2048)
            time.sleep(0.1)
    return ""


def leaver(world: SoakTarget, chance: Random) -> str:
    """A client that is gone before it has its image, politely or not."""
    picture, width = chance.choice(list(world.expected))
    with socket.create_connection(world.address, _PATIENCE) as connection:
        _ask(connection, good_path(world.origin, f"cold{chance.getrandbits(64):x}", picture, width))
        time.sleep(chance.random() * 0.06)
        if chance.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return ""


def flood(world: SoakTarget, _chance: Random) -> str:
    """Many requests at once on one connection, whose answers nobody reads."""
    with socket.create_connection(world.address, _PATIENCE) as connection, suppress(ConnectionError):
        for picture, width in world.expected:
            _ask(connection, good_path(world.origin, "hot", picture, width))
        time.sleep(0.2)
    return ""


def _ask(connection: socket.socket, path: str) -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode("ascii"))


# With weights: how often each comes among its kind.
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
