"""The upper bounds of the buckets of histograms, in seconds, and the label of methods."""

from __future__ import annotations

__all__ = ["REQUEST_SECONDS", "WORK_SECONDS", "method_label"]

REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WORK_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# Clients choose the methods: all others share one label.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE", "PATCH"})


def method_label(method: str) -> str:
    """The label of *method*, which a client chose."""
    return method if method in _METHODS else "other"
