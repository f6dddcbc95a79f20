"""How often each target was answered by the fast lane, counted without a step more for a hit.

A prepared response has an iterator of the last digits of request ids, one for each hit: what is left of it when the
response is forgotten says how often it was sent. Responses that are prepared for one hit only, such as those for
trusted proxies, are counted by a sample.
"""

from __future__ import annotations

from operator import length_hint

from imgforge.web.fast_lane.hits import LoggedTarget, TargetHits
from imgforge.web.fast_lane.prepared import ENDS, Prepared

__all__ = ["TargetCounts"]

_SAMPLE = 16  # of so many responses for one hit, one is counted, as so many
_MOST_TARGETS = 4096  # between two calls of `take`: further ones are not counted


class TargetCounts:
    """Hits and bytes by target, since the last `take`."""

    def __init__(self) -> None:
        self._counts: dict[tuple[LoggedTarget, bool], list[int]] = {}
        self._until_next = _SAMPLE

    def add(self, prepared: Prepared) -> None:
        """Counts the hits of *prepared*, which is not sent any more."""
        self._count(prepared, len(ENDS) - length_hint(prepared.first_ends), sampled=False)

    def add_sampled(self, prepared: Prepared) -> None:
        """Counts *prepared*, which is for one hit, if it is the next of the sample."""
        self._until_next -= 1
        if not self._until_next:
            self._until_next = _SAMPLE
            self._count(prepared, _SAMPLE, sampled=True)

    def take(self) -> list[TargetHits]:
        """The counts since the last call."""
        counts, self._counts = self._counts, {}
        return [
            TargetHits(target.target, target.source, target.format, hits, size, sampled)
            for (target, sampled), (hits, size) in counts.items()
        ]

    def _count(self, prepared: Prepared, hits: int, *, sampled: bool) -> None:
        key = prepared.logged[0], sampled
        counted = self._counts.get(key)
        if counted is None:
            if hits and len(self._counts) < _MOST_TARGETS:
                self._counts[key] = [hits, hits * len(prepared.body)]
        else:
            counted[0] += hits
            counted[1] += hits * len(prepared.body)
