"""The first bytes of an original, as an origin sends them for a Range header (RFC 9110, section 14.4)."""

from __future__ import annotations

import re

from imgforge.errors import OriginFailed

__all__ = ["FirstBytes"]

_CONTENT_RANGE = re.compile(r"bytes 0-([0-9]{1,18})/([0-9]{1,18})", re.ASCII)


class FirstBytes:
    """What a Content-Range header says of a part; `OriginFailed` unless that begins with the first byte."""

    def __init__(self, content_range: str) -> None:
        match = _CONTENT_RANGE.fullmatch(content_range)
        if match is None:
            raise OriginFailed("the origin answered with a part that was not asked for")
        self._length = int(match[1]) + 1
        self._whole = int(match[2])
        if self._length > self._whole:
            raise OriginFailed("the origin answered with a part longer than the whole")

    @property
    def whole_size(self) -> int:
        """How many bytes the original has."""
        return self._whole

    def remaining_of(self, body: bytes) -> bool:
        """Whether there is more of the original than *body*; `OriginFailed` where *body* is not the part."""
        if len(body) != self._length:
            raise OriginFailed("the origin answered with a part of another length than it says")
        return self._length < self._whole
