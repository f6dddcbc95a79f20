"""Content encodings that origins use although none was asked for."""

from __future__ import annotations

import zlib

from imgforge.errors import OriginFailed, SourceTooLarge

__all__ = ["Inflater", "inflater_for"]

_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS  # zlib finds out which of the two it is


class Inflater:
    """Unpacks a gzip or zlib body, never more at once than there is room for."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_ZLIB_OR_GZIP)

    def unpack(self, data: bytes, room: int) -> bytes:
        """What *data* unpacks to; `SourceTooLarge` beyond *room* bytes, `OriginFailed` for what is damaged."""
        if self._zlib.eof:
            raise OriginFailed("the origin sends more after the end of its compressed body")
        try:
            unpacked = self._zlib.decompress(data, room + 1)
        except zlib.error:
            raise OriginFailed("the origin's compressed body is damaged") from None
        if len(unpacked) > room:
            raise SourceTooLarge("the source unpacks to more bytes than the limit")
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
