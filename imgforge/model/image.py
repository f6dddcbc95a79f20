"""An original as its origin sent it, and a finished rendition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imgforge.model.byte_ranges import Unsatisfiable, byte_range

__all__ = ["Rendition", "SourceHead", "SourceImage", "head_of_part"]


@dataclass(frozen=True, slots=True)
class SourceHead:
    """The head of an origin's answer; header names in lower case.

    `status` is 200, or 206 where a byte range was requested and granted; `length` is in bytes, None where unknown.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


def head_of_part(header: str, size: int, headers: Mapping[str, str]) -> tuple[SourceHead, slice]:
    """The answer to a Range *header* ("" asks for all) for a body of *size* bytes, and which of its bytes are sent.

    The head has *headers* besides; with the status 416 it has none of them, and nothing is sent.
    """
    try:
        part = byte_range(header, size)
    except Unsatisfiable:
        return SourceHead(416, {"content-range": f"bytes */{size}"}, 0), slice(0, 0)
    if part is None:
        return SourceHead(200, dict(headers), size), slice(0, size)
    start, end = part
    ranged = {**headers, "content-range": f"bytes {start}-{end - 1}/{size}"}
    return SourceHead(206, ranged, end - start), slice(start, end)


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An original as its origin sent it, with its validators. Times are seconds since the epoch.

    Attributes
    ----------
    etag, last_modified, cache_control, expires
        Headers of the origin's answer; "" for a header that was missing.
    not_modified
        Whether the origin answered a conditional request with 304; there is no body then.
    headers
        Headers that are passed to the client, by name in lower case.
    asked_at
        When the origin was asked; 0 for just now.
    stored_at
        When a stale original that is served instead of a failed fetch was stored; its renditions count as that old.
        0 for any other.
    whole_size
        Where the body is only the beginning of the original: how many bytes that has. 0 for a whole one.
    redirected_to
        The URL where redirects ended, without its query; "" without redirects. For logs only.
    """

    body: bytes
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    cache_control: str = ""
    expires: str = ""
    not_modified: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    asked_at: float = 0.0
    stored_at: float = 0.0
    redirected_to: str = ""
    whole_size: int = 0


@dataclass(frozen=True, slots=True)
class Rendition:
    """A finished image: the body of an answer and its description.

    `format` is a key of the format table; sizes are in pixels, `source_bytes` in bytes; 0 and "" are unknown.
    """

    body: bytes
    format: str
    content_type: str
    width: int = 0
    height: int = 0
    source_format: str = ""
    source_width: int = 0
    source_height: int = 0
    source_bytes: int = 0
    truncated: bool = False  # the source ends too early, and is shown as far as it goes
