"""Requests to a running server, at a URL or over one of the listeners that its settings name."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from imgforge.config import BindAddress

__all__ = ["ServerUnreachable", "connect_to_listener", "connect_to_url", "request"]

_TIMEOUT = 5.0  # seconds for each of connecting, writing and reading
_MOST_READ = 1000  # bytes of a response
# A server that listens on every interface is reached over loopback.
_LOOPBACK_OF_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class ServerUnreachable(Exception):
    """No HTTP response came from the server; the message is one line that says why."""


def connect_to_url(url: str, timeout: float = _TIMEOUT) -> http.client.HTTPConnection:
    """Returns a connection to the server at *url*; raises `ServerUnreachable` unless it is an http or https URL."""
    connection_types: dict[str, type[http.client.HTTPConnection]] = {
        "http": http.client.HTTPConnection,
        "https": http.client.HTTPSConnection,
    }
    try:
        parts = urlsplit(url)
        connection_type, host, port = connection_types[parts.scheme], parts.hostname, parts.port
    except (KeyError, ValueError):
        host = None
    if not host:
        raise ServerUnreachable(f"{url!r} must be a URL such as http://127.0.0.1:3000")
    return connection_type(host, port, timeout=timeout)


def connect_to_listener(listeners: Sequence[BindAddress]) -> http.client.HTTPConnection:
    """Returns a connection to the first of *listeners* whose address is known; `ServerUnreachable` if none is."""
    for listener in listeners:
        if listener.kind == "unix":
            return _UnixConnection(listener.path)
        host = _LOOPBACK_OF_WILDCARD.get(listener.host, listener.host)
        if listener.kind == "tcp":
            return http.client.HTTPConnection(host, listener.port, timeout=_TIMEOUT)
        if listener.kind == "ssl":
            # The certificate is issued for a public name, not for the address used here.
            unverified = ssl._create_unverified_context()  # noqa: S323, SLF001
            return http.client.HTTPSConnection(host, listener.port, timeout=_TIMEOUT, context=unverified)
    raise ServerUnreachable("only systemd knows where the server listens: give --url")


def request(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Returns the status and the text of one response, and closes *connection*; raises `ServerUnreachable`."""
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read(_MOST_READ).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a path or host that is not ASCII
        raise ServerUnreachable(f"no answer: {error or type(error).__name__}") from None
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)
