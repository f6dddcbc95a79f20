"""An HTTP origin on loopback that sends any bytes a test wants, also such as break HTTP."""

from __future__ import annotations

import contextlib
import socket
import socketserver
from collections.abc import Callable
from threading import Thread
from typing import Self

__all__ = ["Origin", "response"]

# The bytes of a response, or a function that writes to the connection; it may close it.
Answer = bytes | Callable[[socket.socket], None]


def response(body: bytes, status: str = "200 OK", *header_lines: str) -> bytes:
    """The bytes of a complete response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *header_lines]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Origin:
    """Sends the answer for each request's path, without its query: bytes as they are, 404 where there is none.

    It listens on a free port and runs on threads of its own, so that a test may block. Connections stay open until an
    answer closes them. `requests` are the path and the head of each request, `connections` counts connections.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str]] = []
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
        """The URL of *path*, which begins with a slash."""
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        """Stop listening; open connections end with their clients."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
            answer = self.answers.get(path.partition("?")[0], response(b"", "404 Not Found"))
            if isinstance(answer, bytes):
                connection.sendall(answer)
            else:
                answer(connection)
