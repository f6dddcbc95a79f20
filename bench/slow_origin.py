"""An origin for `trace.py`: any number of originals made of a few pictures, each answer after a given latency.

    python bench/slow_origin.py DIR PORT SECONDS

`/ANYTHING/N.jpg` is the picture N modulo their number, with N in a JPEG comment: no two originals have the same bytes.
What stands for ANYTHING does not matter, so that a run can use URLs that no cache has seen. `/count` tells how many
were sent.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import endpoints
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

__all__ = ["NumberedOriginals", "with_number"]


def with_number(picture: bytes, number: int) -> bytes:
    """The JPEG *picture* with *number* in a comment behind its first marker."""
    text = b"%d" % number
    return picture[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(text)) + text + picture[2:]


class NumberedOriginals(Resource):
    """The resource for every path."""

    isLeaf = True

    def __init__(self, reactor: Any, pictures: Sequence[bytes], latency: float) -> None:
        super().__init__()
        self._reactor = reactor
        self._pictures = pictures
        self._latency = latency
        self._sent = 0

    def render_GET(self, request: Request) -> bytes | int:
        """The original, late; or at once the number of those sent."""
        name = (request.postpath or [b""])[-1].partition(b".")[0]
        if name == b"count":
            return b"%d" % self._sent
        if not name.isdigit():
            request.setResponseCode(404)
            return b""
        self._sent += 1
        number = int(name)
        body = with_number(self._pictures[number % len(self._pictures)], number)
        request.setHeader(b"Content-Type", b"image/jpeg")
        request.setHeader(b"Content-Length", b"%d" % len(body))
        call = self._reactor.callLater(self._latency, self._send, request, body)
        request.notifyFinish().addErrback(lambda _: call.active() and call.cancel())
        return NOT_DONE_YET

    @staticmethod
    def _send(request: Request, body: bytes) -> None:
        request.write(body)
        request.finish()


def main(directory: str, port: str, latency: str) -> None:
    """Serve until the process is ended."""
    from twisted.internet import reactor

    running: Any = reactor
    pictures = [path.read_bytes() for path in sorted(Path(directory).iterdir())]
    site = Site(NumberedOriginals(running, pictures, float(latency)))
    endpoints.TCP4ServerEndpoint(running, int(port), interface="127.0.0.1").listen(site)
    running.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
