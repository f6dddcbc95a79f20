"""What a replay has done, as its report on standard output has it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Tally"]

# The member of Cache-Status that imgforge writes; a CDN adds its own.
_OURS = re.compile(r'imgforge\s*;[^,]*detail="?((?:HIT|MISS)[A-Za-z0-9 _-]{0,40})')
_MISS = "MISS"
_MOST_KINDS = 50
_OTHER = "other"


@dataclass(slots=True)
class Tally:
    """Counts answers: images that were made, hits by the cache that had them, failures by status or cause.

    `unmarked` are images whose response does not say where they came from; `bytes` is the size of all images.
    """

    made: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    unmarked: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    bytes: int = 0

    @property
    def requests(self) -> int:
        """The number of paths that were asked for."""
        return self.made + self.hits.total() + self.unmarked + self.failures.total()

    def succeeded(self, cache_status: str, size: int) -> None:
        """Counts an image of *size* bytes."""
        self.bytes += size
        match = _OURS.search(cache_status)
        if match is None:
            self.unmarked += 1
        elif match[1] == _MISS:
            self.made += 1
        else:
            _count(self.hits, match[1])

    def failed(self, kind: str) -> None:
        """Counts a failure by its status, or by its cause where there was none."""
        _count(self.failures, kind)

    def report(self) -> dict[str, object]:
        """The counts as JSON values."""
        return {
            "requests": self.requests,
            "made": self.made,
            "hits": dict(self.hits),
            "unmarked": self.unmarked,
            "failures": dict(self.failures),
            "retries": self.retries,
            "bytes": self.bytes,
        }


def _count(counts: Counter[str], kind: str) -> None:
    """Counts *kind*; a server that invents kinds without end gets one for the rest."""
    counts[kind if kind in counts or len(counts) < _MOST_KINDS else _OTHER] += 1
