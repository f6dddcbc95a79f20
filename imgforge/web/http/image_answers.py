"""HTTP semantics of a finished image: from a cache entry and a request to status, headers and body.

Pure functions: a response depends on the entry, the request's own headers and the operator's settings only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from imgforge.errors import ImgforgeError
from imgforge.model import CacheEntry, ImageRequest, Rendition
from imgforge.web.http.answer import Answer, AnswerSettings, Headers
from imgforge.web.http.caching import cache_headers, cache_tag_headers, entry_terms
from imgforge.web.http.disposition import content_disposition
from imgforge.web.http.header_values import http_date, printable

__all__ = ["ServedImage", "canonical", "image_answer"]

_SECURITY_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@dataclass(frozen=True, slots=True)
class ServedImage:
    """A cache entry, and how this request got it."""

    entry: CacheEntry
    now: float  # seconds since the epoch
    cache_status: str = ""  # the value of Cache-Status (RFC 9211)
    vary: Sequence[bytes] = ()  # the request headers that the response depends on
    key: bytes = b""  # of the entry in the cache; b"": it is not stored
    failure: ImgforgeError | None = None  # why the entry is a fallback image
    timings: Sequence[tuple[str, float]] = ()  # stage and seconds, of the work that was done for this request


def image_answer(served: ServedImage, request: ImageRequest, settings: AnswerSettings) -> Answer:
    """The response with the image of *served*."""
    entry, failure = served.entry, served.failure
    rendition = entry.rendition
    if failure is not None and settings.fallback_ttl:
        settings = replace(settings, ttl=settings.fallback_ttl, cache_control_passthrough=False)
    headers: Headers = [
        (b"Content-Type", rendition.content_type.encode("ascii")),
        *cache_headers(entry_terms(entry), request.delivery, settings, served.now),
        (b"Content-Security-Policy", _SECURITY_POLICY),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Content-Disposition", content_disposition(request, rendition.format, settings.return_attachment)),
        (b"Cache-Status", served.cache_status.encode("ascii")),
        *_validators(entry, settings),
    ]
    # The settings may have changed since the entry was stored.
    headers += [
        (name.title().encode("ascii"), printable(value))
        for name, value in entry.source_headers
        if name in settings.source_headers
    ]
    if served.vary:
        headers.append((b"Vary", b", ".join(served.vary)))
    if served.key:
        headers.append((b"X-Cache-Key", served.key.hex().encode("ascii")))
    if served.timings:
        stages = ", ".join(f"{name};dur={seconds * 1e3:.1f}" for name, seconds in served.timings)
        headers.append((b"Server-Timing", stages.encode("ascii")))
    headers += canonical(request, settings)
    headers += cache_tag_headers(request.delivery, settings)
    headers += _about_source(rendition, settings)
    if failure is not None:
        headers.append((b"Fallback-Image", b"1"))
        return Answer(settings.fallback_status or failure.status, headers, rendition.body)
    headers.append((b"Accept-Ranges", b"bytes"))
    return Answer(200, headers, rendition.body)


def _validators(entry: CacheEntry, settings: AnswerSettings) -> Headers:
    """ETag and Last-Modified."""
    headers: Headers = []
    if settings.use_etag:
        headers.append((b"ETag", b'"' + (settings.etag_buster + entry.etag).encode("ascii") + b'"'))
    if settings.use_last_modified:
        modified = http_date(entry.source_last_modified, settings.last_modified_buster)
        headers += [(b"Last-Modified", modified)] if modified else []
    return headers


def _about_source(rendition: Rendition, settings: AnswerSettings) -> Headers:
    """Whether the source is truncated, and with debug headers its size and the result's."""
    headers: Headers = [(b"Source-Truncated", b"1")] if rendition.truncated else []
    if settings.debug_headers:
        headers += [
            (b"X-Origin-Content-Length", b"%d" % rendition.source_bytes),
            (b"X-Origin-Width", b"%d" % rendition.source_width),
            (b"X-Origin-Height", b"%d" % rendition.source_height),
            (b"X-Result-Width", b"%d" % rendition.width),
            (b"X-Result-Height", b"%d" % rendition.height),
        ]
    return headers


def canonical(request: ImageRequest, settings: AnswerSettings) -> Headers:
    """The Link header with the URL of the original, where the operator wants it and the original is on the web."""
    if not settings.set_canonical_header or not request.source.startswith(("http://", "https://")):
        return []
    return [(b"Link", b"<" + quote(request.source, safe="/:?&=%@+,;~!$'()*[]#").encode() + b'>; rel="canonical"')]
