"""HTTP semantics of a finished image: from a cache entry and a request to status, headers and body.

Pure functions: what an answer says depends on the entry, the request's own headers and the operator's settings only.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import quote, unquote, urlsplit

from imgforge.errors import ImgforgeError
from imgforge.model import CacheControl, CacheEntry, DeliveryOptions, ImageRequest, Rendition
from imgforge.web.fast_lane.lane import Offer

__all__ = [
    "Answer",
    "AnswerSettings",
    "OriginTerms",
    "aging_since",
    "cache_headers",
    "canonical",
    "content_disposition",
    "error_headers",
    "image_answer",
    "streamed_cache_control",
]

_SECURITY_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"

# The first extension of each format is what a downloaded file is called.
_EXTENSIONS = {"jpeg": "jpg"}

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `body` is sent for GET only, its length always. `offer` is for the fast lane."""

    status: int
    headers: Headers
    body: bytes = b""
    offer: Offer | None = None


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """The operator's settings for the headers of images; `ttl` and `stale_while_revalidate` are in seconds."""

    ttl: int = 31536000
    stale_while_revalidate: int = 0
    cache_control_passthrough: bool = False
    use_etag: bool = True
    etag_buster: str = ""
    use_last_modified: bool = True
    last_modified_buster: float = 0.0  # seconds since the epoch: nothing was modified earlier
    set_canonical_header: bool = False
    return_attachment: bool = False
    debug_headers: bool = False
    fallback_status: int = 200  # 0: the status of the failure
    fallback_ttl: int = 0  # 0: as any other image
    source_headers: tuple[str, ...] = ()  # that are handed on, in lower case
    cache_tag_headers: tuple[str, ...] = ()


def error_headers(keep: int = 0) -> Headers:
    """What a line of text with an error says of itself: caches may keep it for *keep* seconds.

    They would else keep a 404, 405, 410, 414 or 501 as long as they like (RFC 9110, section 15.1).
    """
    return [
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Cache-Control", b"max-age=%d, public" % keep if keep else b"no-store"),
    ]


@dataclass(frozen=True, slots=True)
class OriginTerms:
    """What the origin said of keeping its original: Cache-Control, Expires, and when it was asked (seconds; 0: now)."""

    cache_control: str = ""
    expires: str = ""
    asked_at: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.cache_control or self.expires)


def image_answer(
    entry: CacheEntry,
    request: ImageRequest,
    settings: AnswerSettings,
    *,
    now: float,
    vary: Sequence[bytes],
    state: str,
    key: bytes = b"",
    failure: ImgforgeError | None = None,
    timings: Sequence[tuple[str, float]] = (),
) -> Answer:
    """The answer for *entry*.

    *vary* names the request headers that it depends on, *state* is the Cache-Status value (RFC 9211), *key* the entry's
    in the cache, *now* is in seconds since the epoch, *failure* is why the entry is a fallback image, *timings* are the
    seconds of what was done for it just now.
    """
    rendition = entry.rendition
    if failure is not None and settings.fallback_ttl:
        settings = replace(settings, ttl=settings.fallback_ttl, cache_control_passthrough=False)
    headers: Headers = [
        (b"Content-Type", rendition.content_type.encode("ascii")),
        *cache_headers(_terms(entry), request.delivery, settings, now),
        (b"Content-Security-Policy", _SECURITY_POLICY),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Content-Disposition", content_disposition(request, rendition.format, settings.return_attachment)),
        (b"Cache-Status", state.encode("ascii")),
    ]
    if settings.use_etag:
        headers.append((b"ETag", b'"' + (settings.etag_buster + entry.etag).encode("ascii") + b'"'))
    if settings.use_last_modified and (
        modified := _http_date(entry.source_last_modified, settings.last_modified_buster)
    ):
        headers.append((b"Last-Modified", modified))
    # Of an entry that was made before, by the settings of now.
    headers += [
        (name.title().encode("ascii"), _header_value(value))
        for name, value in entry.source_headers
        if name in settings.source_headers
    ]
    if vary:
        headers.append((b"Vary", b", ".join(vary)))
    if key:
        headers.append((b"X-Cache-Key", key.hex().encode("ascii")))
    if timings:
        stages = ", ".join(f"{name};dur={seconds * 1e3:.1f}" for name, seconds in timings)
        headers.append((b"Server-Timing", stages.encode("ascii")))
    headers += canonical(request, settings)
    tags = ",".join(request.delivery.cache_tags).encode("ascii")
    headers += [(name.encode("ascii"), tags) for name in settings.cache_tag_headers if tags]
    headers += _about_source(rendition, settings)
    if failure is not None:
        headers.append((b"Fallback-Image", b"1"))
        return Answer(settings.fallback_status or failure.status, headers, rendition.body)
    headers.append((b"Accept-Ranges", b"bytes"))
    return Answer(200, headers, rendition.body)


def _about_source(rendition: Rendition, settings: AnswerSettings) -> Headers:
    """That the source ends too early, and with debug headers its size and the result's."""
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
    """The header that says where the original is, where the operator wants it and it is on the web."""
    if not settings.set_canonical_header or not request.source.startswith(("http://", "https://")):
        return []
    return [(b"Link", b"<" + quote(request.source, safe="/:?&=%@+,;~!$'()*[]#").encode() + b'>; rel="canonical"')]


def aging_since(entry: CacheEntry, settings: AnswerSettings) -> float:
    """The moment that Age counts from (RFC 9111, section 5.1): when the origin was asked; 0 where there is no Age.

    There is one where the origin's max-age is handed on as it is, which counts from that moment too. Our own max-age
    counts from the answer, for of what we make we are the origin; Expires needs none, for it does not count at all.
    """
    terms = _terms(entry)
    return terms.asked_at if settings.cache_control_passthrough and terms.cache_control else 0.0


def _terms(entry: CacheEntry) -> OriginTerms:
    return OriginTerms(entry.source_cache_control, entry.source_expires, entry.asked_at or entry.stored_at)


def cache_headers(terms: OriginTerms, delivery: DeliveryOptions, settings: AnswerSettings, now: float) -> Headers:
    """What caches in front of us may do: the origin's own word if passed through, else our TTL, cut by `expires`.

    The origin knows nothing of the URL's end: its word is bounded by that, and then counts from now.
    """
    if not settings.cache_control_passthrough or not terms:
        return [(b"Cache-Control", _own_cache_control(delivery, settings, now))]
    age = max(0, int(now - terms.asked_at)) if terms.asked_at else 0
    if (left := _left(delivery, now)) is not None:
        said = CacheControl.parse(terms.cache_control)
        otherwise = int(max(0.0, _moment(terms.expires, now) - now)) if terms.expires else settings.ttl
        return [(b"Cache-Control", _header_value(str(said.within(left, age, otherwise).shared())))]
    if not terms.cache_control:
        return [(b"Cache-Control", b"public"), (b"Expires", _header_value(terms.expires))]
    aged = [(b"Age", b"%d" % age)] if age else []
    return [(b"Cache-Control", _header_value(terms.cache_control)), *aged]


def streamed_cache_control(said: str, delivery: DeliveryOptions, settings: AnswerSettings, now: float) -> bytes:
    """Cache-Control of the source itself, of which the origin has *said* that just now."""
    return dict(cache_headers(OriginTerms(said), delivery, settings, now))[b"Cache-Control"]


def _own_cache_control(delivery: DeliveryOptions, settings: AnswerSettings, now: float) -> bytes:
    left = _left(delivery, now)
    max_age = settings.ttl if left is None else min(settings.ttl, left)
    if not max_age:
        return b"no-cache"
    stale = 0 if delivery.expires else settings.stale_while_revalidate
    return b"max-age=%d, public" % max_age + (b", stale-while-revalidate=%d" % stale if stale else b"")


def _left(delivery: DeliveryOptions, now: float) -> int | None:
    """Seconds until the URL ends; None where it does not."""
    if delivery.expires is None or delivery.expires <= 0:
        return None
    return max(0, int(delivery.expires - now))


def content_disposition(request: ImageRequest, format_name: str, attachment: bool) -> bytes:
    """`inline` or `attachment` with a file name: the URL's own or the source's stem, and the format's extension."""
    delivery = request.delivery
    if delivery.return_attachment is not None:
        attachment = delivery.return_attachment
    if format_name:
        name = f"{delivery.filename or _stem(request.source)}.{_EXTENSIONS.get(format_name, format_name)}"
    else:  # the source itself, under its own extension
        stem, extension = posixpath.splitext(_basename(request.source))
        name = (delivery.filename or stem) + extension
    kind = b"attachment" if attachment else b"inline"
    if name.isascii() and name.isprintable():
        return kind + b'; filename="' + name.replace("\\", "%5C").replace('"', "%22").encode("ascii") + b'"'
    encoded = quote(name, safe="").encode("ascii")
    return kind + b'; filename="' + encoded + b"\"; filename*=UTF-8''" + encoded


def _stem(source: str) -> str:
    return posixpath.splitext(_basename(source))[0]


def _basename(source: str) -> str:
    if source.startswith("data:"):
        return "image"
    if source[:6].lower() == "local:":  # the name of a file, not a URL: its percent signs are its own
        return posixpath.basename(source.partition("?")[0]) or "image"
    return posixpath.basename(unquote(urlsplit(source).path)) or "image"


def _header_value(text: str) -> bytes:
    """An origin's header value, safe to send on: no line breaks or other control characters."""
    return "".join(char for char in text if char.isprintable()).encode("latin-1", "replace")


def _http_date(text: str, least: float) -> bytes:
    """*text* rewritten as an HTTP date, or *least* if that is later; empty where it is none: nothing is echoed."""
    moment = _moment(text, math.nan)
    return b"" if math.isnan(moment) else formatdate(max(moment, least), usegmt=True).encode("ascii")


def _moment(text: str, otherwise: float) -> float:
    """The HTTP date *text* in seconds since the epoch."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else otherwise
    except (ValueError, TypeError, OverflowError):
        return otherwise
