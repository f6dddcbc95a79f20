"""The running reactor by the interface that a server needs: `twisted.internet.reactor` itself is typed narrower."""

from __future__ import annotations

from typing import cast

from twisted.internet import reactor

from imgforge.interfaces import IServerReactor

__all__ = ["server_reactor"]

server_reactor = cast("IServerReactor", reactor)
