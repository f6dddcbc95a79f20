"""How long cached entries are fresh, and how long stale ones may be used (RFC 9111, section 4.2, and RFC 5861).

           stored ── fresh ────────> lifetime ── served while it is revalidated ──> ── ... if that fails ──>
                     served as it is             stale-while-revalidate                stale-if-error

Ages are differences of the wall clock, which may be put back: an entry from the future is as old as it is ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from imgforge.model import CacheControl, CacheEntry, delta_seconds, seconds_of_http_date

__all__ = ["StalenessPolicy", "StalenessRules", "validators"]


@dataclass(frozen=True, slots=True)
class StalenessRules:
    """What holds for one entry: seconds for which it is fresh, and seconds beyond for the two uses of stale entries.

    They count since the entry was stored or, with `by_origin`, since its origin was asked. `storable` is whether the
    entry may be cached at all.
    """

    lifetime: float = math.inf
    while_revalidate: float = 0.0
    if_error: float = 0.0
    storable: bool = True
    by_origin: bool = False


@dataclass(frozen=True, slots=True)
class StalenessPolicy:
    """The operator's rules, in seconds; a `ttl` of 0 never ends. With `obey_origin` the origin's headers override them.

    `while_revalidate` and `if_error` are the defaults of stale-while-revalidate and stale-if-error.
    """

    ttl: float = 0.0
    while_revalidate: float = 0.0
    if_error: float = 0.0
    obey_origin: bool = False

    def rules(self, cache_control: str, expires: str, asked_at: float) -> StalenessRules:
        """The rules for a response with these headers to a request at *asked_at*, in seconds since the epoch."""
        own = StalenessRules(self.ttl or math.inf, self.while_revalidate, self.if_error)
        if not self.obey_origin or not (cache_control or expires):
            return own
        directives = CacheControl.parse(cache_control)
        if "no-store" in directives or "private" in directives:
            return StalenessRules(0.0, storable=False)
        lifetime = _lifetime(directives, expires, asked_at)
        if "must-revalidate" in directives or "proxy-revalidate" in directives or "no-cache" in directives:
            while_revalidate = if_error = 0.0
        else:
            while_revalidate = _seconds(directives.value("stale-while-revalidate"), own.while_revalidate)
            if_error = _seconds(directives.value("stale-if-error"), own.if_error)
        if lifetime is None:
            return StalenessRules(own.lifetime, while_revalidate, if_error)
        return StalenessRules(lifetime, while_revalidate, if_error, by_origin=True)

    def is_storable(self, cache_control: str, expires: str) -> bool:
        """Whether a response with these headers is storable (RFC 9111, section 3)."""
        return self.rules(cache_control, expires, 0.0).storable

    def fresh_until(self, entry: CacheEntry) -> float:
        """When *entry* becomes stale, in seconds since the epoch."""
        rules = self._rules_of(entry)
        return _age_starts(entry, rules) + rules.lifetime

    def is_fresh(self, entry: CacheEntry, now: float) -> bool:
        """Whether *entry* may be served as it is."""
        rules = self._rules_of(entry)
        return abs(now - _age_starts(entry, rules)) < rules.lifetime

    def may_be_served_while_revalidated(self, entry: CacheEntry, now: float) -> bool:
        """Whether *entry*, which is stale, may be served while it is revalidated in the background."""
        rules = self._rules_of(entry)
        return abs(now - _age_starts(entry, rules)) < rules.lifetime + rules.while_revalidate

    def may_be_served_on_error(self, entry: CacheEntry, now: float) -> bool:
        """Whether *entry*, which is stale, may be served because its origin fails."""
        rules = self._rules_of(entry)
        return abs(now - _age_starts(entry, rules)) < rules.lifetime + rules.if_error

    def _rules_of(self, entry: CacheEntry) -> StalenessRules:
        return self.rules(entry.source_cache_control, entry.source_expires, _asked_at(entry))


def _asked_at(entry: CacheEntry) -> float:
    return entry.asked_at or entry.stored_at


def _age_starts(entry: CacheEntry, rules: StalenessRules) -> float:
    return _asked_at(entry) if rules.by_origin else entry.stored_at


def validators(entry: CacheEntry) -> dict[str, str]:
    """The request headers that ask an origin whether the original of *entry* has changed; empty without validators."""
    headers = {"if-none-match": entry.source_etag, "if-modified-since": entry.source_last_modified}
    return {name: value for name, value in headers.items() if value}


def _lifetime(directives: CacheControl, expires: str, asked_at: float) -> float | None:
    """The freshness lifetime by the origin's headers (RFC 9111, section 4.2.1); None where they give none.

    A malformed one is 0: the response is stale.
    """
    if "no-cache" in directives:
        return 0.0
    for name in ("s-maxage", "max-age"):
        if name in directives:
            return _seconds(directives.value(name), 0.0)
    if not expires:
        return None
    moment = seconds_of_http_date(expires)
    return 0.0 if moment is None else max(0.0, moment - asked_at)


def _seconds(value: str | None, default: float) -> float:
    number = delta_seconds(value) if value is not None else None
    return default if number is None else float(number)
