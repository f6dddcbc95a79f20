"""A hostile world on loopback: listeners that must hear nothing, origins that say anything, and a server to ask."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

from imgforge.testing import Origin as RawOrigin
from imgforge.testing import response as whole
from tests.support.process import Reply, Twistd

__all__ = ["Canary", "RawOrigin", "ask", "base64_of", "descriptors", "memory", "peak_memory", "serving", "whole"]


class Canary:
    """Listens on every address of this machine; `connections` are the clients that connected; none may."""

    def __init__(self) -> None:
        self.connections: list[str] = []
        try:
            self._listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError:  # no IPv6 here
            self._listener = socket.create_server(("0.0.0.0", 0))  # noqa: S104
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, address = self._listener.accept()
                self.connections.append(str(address))
                connection.close()

    def __enter__(self) -> Canary:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        # Woken up, or the thread's call would keep the port open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def base64_of(url: str) -> str:
    """A source as it stands in a path, unpadded."""
    return base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def ask(server: Twistd, options: str, source: str, extension: str = "", signature: str = "unsafe") -> Reply:
    """The answer for *source* under *options*."""
    parts = [part for part in (signature, options, "plain", quote(source, safe="")) if part]
    return server.get(f"/{'/'.join(parts)}{extension}")


@contextmanager
def serving(**settings: str) -> Iterator[Twistd]:
    """A server in one process, gone at the end; it must end well whatever it went through."""
    server = Twistd({"PROCESSES": "1", "LOG_LEVEL": "info"} | settings)
    try:
        yield server.start()
        assert server.stop() == 0, server.output()
        # Whatever the world does, nothing of it is a fault of ours.
        assert "internal error" not in server.output(), server.output()
        assert "Traceback" not in server.output(), server.output()
    finally:
        server.clean()


def _status(server: Twistd, name: str) -> int:
    process: Any = server.process
    match = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert match is not None
    return int(match[1]) >> 10


def memory(server: Twistd) -> int:
    """Resident megabytes of a server in one process."""
    return _status(server, "VmRSS")


def peak_memory(server: Twistd) -> int:
    """The most megabytes that were resident."""
    return _status(server, "VmHWM")


def descriptors(server: Twistd) -> int:
    """How many files and sockets it has open."""
    process: Any = server.process
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
