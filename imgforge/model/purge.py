"""A purge: which cache entries are not served any more."""

from __future__ import annotations

from dataclasses import dataclass
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
