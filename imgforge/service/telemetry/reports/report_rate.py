"""How often errors are reported: a storm of equal ones costs one report each ten seconds."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["ReportRate"]

_INTERVAL = 10.0  # seconds between two reports of equal errors
_MOST_KINDS = 1000  # of errors that are remembered
_BURST = 20.0  # reports at once, of different errors
_PER_SECOND = 1.0


@dataclass(slots=True)
class _Kind:
    reported: float
    repeated: int = 0


class ReportRate:
    """Lets one report of equal errors pass in ten seconds, and one of any errors a second after twenty at once."""

    def __init__(self, now: float) -> None:
        self._kinds: OrderedDict[tuple[str, ...], _Kind] = OrderedDict()  # the last reported last
        self._tokens = _BURST
        self._filled = now

    def admit(self, kind: tuple[str, ...], now: float) -> int | None:
        """How many errors of this *kind* went unreported since its last report; None if this one does as well."""
        known = self._kinds.get(kind)
        self._tokens = min(_BURST, self._tokens + max(0.0, now - self._filled) * _PER_SECOND)
        self._filled = now
        too_soon = known is not None and 0 <= now - known.reported < _INTERVAL
        if too_soon or self._tokens < 1:
            if known is not None:
                known.repeated += 1
            return None
        self._tokens -= 1
        self._kinds[kind] = _Kind(now)
        self._kinds.move_to_end(kind)
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.popitem(last=False)
        return known.repeated if known is not None else 0
