"""Asking a running server whether it takes work, over whatever it listens on."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from imgforge.config import BindAddress

__all__ = ["NoAnswer", "ask", "to_url"]

_SECONDS = 5
_LONGEST_LINE = 1000
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # every interface: the nearest of them


class NoAnswer(Exception):
    """Nobody answered; the message is one line that says why."""


def ask(where: str | Sequence[BindAddress]) -> tuple[int, str]:
    """Status and text of /health, at a URL or at the first of the listeners that can be reached by its address."""
    connection = to_url(where) if isinstance(where, str) else _to_listener(where)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status, answer.read(_LONGEST_LINE).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"no answer: {error or type(error).__name__}") from None
    finally:
        connection.close()


def to_url(url: str, timeout: float = _SECONDS) -> http.client.HTTPConnection:
    """A connection to the server at *url*; `NoAnswer` where that is no URL."""
    kinds: dict[str, type[http.client.HTTPConnection]] = {
        "http": http.client.HTTPConnection,
        "https": http.client.HTTPSConnection,
    }
    try:
        parts = urlsplit(url)
        kind, host, port = kinds[parts.scheme], parts.hostname, parts.port
    except (KeyError, ValueError):
        host = None
    if not host:
        raise NoAnswer(f"{url!r} must be a URL such as http://127.0.0.1:3000")
    return kind(host, port, timeout=timeout)


def _to_listener(listeners: Sequence[BindAddress]) -> http.client.HTTPConnection:
    for one in listeners:
        if one.kind == "unix":
            return _UnixConnection(one.path)
        host = _HERE.get(one.host, one.host)
        if one.kind == "tcp":
            return http.client.HTTPConnection(host, one.port, timeout=_SECONDS)
        if one.kind == "ssl":
            # Its certificate is made out to a public name and not to the address that we ask at.
            unverified = ssl._create_unverified_context()  # noqa: S323, SLF001
            return http.client.HTTPSConnection(host, one.port, timeout=_SECONDS, context=unverified)
    raise NoAnswer("only systemd knows where the server listens: give --url")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)
