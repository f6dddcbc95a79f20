"""The hostile origin of a soak: it serves decompression bombs, responses that break HTTP, and one large body."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable
from dataclasses import dataclass

from imgforge.testing import Origin, response
from tests.support.hostile_images import BOMBS

__all__ = ["HostileOrigin", "start_hostile_origin"]

_LARGE_BODY = bytes(range(256)) * (5 << 12)
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HostileOrigin:
    """The running origin, the URLs of its bombs and of its broken responses, and the URL of the large body."""

    server: Origin
    bomb_urls: tuple[str, ...]
    broken_urls: tuple[str, ...]
    large_url: str


def _then_close(sent: bytes) -> Callable[[socket.socket], None]:
    """Return an answer that sends the bytes *sent* and closes the connection."""

    def send(connection: socket.socket) -> None:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_RDWR)

    return send


def _broken_responses(picture: bytes) -> tuple[bytes | Callable[[socket.socket], None], ...]:
    return (
        b"",  # no byte at all, until the client times out
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


def start_hostile_origin(picture: bytes) -> HostileOrigin:
    """Start the origin; the broken responses carry *picture* where they carry an image at all."""
    server = Origin()
    bomb_urls = []
    for number, (make_bomb, _) in enumerate(BOMBS.values()):
        server.answers[f"/bomb/{number}"] = response(make_bomb())
        bomb_urls.append(server.url(f"/bomb/{number}"))
    broken_urls = []
    for number, answer in enumerate(_broken_responses(picture)):
        server.answers[f"/broken/{number}"] = answer
        broken_urls.append(server.url(f"/broken/{number}"))
    server.answers["/large"] = response(_LARGE_BODY)
    return HostileOrigin(server, tuple(bomb_urls), tuple(broken_urls), server.url("/large"))
