"""The blocks of a GIF (GIF89a, section 12).

Each block and each of its sub-blocks takes a byte or more, so that their number is bounded by the length of the file.
"""

from __future__ import annotations

__all__ = ["gif_is_complete"]

_HEADER = 13  # bytes: signature, version and logical screen descriptor
_SCREEN_FLAGS = 10
_EXTENSION, _IMAGE = 0x21, 0x2C
_EXTENSION_HEADER, _IMAGE_HEADER = 2, 11  # bytes before the sub-blocks, a colour table not counted
_IMAGE_FLAGS = 9


def gif_is_complete(body: bytes) -> bool:
    """Whether the file ends between two blocks; the trailer may be missing."""
    try:
        at = _HEADER + _colour_table(body[_SCREEN_FLAGS])
        while at < len(body) and body[at] in {_EXTENSION, _IMAGE}:
            if body[at] == _EXTENSION:
                at += _EXTENSION_HEADER
            else:
                at += _IMAGE_HEADER + _colour_table(body[at + _IMAGE_FLAGS])
            while body[at]:
                at += body[at] + 1
            at += 1
    except IndexError:
        return False
    return True


def _colour_table(flags: int) -> int:
    """The length of a colour table in bytes, by the flags that announce it."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
