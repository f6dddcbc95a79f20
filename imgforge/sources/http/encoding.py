"""Content encodings that origins use although none was asked for."""

from __future__ import annotations

import zlib

from imgforge.errors import OriginFailed, SourceTooLarge

__all__ = ["Inflater", "inflater_for"]

_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS  # zlib finds out which of the two it is
# But for its first bytes, a body becomes at most so many times larger. zlib makes a thousandth of zeros, and to unpack
# many of those would keep the reactor busy.
_MOST_RATIO = 100
_ANY_RATIO = 8 * 1024 * 1024


class Inflater:
    """Unpacks a gzip or zlib body, never more at once than there is room for."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._packed = self._unpacked = 0  # bytes so far

    def unpack(self, data: bytes, room: int) -> bytes:
        """What *data* unpacks to; `SourceTooLarge` beyond *room* bytes and for a bomb, `OriginFailed` if damaged."""
        if self._zlib.eof:
            raise OriginFailed("the origin sends more after the end of its compressed body")
        self._packed += len(data)
        room = min(room, max(_ANY_RATIO, _MOST_RATIO * self._packed) - self._unpacked)
        try:
            unpacked = self._zlib.decompress(data, room + 1)
        except zlib.error:
            raise OriginFailed("the origin's compressed body is damaged") from None
        if len(unpacked) > room:
            raise SourceTooLarge("the source unpacks to too many bytes")
        self._unpacked += len(unpacked)
        if self._zlib.unused_data:
            raise OriginFailed("the origin sends more after the end of its compressed body")
        return unpacked

    def finish(self) -> None:
        """The body has ended; `OriginFailed` if the packed data has not."""
        if not self._zlib.eof:
            raise OriginFailed("the origin broke off before the end")


def inflater_for(encoding: str) -> Inflater | None:
    """What unpacks a Content-Encoding; None where nothing is packed, `OriginFailed` where the encoding is unknown."""
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return Inflater()
        case _:
            raise OriginFailed("the origin uses an unknown content encoding")
