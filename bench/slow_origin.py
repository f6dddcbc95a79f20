"""An origin for `trace.py` and `soak.py`: any number of originals made of a few pictures, each after a given latency.

    python bench/slow_origin.py DIR PORT SECONDS

`/ANYTHING/N.jpg` is picture N modulo the number of pictures in DIR, with N in a JPEG comment, so that no two originals
have the same bytes. ANYTHING is ignored, so that a run can use URLs that no cache has seen. `/count` returns how many
originals were requested. It listens on 127.0.0.1:PORT and answers after SECONDS.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import endpoints
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

__all__ = ["NumberedOriginals", "add_number"]


def add_number(jpeg: bytes, number: int) -> bytes:
    """Return *jpeg* with *number* in a comment segment after its SOI marker."""
    text = b"%d" % number
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(text)) + text + jpeg[2:]


class NumberedOriginals(Resource):
    """The resource for every path; *latency* is in seconds."""

    isLeaf = True

    def __init__(self, clock: IReactorTime, pictures: Sequence[bytes], latency: float) -> None:
        super().__init__()
        self._clock = clock
        self._pictures = pictures
        self._latency = latency
        self._requested = 0

    def render_GET(self, request: Request) -> bytes | int:
        """Answer `/count` at once, and originals after the latency."""
        name = (request.postpath or [b""])[-1].partition(b".")[0]
        if name == b"count":
            return b"%d" % self._requested
        if not name.isdigit():
            request.setResponseCode(404)
            return b""
        self._requested += 1
        number = int(name)
        body = add_number(self._pictures[number % len(self._pictures)], number)
        request.setHeader(b"Content-Type", b"image/jpeg")
        request.setHeader(b"Content-Length", b"%d" % len(body))
        call = self._clock.callLater(self._latency, self._send, request, body)

        def cancel(_disconnect: Failure) -> None:
            if call.active():
                call.cancel()

        request.notifyFinish().addErrback(cancel)
        return NOT_DONE_YET

    @staticmethod
    def _send(request: Request, body: bytes) -> None:
        request.write(body)
        request.finish()


def main(directory: str, port: str, latency: str) -> None:
    """Serve until the process is terminated."""
    from twisted.internet import reactor

    # Any: mypy knows the module only. imgforge's IServerReactor cannot be imported by a file that is run by its name.
    real_reactor: Any = reactor
    pictures = [path.read_bytes() for path in sorted(Path(directory).iterdir())]
    site = Site(NumberedOriginals(real_reactor, pictures, float(latency)))
    endpoints.TCP4ServerEndpoint(real_reactor, int(port), interface="127.0.0.1").listen(site)
    real_reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
