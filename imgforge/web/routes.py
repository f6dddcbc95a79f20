"""Which endpoint answers a request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from twisted.web.server import Request

from imgforge.errors import BadPath, ImgforgeError
from imgforge.web.http import Answer

__all__ = ["EVENTS", "STREAMED", "Endpoint", "Route", "origin_form", "refusal"]

# The path whose query may be the secret of its sender.
EVENTS = b"/events"
# Returned by an endpoint that has written its response itself.
STREAMED = Answer(0, [])

Endpoint = Callable[[Request], Coroutine[Any, Any, Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint and its paths. A method that no route of the same paths has is 405."""

    path: bytes
    label: str  # its name in the metrics, where the number of distinct paths must stay small
    endpoint: Endpoint
    prefix: bool = False  # whether `path` is the beginning of its paths; else it is the only one
    always: bool = False  # whether every client is answered, even if there are too many
    methods: tuple[bytes, ...] = (b"GET", b"HEAD")

    def matches(self, path: bytes) -> bool:
        """Whether the endpoint answers requests for *path*."""
        return path.startswith(self.path) if self.prefix else path == self.path


def origin_form(target: bytes) -> bytes:
    """The path and query of a request *target*, which may be an absolute URL (RFC 9112, section 3.2.2).

    Raises `BadPath` for any other form, such as `*`.
    """
    if target.startswith(b"/"):
        return target
    scheme, _, rest = target.partition(b"://")
    if scheme.lower() not in {b"http", b"https"}:
        raise BadPath("the target of the request is neither a path nor an http URL")
    _, slash, path = rest.partition(b"/")
    return slash + path


def refusal(label: str, error: ImgforgeError) -> Route:
    """A route whose endpoint raises *error*."""

    async def refuse(_: Request) -> Answer:
        raise error

    return Route(b"", label, refuse, prefix=True)
