"""How many small chunks a body may have: each costs the reactor more time than the network takes to bring it."""

from __future__ import annotations

import h11

__all__ = ["ChunkLimit"]

_ANY_CHUNKS = 10_000  # may have any size; those beyond bring so many bytes on average:
_AVERAGE_SIZE = 128


class ChunkLimit:
    """The chunks of one body."""

    def __init__(self) -> None:
        self._chunks = self._size = 0

    def count(self, data: h11.Data) -> None:
        """Count a chunk, or the rest of one; `h11.RemoteProtocolError` where there are too many small ones."""
        self._size += len(data.data)
        self._chunks += data.chunk_start
        if self._chunks > _ANY_CHUNKS + self._size // _AVERAGE_SIZE:
            raise h11.RemoteProtocolError("the body has too many small chunks")
