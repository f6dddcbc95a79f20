"""Requests and their bodies, which are kept up to a bound, for what is purged; all others are not looked at."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.web.http import datetimeToString
from twisted.web.server import Request

from imgforge.errors import BodyTooLarge

__all__ = ["LONGEST_BODY", "BoundedBody", "SiteRequest", "whole_body"]

LONGEST_BODY = 1 << 16


class BoundedBody(Request):
    """A request that keeps no more of its body than anybody here reads, wherever twisted.web would put it."""

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep *data* as long as the body is not too long, and one byte more that tells so."""
        content: Any = self.content
        content.write(data[: LONGEST_BODY + 1 - content.tell()])


class SiteRequest(BoundedBody):
    """A request that goes to the site's Server whatever it asks for."""

    defaultContentType = None  # twisted.web's is text/html, for sources of an unknown kind as well

    def process(self) -> None:
        """Without what twisted.web does first: its own name in Server, its own answers to `*`."""
        channel: Any = self.channel
        self.site = channel.site
        self.setHeader(b"Date", datetimeToString())
        channel.site.resource.render(self)


def whole_body(request: Request) -> bytes:
    """The body of *request*; `BodyTooLarge` for one beyond the bound."""
    content: Any = request.content
    content.seek(0)
    body: bytes = content.read()
    if len(body) > LONGEST_BODY:
        raise BodyTooLarge(f"the body is longer than {LONGEST_BODY} bytes")
    return body
