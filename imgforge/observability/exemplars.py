"""Exemplars of histograms: for each bucket the trace of the latest request that was counted there.

prometheus_client keeps none where several processes share their values, so that each process keeps its own in a small
file beside its values, and whoever answers a scrape takes the latest of all files:

    exemplars_0.json   [["http_requests_duration_seconds", {"method": "GET"}, "0.25", "4bf...", 0.2, 1.7e9]]
                       the family, its labels, the bucket's upper bound, the trace, the observed value, its time

Only OpenMetrics has exemplars: Prometheus asks for that format.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.samples import Exemplar as SampleExemplar

__all__ = ["Exemplars", "Noted", "latest_exemplars", "with_exemplars"]

_TRACE_ID = re.compile(r"[0-9a-f]{16,32}")
_MOST = 2000  # exemplars of a process: there are some 16 for each pair of a method and a route
_LARGEST_FILE = 1 << 20  # bytes
_MOST_FILES = 4096

_Labels = tuple[tuple[str, str], ...]
_Bucket = tuple[str, _Labels, float]  # the family, the labels in the order of their names, the upper bound
_Row = tuple[str, dict[str, str], str, str, float, float]


class Noted(NamedTuple):
    """A request that was counted in a bucket: its trace's id in hexadecimal, the value, and seconds since the epoch."""

    trace_id: str
    value: float
    at: float


class Exemplars:
    """The latest exemplar of each bucket in this process; `save` writes them to *path*, or nothing where it is ""."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._noted: dict[_Bucket, Noted] = {}
        self._changed = False

    def note(
        self, family: str, labels: Mapping[str, str], bounds: Sequence[float], value: float, trace_id: str
    ) -> None:
        """Keeps the trace of a request that *family*, a histogram with buckets up to *bounds*, counts *value* of.

        A *trace_id* that is none is left out: it may be a client's.
        """
        if not _TRACE_ID.fullmatch(trace_id):
            return
        place = bisect_left(bounds, value)
        bound = bounds[place] if place < len(bounds) else math.inf
        bucket = family, tuple(sorted(labels.items())), bound
        if len(self._noted) < _MOST or bucket in self._noted:
            self._noted[bucket] = Noted(trace_id, value, time.time())
            self._changed = True

    def save(self) -> None:
        """Writes the file anew if there is a new exemplar; where the medium is full the old file stays."""
        if not self._changed:
            return
        self._changed = False
        if not self._path:
            return
        rows = [(name, dict(labels), str(bound), *noted) for (name, labels, bound), noted in self._noted.items()]
        written = Path(f"{self._path}.new")
        with suppress(OSError):
            written.write_text(json.dumps(rows, allow_nan=False), "utf-8")
            os.replace(written, self._path)

    def latest(self) -> Mapping[_Bucket, Noted]:
        """Those of this process."""
        return dict(self._noted)


def latest_exemplars(directory: str) -> Mapping[_Bucket, Noted]:
    """The latest exemplar of each bucket in the files of *directory*; what is malformed is skipped."""
    latest: dict[_Bucket, Noted] = {}
    for path in sorted(Path(directory).glob("exemplars_*.json"))[:_MOST_FILES]:
        for bucket, noted in _read(path):
            if bucket not in latest or latest[bucket].at < noted.at:
                latest[bucket] = noted
    return latest


def _read(path: Path) -> Iterator[tuple[_Bucket, Noted]]:
    import msgspec  # not before a scrape asks for exemplars

    try:
        with path.open("rb") as file:
            rows = msgspec.json.decode(file.read(_LARGEST_FILE), type=list[_Row])
    except (OSError, ValueError, RecursionError):
        return
    for name, labels, bound, trace_id, value, at in rows[:_MOST]:
        latest = Noted(trace_id, value, at)
        with suppress(ValueError):
            if _TRACE_ID.fullmatch(latest.trace_id) and latest.value <= float(bound) and math.isfinite(latest.at):
                yield (name, tuple(sorted(labels.items())), float(bound)), latest


def with_exemplars(families: Iterable[Metric], exemplars: Mapping[_Bucket, Noted]) -> Iterator[Metric]:
    """*families* with the exemplars of their buckets."""
    known = {name for name, _, _ in exemplars}
    for family in families:
        if family.name in known and family.type == "histogram":
            for place, sample in enumerate(family.samples):
                labels = dict(sample.labels)
                bound = labels.pop("le", None)
                if bound is None:
                    continue
                noted = exemplars.get((family.name, tuple(sorted(labels.items())), float(bound)))
                if noted is not None and sample.value:
                    exemplar = SampleExemplar({"trace_id": noted.trace_id}, noted.value, noted.at)
                    family.samples[place] = sample._replace(exemplar=exemplar)
        yield family
