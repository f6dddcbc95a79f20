"""A proxy on loopback before a real server: it passes requests on byte for byte, or does an answer some harm."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from tests.support.loopback_server import DEADLINE, LoopbackServer, QuietHandler

__all__ = ["PASS", "RESET", "Fault", "FaultProxy", "ProxiedRequest", "answer"]

_CHUNK = 1 << 14
# Headers that belong to one connection; the proxy writes its own.
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(frozen=True)
class ProxiedRequest:
    """A request on its way; names of headers in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    number: int  # of the request, from 0


@dataclass(frozen=True)
class Fault:
    """What is done to an answer. All defaults pass it on."""

    head: bytes | None = None  # sent in place of the server's answer, which is not asked then
    reset: bool = False  # the connection is reset, where the answer ends or was cut
    cut: int | None = None  # bytes of the body after which the answer ends
    stall: bool = False  # silence, where the answer was cut, until `FaultProxy.release`
    lie: int = 0  # bytes by which the content-length is too large
    headers: tuple[tuple[str, str], ...] = ()  # in place of the server's of these names


PASS = Fault()
RESET = Fault(b"", reset=True)


def answer(status: int, body: bytes | str = b"", **headers: str) -> Fault:
    """A complete answer of the proxy's own; underscores in header names stand for hyphens."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '-')}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Fault("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


class FaultProxy(LoopbackServer):
    """Listens on a free port, in front of *upstream* ("host:port").

    *choose* gets each request and says what is done to its answer; it is called on a thread of the request's own and
    may wait.
    """

    def __init__(self, upstream: str, choose: Callable[[ProxiedRequest], Fault] = lambda _: PASS) -> None:
        self.upstream = upstream
        self.choose = choose
        self.requests: list[ProxiedRequest] = []
        proxy = self

        class Handler(QuietHandler):
            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # the client is gone
                    self.close_connection = True

            def do_GET(self) -> None:
                proxy._handle(self)

            do_HEAD = do_PUT = do_POST = do_GET

        super().__init__(Handler)
        self.hold()
        self.url = f"http://{self.host}"

    def targets(self) -> list[str]:
        """The targets of all requests so far."""
        return [request.target for request in self.requests]

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        target = handler.requestline.split(" ")[1]  # `path` is not always what came
        request = ProxiedRequest(handler.command, target, headers, len(self.requests))
        self.requests.append(request)
        body = handler.rfile.read(int(headers.get("content-length", "0")))
        fault = self.choose(request)
        if fault.head is None:
            self._pass_on(handler, request, body, fault)
        else:
            handler.wfile.write(fault.head)
        if fault.stall:
            self.wait()
        if fault.reset:
            # With this option close() sends a reset.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if fault.reset or fault.stall or fault.cut is not None or fault.lie or fault.head == b"":
            handler.close_connection = True

    def _pass_on(self, handler: BaseHTTPRequestHandler, request: ProxiedRequest, body: bytes, fault: Fault) -> None:
        connection = http.client.HTTPConnection(self.upstream, timeout=DEADLINE)
        try:
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name not in {"connection", "keep-alive"}:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        handler.send_response_only(reply.status)
        replaced = {name.lower() for name, _ in fault.headers}
        for name, value in [*reply.getheaders(), *fault.headers]:
            if name.lower() not in _HOP and not (name.lower() in replaced and (name, value) not in fault.headers):
                handler.send_header(name, value)
        if reply.status not in {204, 304}:
            handler.send_header("Content-Length", str(len(content) + fault.lie))
        handler.end_headers()
        if request.method != "HEAD":
            handler.wfile.write(content if fault.cut is None else content[: fault.cut])
