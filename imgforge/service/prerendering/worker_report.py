"""What a worker of the queue has done so far."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["OUTCOMES", "WorkerReport"]

OUTCOMES = ("done", "failed", "retried")


@dataclass
class WorkerReport:
    """What became of the jobs so far, by outcome (done, failed, retried), and how long the worker has run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def prerendered(self, outcome: str) -> None:
        """Counts a job."""
        self.outcomes[outcome] += 1

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def document(self) -> dict[str, Any]:
        """The report as JSON values."""
        counts = {name: self.outcomes[name] for name in OUTCOMES}
        return {**counts, "seconds": round(self.seconds, 3)}
