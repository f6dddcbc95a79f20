"""The segments of a JPEG (ITU-T T.81, annex B) before its pixels."""

from __future__ import annotations

__all__ = ["jpeg_header_is_complete"]

_MOST_SEGMENTS = 1000
_START = 2  # bytes of the marker that begins the file
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA


def jpeg_header_is_complete(body: bytes) -> bool:
    """Whether the start of the first scan is within *body*: sizes, profiles and metadata come before it.

    False as well where anything is unusual, and the decoder has to judge.
    """
    at = _START
    for _ in range(_MOST_SEGMENTS):
        if body[at : at + 1] != b"\xff":
            return False
        marker = body[at + 1 : at + 2]
        if not marker or marker[0] == _END_OF_IMAGE:
            return False
        if marker == b"\xff":  # a fill byte
            at += 1
            continue
        if marker[0] in _ALONE:
            at += 2
            continue
        length = int.from_bytes(body[at + 2 : at + 4], "big")
        at += 2 + length
        if length < 2 or at > len(body):
            return False
        if marker[0] == _START_OF_SCAN:
            return True
    return False
