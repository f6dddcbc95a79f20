"""HTTP servers on loopback, each on threads of its own, which can be silent for a while."""

from __future__ import annotations

import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

__all__ = ["DEADLINE", "LoopbackServer", "QuietHandler"]

DEADLINE = 60.0  # seconds that anything may take before a test gives up on it


class QuietHandler(BaseHTTPRequestHandler):
    """Writes no lines about requests."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Quiet."""


class LoopbackServer:
    """Serves with *handler* on a free port; `host` has it. A handler that is silent meanwhile calls `wait`.

    With a file *pem* of a certificate and its key it serves by TLS.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler], pem: str = "") -> None:
        self._open = Event()
        self._open.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if pem:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def wait(self) -> None:
        """Wait until nothing holds the server."""
        self._open.wait(DEADLINE)

    def hold(self) -> None:
        """Be silent until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Answer what came meanwhile, and what comes."""
        self._open.set()

    def close(self) -> None:
        """End all silences, and the server."""
        self.release()
        self._server.shutdown()
        self._server.server_close()
