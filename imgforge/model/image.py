"""Images on their way: an original as its origin sent it, and a finished rendition."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Rendition", "SourceHead", "SourceImage"]


@dataclass(frozen=True, slots=True)
class SourceHead:
    """What an origin says of an original before its bytes; header names in lower case.

    `status` is 200, or 206 where a byte range was asked for and granted; `length` is None where it is not known.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An original as it came from its origin, with the validators that came with it.

    `not_modified`: the origin was asked by validators, and they still hold; there is no body.
    """

    body: bytes
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    cache_control: str = ""
    expires: str = ""
    not_modified: bool = False
    headers: tuple[tuple[str, str], ...] = ()  # that are handed on, by name in lower case
    asked_at: float = 0.0  # when its origin was asked for it, where that was not just now
    stored_at: float = 0.0  # since when it is kept, of one that is stale and stands in: what is made of it is no newer
    redirected_to: str = ""  # where redirects ended, without the query, of one that was just fetched: for logs only


@dataclass(frozen=True, slots=True)
class Rendition:
    """A finished image: the bytes of an answer and what describes them. `format` is a key of the format table."""

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
