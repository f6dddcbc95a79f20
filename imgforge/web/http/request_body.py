"""Requests, and their bodies up to a bound."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.web.http import datetimeToString
from twisted.web.server import Request

from imgforge.errors import BodyTooLarge

__all__ = ["LONGEST_BODY", "BoundedBody", "SiteRequest", "whole_body"]

LONGEST_BODY = 1 << 16


class BoundedBody(Request):
    """A request that keeps its body up to the bound, in memory; twisted.web would write a long one to a file."""

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keeps *data* up to the bound and one byte more, by which `whole_body` sees that the body is too long."""
        content: Any = self.content
        content.write(data[: LONGEST_BODY + 1 - content.tell()])


class SiteRequest(BoundedBody):
    """A request that goes to the site's Server, whatever its target is."""

    defaultContentType = None  # twisted.web's is text/html, for sources of an unknown kind as well
    method = uri = path = b"-"  # until the request line is read: the access log shows these

    def request_line_received(self, method: bytes, target: bytes, version: bytes) -> None:
        """Keeps the request line, *target* in the bytes that the client sent."""
        self.method, self.uri, self.path, self.clientproto = method, target, target, version

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: ARG002
        """Keeps the client's own bytes of the target: in *path* `StrictChannel` has replaced some.

        twisted.web's method is not called. It reads the forms of all POST requests, at any path, in quadratic time,
        and fails on some Content-Type; nothing here takes a form.
        """
        self.method, self.clientproto = command, version
        self.path = self.uri.partition(b"?")[0]
        self.args = {}
        self.process()

    def write(self, data: bytes) -> None:
        """Sends a head without the beginning of a body at once; else the channel sends both together."""
        super().write(data)
        channel: Any = self.channel
        channel.send_head()

    def process(self) -> None:
        """Leaves out what twisted.web does first: it writes its own name in Server, and answers `*` itself."""
        channel: Any = self.channel
        self.site = channel.site
        self.setHeader(b"Date", datetimeToString())
        channel.site.resource.render(self)


def whole_body(request: Request) -> bytes:
    """The body of *request*. Raises `BodyTooLarge` beyond the bound."""
    content: Any = request.content
    content.seek(0)
    body: bytes = content.read()
    if len(body) > LONGEST_BODY:
        raise BodyTooLarge(f"the body is longer than {LONGEST_BODY} bytes")
    return body
