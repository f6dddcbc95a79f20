"""The chunks of a WebP (RFC 9649) before its pixels, and the file without these.

    RIFF ── VP8X ── ICCP ── ALPH ── VP8 or VP8L ── EXIF ── XMP
            └ says which others there are; a plain file has the pixels only

Metadata comes behind the pixels and frames are spread over the file, so that only a file that says it has neither is
described by its first bytes.
"""

from __future__ import annotations

__all__ = ["cut_webp", "webp_header_length"]

_FIRST_CHUNK = 12  # where it begins: behind RIFF, the length of the rest, and WEBP
_RIFF_HEADER = 8  # bytes that the length of the file does not count
_CHUNK_HEADER = 8  # bytes: type and length
_FEATURES = 10  # bytes of a VP8X chunk
_KNOWN_FEATURES = 0x30  # a profile, an alpha channel
_FRAME_HEADER = 10  # bytes of the pixels that have their size, lossy or lossless
_PIXELS = frozenset({b"VP8 ", b"VP8L"})
_BEFORE_PIXELS = (b"VP8X", b"ICCP", b"ALPH")  # in this order, each once at most


def webp_header_length(body: bytes, size: int) -> int:
    """How many of the first bytes of a WebP of *size* bytes have its header; *body* is its beginning.

    More than *body* has where it ends too early, then at least as many. *size* where the rest matters, or anything is
    unusual and the decoder has to judge.
    """
    end = _RIFF_HEADER + _number(body, 4)
    at, order = _FIRST_CHUNK, 0
    if end > size:
        return size
    while at + _CHUNK_HEADER <= len(body):
        kind, length, start = body[at : at + 4], _number(body, at + 4), at + _CHUNK_HEADER
        following = start + length + length % 2
        if kind in _PIXELS:
            usual = following == end and length >= _FRAME_HEADER and _partition_fits(kind, body, start, length)
            return min(start + _FRAME_HEADER, size) if usual else size
        if kind not in _BEFORE_PIXELS[order:] or (kind == b"VP8X") != (at == _FIRST_CHUNK):
            return size
        if kind == b"VP8X" and (length != _FEATURES or _number(body, start) & ~_KNOWN_FEATURES):
            return size
        at, order = following, _BEFORE_PIXELS.index(kind) + 1
    return min(at + _CHUNK_HEADER + _FRAME_HEADER, size)


def cut_webp(body: bytes, length: int) -> bytes:
    """The first *length* bytes of *body*, its header, as a WebP that ends there: libwebp opens complete files only.

    Three lengths are set to what is left: that of the file, of its pixels, and of the first partition of lossy ones.
    """
    header, start = bytearray(body[:length]), length - _FRAME_HEADER
    header[4:8] = (length - _RIFF_HEADER).to_bytes(4, "little")
    header[start - 4 : start] = _FRAME_HEADER.to_bytes(4, "little")
    if header[start - _CHUNK_HEADER : start - 4] == b"VP8 ":
        header[start : start + 3] = bytes((header[start] & 0x1F, 0, 0))
    return bytes(header)


def _number(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4], "little")


def _partition_fits(kind: bytes, body: bytes, start: int, length: int) -> bool:
    """Whether the first partition of lossy pixels is shorter than they are (RFC 6386, section 9.1), as it has to be."""
    return kind != b"VP8 " or int.from_bytes(body[start : start + 3], "little") >> 5 < length
