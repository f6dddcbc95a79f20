"""The counts of error reports, which a server without reporters does not have."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

__all__ = ["ReportMetrics"]


class ReportMetrics:
    """What became of errors that are to be reported; *namespace* before the name of the metric."""

    def __init__(self, registry: CollectorRegistry, namespace: str = "") -> None:
        self._reports = Counter(
            "error_reports_total",
            "Reports of errors, by outcome: sent, taken (handed to Sentry's library, which tells of failures only), "
            "failed, dropped (too many wait) and suppressed (too many errors).",
            ("outcome",),
            namespace=namespace,
            registry=registry,
        )
        for outcome in ("sent", "taken", "failed", "dropped", "suppressed"):
            self._reports.labels(outcome)

    def counted(self, outcome: str, count: int = 1) -> None:
        """Counts *count* more reports with this *outcome*."""
        self._reports.labels(outcome).inc(count)
