"""A response before it is written, and what the fast lane may do with it."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.model import Hints

__all__ = ["Answer", "AnswerSettings", "Headers", "Offer", "error_headers"]

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Offer:
    """Lets the fast lane repeat a response: its cache key, and how long and for which requests the response is good."""

    key: bytes
    until: float  # seconds since the epoch
    varies: bool  # whether it is good only for clients that accept the same formats
    aging_since: float = 0.0  # the moment that Age counts from, in seconds since the epoch; 0: it has no Age
    hints: Hints | None = None  # the client hints that it is good for; None: it does not vary by them
    source: str = ""  # for the access log, as is `format`
    format: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response. Its `body` is sent for GET only, the length of it always."""

    status: int
    headers: Headers
    body: bytes = b""
    offer: Offer | None = None


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """The operator's settings for the headers of images."""

    ttl: int = 31536000  # seconds, as are all times here
    stale_while_revalidate: int = 0
    cache_control_passthrough: bool = False
    use_etag: bool = True
    etag_buster: str = ""
    use_last_modified: bool = True
    last_modified_buster: float = 0.0  # since the epoch: no Last-Modified is earlier
    set_canonical_header: bool = False
    return_attachment: bool = False
    debug_headers: bool = False
    fallback_status: int = 200  # 0: the status of the failure
    fallback_ttl: int = 0  # 0: as any other image
    source_headers: tuple[str, ...] = ()  # names in lower case: passed on from the origin
    cache_tag_headers: tuple[str, ...] = ()


def error_headers(max_age: int = 0) -> Headers:
    """The headers of an error, which is a line of text; caches may store it for *max_age* seconds.

    Without Cache-Control they could store a 404, 405, 410, 414 or 501 as long as they like (RFC 9110, section 15.1).
    """
    return [
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Cache-Control", b"max-age=%d, public" % max_age if max_age else b"no-store"),
    ]
