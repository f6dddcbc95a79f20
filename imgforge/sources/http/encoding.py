"""Content encodings of origins that use one although the request asks for none."""

from __future__ import annotations

import zlib

from imgforge.errors import OriginFailed, SourceTooLarge

__all__ = ["Inflater", "inflater_for"]

_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS  # zlib finds out which of the two it is
# A body may unpack to at most so many times its size, beyond its first bytes. zlib packs zeros to a thousandth, and
# unpacking many of those would block the reactor.
_MOST_RATIO = 100
_ANY_RATIO = 8 * 1024 * 1024  # bytes that may have any ratio


class Inflater:
    """Unpacks a gzip or zlib body, with a limit on the bytes that each step unpacks to."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._packed = self._unpacked = 0  # bytes so far

    def unpack(self, data: bytes, limit: int) -> bytes:
        """The unpacked *data*; `SourceTooLarge` beyond *limit* bytes and for a bomb, `OriginFailed` if damaged."""
        if self._zlib.eof:
            raise OriginFailed("the origin sends more after the end of its compressed body")
        self._packed += len(data)
        limit = min(limit, max(_ANY_RATIO, _MOST_RATIO * self._packed) - self._unpacked)
        try:
            unpacked = self._zlib.decompress(data, limit + 1)
        except zlib.error:
            raise OriginFailed("the origin's compressed body is damaged") from None
        if len(unpacked) > limit:
            raise SourceTooLarge("the source unpacks to too many bytes")
        self._unpacked += len(unpacked)
        if self._zlib.unused_data:
            raise OriginFailed("the origin sends more after the end of its compressed body")
        return unpacked

    def finish(self) -> None:
        """End the body; `OriginFailed` if the packed data has not ended."""
        if not self._zlib.eof:
            raise OriginFailed("the origin broke off before the end")


def inflater_for(encoding: str) -> Inflater | None:
    """The inflater for a Content-Encoding, None for identity; `OriginFailed` where the encoding is unknown."""
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return Inflater()
        case _:
            raise OriginFailed("the origin uses an unknown content encoding")
