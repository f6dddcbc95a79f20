"""A purge: which cache entries are not served any more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["Purge", "PurgeKind"]

PurgeKind = Literal["url", "source", "prefix", "tag"]


@dataclass(frozen=True, slots=True)
class Purge:
    """Covers the entries that match *value* and whose origin was asked before *at*, in seconds since the epoch.

    *value* is a source's URL, the beginning of one, a cache tag, or for `url` the first part of keys in hexadecimal.
    """

    at: float
    kind: PurgeKind
    value: str

    def not_after(self, now: float) -> Purge:
        """The purge, or that of *now* in place of one from the future.

        A clock that is ahead, or was put back since, must not have it cover entries that are still to be made.
        """
        return self if self.at <= now else replace(self, at=now)
