"""The metrics of pre-rendering, which a server without a queue does not have."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["PrerenderMetrics"]

_STATES = ("pending", "running", "failed")
_OUTCOMES = ("done", "failed", "retried")


class PrerenderMetrics:
    """How long the queue is, and what became of the jobs of this process; *namespace* before their names."""

    def __init__(self, registry: CollectorRegistry, namespace: str = "") -> None:
        self._depth = Gauge(
            "prerender_jobs",
            "Jobs in the queue, by state.",
            ("state",),
            namespace=namespace,
            registry=registry,
            multiprocess_mode="mostrecent",  # all processes look at the same queue
        )
        self._ended = Counter(
            "prerendered_images_total",
            "Jobs that ended, by outcome.",
            ("outcome",),
            namespace=namespace,
            registry=registry,
        )
        for outcome in _OUTCOMES:
            self._ended.labels(outcome)

    def prerendered(self, outcome: str) -> None:
        """Counts a job that ended: done, failed (put aside) or retried (it waits for another try)."""
        self._ended.labels(outcome).inc()

    def depth(self, counts: Mapping[str, int]) -> None:
        """Shows how many jobs are in each state; states that are not known are not shown."""
        for state in _STATES:
            if state in counts:
                self._depth.labels(state).set(counts[state])
