"""What an origin of a soak says: pictures that are bombs, and answers that break HTTP."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable

from imgforge.testing import Origin, response
from tests.support.hostile_images import BOMBS

__all__ = ["bad_origin"]

_LARGE = bytes(range(256)) * (5 << 12)
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _then_close(answer: bytes) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    return send


def _broken(picture: bytes) -> tuple[bytes | Callable[[socket.socket], None], ...]:
    return (
        b"",  # silent until it is given up
        _then_close(b""),
        _then_close(b"SSH-2.0-OpenSSH_9.6\r\n"),
        _then_close(response(picture)[:-9]),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + picture,  # the rest never comes
        _then_close(_CHUNKED + b"%x\r\n" % len(picture) + picture),
        _then_close(_CHUNKED + b"f" * 40 + b"\r\n"),
        _then_close(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000),
        _then_close(b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000),
        response(b"words"),
        response(b"", "404 Not Found"),
        response(picture, "503 Oops"),
        response(b"", "302 Found", "Location: file:///etc/passwd"),
        response(b"", "302 Found", "Location: http://169.254.169.254/"),
        response(picture, "200 OK", "Content-Encoding: gzip"),
        response(gzip.compress(bytes(200 << 20)), "200 OK", "Content-Encoding: gzip"),
        response(picture, "404 Not Found") + response(picture),
    )


def bad_origin(picture: bytes) -> tuple[Origin, list[str], list[str], str]:
    """An origin, the URLs of its bombs, of its answers that break HTTP, and of one that is only large."""
    origin = Origin()
    bombs = []
    for number, (make, _) in enumerate(BOMBS.values()):
        origin.answers[f"/bomb/{number}"] = response(make())
        bombs.append(origin.url(f"/bomb/{number}"))
    broken = []
    for number, answer in enumerate(_broken(picture)):
        origin.answers[f"/broken/{number}"] = answer
        broken.append(origin.url(f"/broken/{number}"))
    origin.answers["/large"] = response(_LARGE)
    return origin, bombs, broken, origin.url("/large")
