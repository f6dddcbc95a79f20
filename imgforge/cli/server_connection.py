"""Where a running server is reached: at a URL, or at one of the listeners that its settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgforge.config import BindAddress
    from imgforge.model import HttpUrl

__all__ = [
    "ServerAddress",
    "ServerAnswer",
    "ServerRequest",
    "ServerUnreachable",
    "address_of_listener",
    "address_of_url",
    "answer_to",
    "path_at",
    "send",
]

_TIMEOUT = 5.0  # seconds
_LONGEST = 1000  # bytes
# A server that listens on every interface is reached over loopback.
_LOOPBACK_OF_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_PORTS = {"http": 80, "https": 443}


class ServerUnreachable(Exception):
    """No HTTP response came from the server; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server; `path` is that of a unix socket, which then is connected to."""

    scheme: str  # http or https
    host: str
    port: int
    path: str = ""
    verified: bool = True  # whether its certificate has to be one for `host`

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """A request; the bytes of `path` are sent as they are."""

    method: str
    path: str
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = _TIMEOUT  # seconds from the look-up of the host to the last byte
    longest: int = _LONGEST  # bytes of the response that are read


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """A response: its status, the beginning of its text, and its headers by name in lower case."""

    status: int
    text: str
    headers: Mapping[str, str]


def address_of_url(url: str) -> ServerAddress:
    """Returns the address of the server at *url*; raises `ServerUnreachable` unless it is an http or https URL."""
    parts = _parsed(url)
    return ServerAddress(parts.scheme, parts.host, parts.port)


def _parsed(url: str) -> HttpUrl:
    from imgforge.model import parse_http_url

    try:
        parts = parse_http_url(url)
    except ValueError:
        parts = None
    if parts is None:
        raise ServerUnreachable(f"{url!r} must be a URL such as http://127.0.0.1:3000")
    return parts


def path_at(base_url: str, url: str) -> str:
    """The path, with the query, by which the server at *base_url* is asked for *url*, a full URL or a path.

    Raises `ServerUnreachable` where one of them is a malformed URL.
    """
    from imgforge.model import parse_http_url

    base = _parsed(base_url).path.rstrip("/")
    try:
        parts = parse_http_url(url)
    except ValueError as error:
        raise ServerUnreachable(f"{url!r} cannot be asked for at {base_url!r}: {error}") from None
    return base + "/" + url.lstrip("/") if parts is None else parts.target


def address_of_listener(listeners: Sequence[BindAddress]) -> ServerAddress:
    """Returns the address of the first of *listeners* whose address is known; `ServerUnreachable` if none is."""
    for listener in listeners:
        if listener.kind == "unix":
            return ServerAddress("http", "localhost", 80, listener.path)
        host = _LOOPBACK_OF_WILDCARD.get(listener.host, listener.host)
        if listener.kind == "tcp":
            return ServerAddress("http", host, listener.port)
        if listener.kind == "ssl":  # the certificate is issued for a public name, not for the address used here
            return ServerAddress("https", host, listener.port, verified=False)
    raise ServerUnreachable("only systemd knows where the server listens: give --url")


def send(address: ServerAddress, request: ServerRequest) -> tuple[int, str]:
    """Returns the status and the text of the response; raises `ServerUnreachable`."""
    answer = answer_to(address, request)
    return answer.status, answer.text


def answer_to(address: ServerAddress, request: ServerRequest) -> ServerAnswer:
    """Returns the response; raises `ServerUnreachable`."""
    from imgforge.cli.server_exchange import exchange

    return exchange(address, request)
