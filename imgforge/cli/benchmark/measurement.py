"""What the requests of a benchmark gave: latencies, hits, errors by their kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Measurement", "percentile"]


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that *share* (0..1) of the ascending numbers do not exceed (nearest rank)."""
    if not ordered:
        return 0.0
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


@dataclass(slots=True)
class Measurement:
    """Requests that were answered as they should be, and those that were not; latencies are in seconds."""

    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)  # by their kind
    bytes: int = 0  # of bodies
    hits: int = 0  # answers that name a cache hit

    @property
    def requests(self) -> int:
        """The number of requests that ended."""
        return len(self.latencies) + self.errors.total()

    def figures(self, seconds: float) -> dict[str, object]:
        """The figures as JSON has them, for a run of *seconds*."""
        ordered = sorted(self.latencies)
        shown = {f"p{round(share * 100)}_ms": percentile(ordered, share) for share in (0.5, 0.95, 0.99)}
        shown |= {"min_ms": ordered[0] if ordered else 0.0, "max_ms": ordered[-1] if ordered else 0.0}
        return {
            "requests": self.requests,
            "rps": round(len(ordered) / seconds, 1) if seconds else 0.0,
            **{name: round(value * 1000, 3) for name, value in shown.items()},
            "errors": self.errors.total(),
            "error_kinds": dict(self.errors),
            "hits": self.hits,
            "bytes": self.bytes,
        }
