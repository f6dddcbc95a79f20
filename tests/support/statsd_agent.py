"""A Datadog agent's UDP port on loopback: what arrives is kept."""

from __future__ import annotations

import socket

from tests.support.loopback_server import DEADLINE

__all__ = ["StatsdAgent"]


class StatsdAgent:
    """Receives datagrams at `port`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(DEADLINE)
        self.port: int = self._socket.getsockname()[1]

    @property
    def variables(self) -> dict[str, str]:
        """The variables by which a server finds it."""
        return {"DD_AGENT_HOST": "127.0.0.1", "DD_DOGSTATSD_PORT": str(self.port)}

    def datagram(self) -> bytes:
        """The next datagram; TimeoutError where none comes."""
        return self._socket.recv(65536)

    def is_silent(self) -> bool:
        """Whether nothing has arrived besides what was taken."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(65536, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(DEADLINE)
        return False

    def close(self) -> None:
        self._socket.close()
