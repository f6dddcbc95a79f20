"""An HTTP origin that says anything, byte for byte."""

from __future__ import annotations

import contextlib
import socket
import socketserver
from collections.abc import Callable
from threading import Thread

__all__ = ["RawOrigin", "whole"]

Answer = bytes | Callable[[socket.socket], None]


def whole(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A complete answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class RawOrigin:
    """Answers each request by its path, byte for byte: a connection goes on until an answer closes it."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str]] = []  # path, head
        self.connections = 0
        origin = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                origin.connections += 1
                with contextlib.suppress(OSError):
                    origin._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                data = connection.recv(65536)
                if not data:
                    return
                received += data
            head, _, received = received.partition(b"\r\n\r\n")
            text = head.decode("latin-1")
            path = text.split(" ", 2)[1]
            self.requests.append((path, text))
            answer = self.answers.get(path.partition("?")[0], whole(b"", "404 Not Found"))
            if isinstance(answer, bytes):
                connection.sendall(answer)
            else:
                answer(connection)
