"""How many requests beyond the first a fetch may cost an origin: a share of the origin's requests."""

from __future__ import annotations

from imgforge.sources.recent_dict import RecentDict

__all__ = ["OriginBudget"]

_MOST_ORIGINS = 1000  # that are kept; beyond, the origin that was asked longest ago is forgotten
_MOST_SAVED = 10.0


class OriginBudget:
    """Each request to an origin earns *share* of a further one; *initial* are there from the start.

    At most ten are saved up: after a quiet day an outage is not met with a storm.
    """

    def __init__(self, share: float, initial: float) -> None:
        self._share = share
        self._initial = initial
        self._saved: RecentDict[str, float] = RecentDict(_MOST_ORIGINS)

    def earn(self, origin: str) -> None:
        """Count a request to *origin*."""
        self._saved[origin] = min(_MOST_SAVED, self._saved.get(origin, self._initial) + self._share)

    def spend(self, origin: str) -> bool:
        """Whether a further request to *origin* is within the budget, which then has one less."""
        saved = self._saved.get(origin, self._initial)
        if saved < 1:
            return False
        self._saved[origin] = saved - 1
        return True
