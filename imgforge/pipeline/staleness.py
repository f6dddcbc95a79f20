"""How long what is cached is good, and what it is good for afterwards (RFC 9111, section 4.2, and RFC 5861).

           stored ── fresh ──────────> lifetime ── may be served while it is renewed ──> ── ... if that fails ──>
                     served as it is               stale-while-revalidate                   stale-if-error

Ages are differences of the wall clock, which may be put back: an entry from the future is as old as it is ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from imgforge.model import CacheControl, CacheEntry, delta_seconds

__all__ = ["StalenessPolicy", "Terms", "validators"]


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds until an entry is stale, and the seconds beyond for the two uses of stale ones.

    They count since it was stored, or where it is `origins` who say so since that was asked.
    """

    lifetime: float = math.inf
    while_revalidate: float = 0.0
    if_error: float = 0.0
    keep: bool = True
    origins: bool = False


@dataclass(frozen=True, slots=True)
class StalenessPolicy:
    """The operator's terms: `ttl` 0 is for ever. With `obey_origin` the origin's own words go before them."""

    ttl: float = 0.0
    while_revalidate: float = 0.0
    if_error: float = 0.0
    obey_origin: bool = False

    def terms(self, cache_control: str, expires: str, asked_at: float) -> Terms:
        """What holds for something that came with these headers at that time."""
        own = Terms(self.ttl or math.inf, self.while_revalidate, self.if_error)
        if not self.obey_origin or not (cache_control or expires):
            return own
        said = CacheControl.parse(cache_control)
        if "no-store" in said or "private" in said:
            return Terms(0.0, keep=False)
        lifetime = _lifetime(said, expires, asked_at)
        if "must-revalidate" in said or "proxy-revalidate" in said or "no-cache" in said:
            while_revalidate = if_error = 0.0
        else:
            while_revalidate = _seconds(said.value("stale-while-revalidate"), own.while_revalidate)
            if_error = _seconds(said.value("stale-if-error"), own.if_error)
        if lifetime is None:
            return Terms(own.lifetime, while_revalidate, if_error)
        return Terms(lifetime, while_revalidate, if_error, origins=True)

    def keeps(self, cache_control: str, expires: str) -> bool:
        """Whether anything may be kept of what came with these headers."""
        return self.terms(cache_control, expires, 0.0).keep

    def until(self, entry: CacheEntry) -> float:
        """When *entry* is stale, in seconds since the epoch."""
        terms = self._terms(entry)
        return _since(entry, terms) + terms.lifetime

    def fresh(self, entry: CacheEntry, now: float) -> bool:
        """Whether *entry* may be served as it is."""
        terms = self._terms(entry)
        return abs(now - _since(entry, terms)) < terms.lifetime

    def may_be_renewed_later(self, entry: CacheEntry, now: float) -> bool:
        """Whether *entry*, which is stale, may be served while it is renewed."""
        terms = self._terms(entry)
        return abs(now - _since(entry, terms)) < terms.lifetime + terms.while_revalidate

    def may_stand_in(self, entry: CacheEntry, now: float) -> bool:
        """Whether *entry*, which is stale, may be served since the origin fails."""
        terms = self._terms(entry)
        return abs(now - _since(entry, terms)) < terms.lifetime + terms.if_error

    def _terms(self, entry: CacheEntry) -> Terms:
        return self.terms(entry.source_cache_control, entry.source_expires, _asked(entry))


def _asked(entry: CacheEntry) -> float:
    return entry.asked_at or entry.stored_at


def _since(entry: CacheEntry, terms: Terms) -> float:
    return _asked(entry) if terms.origins else entry.stored_at


def validators(entry: CacheEntry) -> dict[str, str]:
    """The request headers that ask an origin whether the original of *entry* has changed; none where it gave none."""
    known = {"if-none-match": entry.source_etag, "if-modified-since": entry.source_last_modified}
    return {name: value for name, value in known.items() if value}


def _lifetime(said: CacheControl, expires: str, asked_at: float) -> float | None:
    """Seconds that the origin says; None where it says nothing of it. What is malformed is stale."""
    if "no-cache" in said:
        return 0.0
    for name in ("s-maxage", "max-age"):
        if name in said:
            return _seconds(said.value(name), 0.0)
    if not expires:
        return None
    try:
        return max(0.0, parsedate_to_datetime(expires).timestamp() - asked_at)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _seconds(value: str | None, otherwise: float) -> float:
    number = delta_seconds(value) if value is not None else None
    return otherwise if number is None else float(number)
