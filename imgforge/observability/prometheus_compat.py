"""Every private name of prometheus_client that imgforge uses.

A private name may change with any release, so each says what it is for and which public hook would replace it;
tests/observability/test_prometheus_compat.py shows that they exist and behave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import Histogram, values

__all__ = ["keep_values_in_files", "observe_many"]


def observe_many(histogram: Histogram, counts: Sequence[float], total: float) -> None:
    """Adds *counts* observations to *histogram*, a number for each bucket, that are *total* together.

    Why: `Histogram.observe` takes one observation, at 2 us each over several processes: an eighth of what a hit may
    cost, and a pause of tens of milliseconds a flush. `_sum` and `_buckets` are the values that it adds to.
    Public hook that would replace it: a method of Histogram that takes a count for each bucket, and their sum.
    """
    histogram._sum.inc(total)  # noqa: SLF001
    for bucket, count in zip(histogram._buckets, counts, strict=True):  # noqa: SLF001
        if count:
            bucket.inc(count)


def keep_values_in_files(identity: Callable[[], str]) -> None:
    """Has the metrics that are made from now on keep their values in files called after *identity*.

    Why: by default the files are called after the process's id, so that each worker that replaces another leaves files
    for ever. `values.ValueClass` is undocumented; MultiProcessValue with an identity is documented.
    Public hook that would replace it: an environment variable for the identity, beside PROMETHEUS_MULTIPROC_DIR.
    """
    values.ValueClass = values.MultiProcessValue(identity)
