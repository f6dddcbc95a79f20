"""The origin of `imgforge.testing`, asked over a socket."""

from __future__ import annotations

import socket
from unittest import TestCase

from imgforge.testing import Origin, response


class OriginTests(TestCase):
    def setUp(self) -> None:
        self.origin = self.enterContext(Origin())

    def ask(self, *paths: str) -> bytes:
        """All bytes that come for requests of *paths* on one connection."""
        with socket.create_connection(("127.0.0.1", self.origin.port), timeout=10) as connection:
            connection.sendall("".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n" for path in paths).encode())
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def test_answers_are_sent_byte_for_byte_on_one_connection(self) -> None:
        self.origin.answers |= {"/a": response(b"image", "200 OK", 'ETag: "1"'), "/b": b"not HTTP"}
        self.assertEqual(
            self.ask("/a?q=1", "/b", "/c"),
            b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "1"\r\n\r\nimage'
            b"not HTTP"
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        )
        self.assertEqual([path for path, _ in self.origin.requests], ["/a?q=1", "/b", "/c"])
        self.assertEqual(self.origin.connections, 1)

    def test_a_function_writes_to_the_connection_and_may_close_it(self) -> None:
        def close(connection: socket.socket) -> None:
            connection.sendall(b"half")
            connection.shutdown(socket.SHUT_RDWR)

        self.origin.answers["/a"] = close
        self.assertEqual(self.ask("/a"), b"half")

    def test_urls_lead_to_it(self) -> None:
        self.assertEqual(self.origin.url("/a"), f"http://127.0.0.1:{self.origin.port}/a")
