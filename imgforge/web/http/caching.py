"""Cache-Control, Expires and Age: how long clients and caches in front of imgforge may store a response."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.model import CacheControl, CacheEntry, DeliveryOptions, seconds_of_http_date
from imgforge.web.http.answer import AnswerSettings, Headers
from imgforge.web.http.header_values import printable

__all__ = [
    "OriginTerms",
    "aging_since",
    "cache_headers",
    "cache_tag_headers",
    "entry_terms",
    "streamed_cache_control",
]


@dataclass(frozen=True, slots=True)
class OriginTerms:
    """The origin's Cache-Control and Expires for an original, and the moment of its response (0: now)."""

    cache_control: str = ""
    expires: str = ""
    asked_at: float = 0.0  # seconds since the epoch

    def __bool__(self) -> bool:
        return bool(self.cache_control or self.expires)


def entry_terms(entry: CacheEntry) -> OriginTerms:
    """The origin's terms for the original of *entry*."""
    return OriginTerms(entry.source_cache_control, entry.source_expires, entry.asked_at or entry.stored_at)


def aging_since(entry: CacheEntry, settings: AnswerSettings) -> float:
    """The moment that Age counts from (RFC 9111, section 5.1): the origin's response; 0 where there is no Age.

    A response has an Age where the origin's max-age is passed on unchanged, which counts from the same moment. imgforge
    is the origin of what it makes, so its own max-age counts from the response. Expires is a date, and needs no Age.
    """
    terms = entry_terms(entry)
    return terms.asked_at if settings.cache_control_passthrough and terms.cache_control else 0.0


def cache_headers(terms: OriginTerms, delivery: DeliveryOptions, settings: AnswerSettings, now: float) -> Headers:
    """The origin's terms if they are passed on, else our TTL; neither goes beyond the end of the URL (`expires`).

    The origin does not know when the URL ends. Its max-age is cut to that moment, and then counts from *now*.
    """
    if not settings.cache_control_passthrough or not terms:
        return [(b"Cache-Control", _own_cache_control(delivery, settings, now))]
    age = max(0, int(now - terms.asked_at)) if terms.asked_at else 0
    if (left := _seconds_left(delivery, now)) is not None:
        control = CacheControl.parse(terms.cache_control)
        expires = seconds_of_http_date(terms.expires)
        given = 0 if expires is None else int(max(0.0, expires - now))
        otherwise = given if terms.expires else settings.ttl
        return [(b"Cache-Control", printable(str(control.within(left, age, otherwise).shared())))]
    if not terms.cache_control:
        return [(b"Cache-Control", b"public"), (b"Expires", printable(terms.expires))]
    aged = [(b"Age", b"%d" % age)] if age else []
    return [(b"Cache-Control", printable(terms.cache_control)), *aged]


def streamed_cache_control(
    cache_control: str, delivery: DeliveryOptions, settings: AnswerSettings, now: float
) -> bytes:
    """Cache-Control for an original that is streamed, whose origin has just sent *cache_control*."""
    return dict(cache_headers(OriginTerms(cache_control), delivery, settings, now))[b"Cache-Control"]


def cache_tag_headers(delivery: DeliveryOptions, settings: AnswerSettings) -> Headers:
    """The URL's cache tags, by which a CDN purges, under the names that the operator chose."""
    tags = ",".join(delivery.cache_tags).encode("ascii")
    return [(name.encode("ascii"), tags) for name in settings.cache_tag_headers if tags]


def _own_cache_control(delivery: DeliveryOptions, settings: AnswerSettings, now: float) -> bytes:
    left = _seconds_left(delivery, now)
    max_age = settings.ttl if left is None else min(settings.ttl, left)
    if not max_age:
        return b"no-cache"
    stale = 0 if delivery.expires else settings.stale_while_revalidate
    return b"max-age=%d, public" % max_age + (b", stale-while-revalidate=%d" % stale if stale else b"")


def _seconds_left(delivery: DeliveryOptions, now: float) -> int | None:
    """Seconds until the URL expires; None if it never does."""
    if delivery.expires is None or delivery.expires <= 0:
        return None
    return max(0, int(delivery.expires - now))
