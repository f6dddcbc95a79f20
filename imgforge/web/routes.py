"""Which endpoint answers a request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from twisted.web.server import Request

from imgforge.errors import BadPath, ImgforgeError
from imgforge.web.http.response import Answer

__all__ = ["STREAMED", "Endpoint", "Route", "origin_form", "refusal"]

# An endpoint that has written its answer itself returns this.
STREAMED = Answer(0, [])

Endpoint = Callable[[Request], Coroutine[Any, Any, Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint and the paths that lead to it: one path, or with *prefix* all that begin with it.

    `label` names it in the metrics, where the number of distinct paths must stay small; *always* it is answered, to
    every client and even where there are too many. Another method than *methods* is 405, unless another route for the
    same paths takes it.
    """

    path: bytes
    label: str
    endpoint: Endpoint
    prefix: bool = False
    always: bool = False
    methods: tuple[bytes, ...] = (b"GET", b"HEAD")

    def matches(self, path: bytes) -> bool:
        """Whether a request for *path* is answered here."""
        return path.startswith(self.path) if self.prefix else path == self.path


def origin_form(target: bytes) -> bytes:
    """A request target as it was sent; an absolute one (RFC 9112, section 3.2.2) loses its scheme and host.

    `BadPath` for what is neither, such as `*`.
    """
    if target.startswith(b"/"):
        return target
    scheme, _, rest = target.partition(b"://")
    if scheme.lower() not in {b"http", b"https"}:
        raise BadPath("the target of the request is neither a path nor an http URL")
    _, slash, path = rest.partition(b"/")
    return slash + path


def refusal(label: str, error: ImgforgeError) -> Route:
    """A way that leads to *error* only."""

    async def refuse(_: Request) -> Answer:
        raise error

    return Route(b"", label, refuse, prefix=True)
