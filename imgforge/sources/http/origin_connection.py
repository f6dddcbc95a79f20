"""A connection to an origin, as the pool sees it: of HTTP/1.1 or HTTP/2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.web.iweb import IResponse
from zope.interface import Attribute, Interface

__all__ = ["IOriginConnection", "NotSent"]


class NotSent(Exception):
    """The origin has not begun to work on a request: it may be sent over another connection."""


class IOriginConnection(Interface):
    """A connection that is open, and sends requests."""

    free: int = Attribute(
        "How many requests can be sent now: 1 or 0 for HTTP/1.1, the streams that the origin still allows for HTTP/2. "
        "0 for good once the connection is closing."
    )
    settled: bool = Attribute("Whether the origin has said how many requests it takes at once.")
    active: int = Attribute("How many requests are under way, their bodies included.")
    changed: Callable[[], None] = Attribute(
        "Set by the pool; called whenever `free`, `active` or `settled` has changed, and when the connection is closed."
    )
    closed: bool = Attribute("Whether the transport is gone.")

    def send(
        authority: bytes,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None = None,
        method: bytes = b"GET",
    ) -> Deferred[IResponse]:
        """Send `GET target`, or another *method*, to *authority* (the Host); fires with the response once its head is
        there.

        The *body* is sent as a whole; over HTTP/2 it may have a few KiB at most. The request may be sent twice, where
        the first connection broke without an answer.

        The bytes of *target* go to the wire unchanged. *headers* have neither Host nor Connection. `NotSent` where the
        origin cannot have begun to answer: the connection was closed meanwhile, or HTTP/2 refused the stream. Other
        failures: `ResponseFailed`, `ConnectionClosed`. Cancelling it, or `loseConnection` of the body's transport,
        gives up the response: HTTP/1.1 aborts the connection, HTTP/2 resets the stream.
        """

    def close() -> None:
        """Close once the requests under way have ended; `free` is 0 from now on."""

    def abort() -> None:
        """Close at once; requests under way fail."""
