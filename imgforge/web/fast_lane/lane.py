"""The fast lane as a connection sees it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Lane"]


class Lane(Protocol):
    """Answers the requests of a connection that it has responses for."""

    @property
    def last(self) -> float:
        """The moment of the last hit, by the clock."""

    def answer(self, data: bytes, client: str = "", proxy: str | None = None) -> tuple[bytes, bytes, bytes] | None:
        """See `FastLane`."""
