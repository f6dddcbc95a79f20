"""Metrics by imgproxy's names, types, labels and buckets, beside imgforge's own (IMGFORGE_PROMETHEUS_IMGPROXY_NAMES).

Of imgproxy 4's names `status_codes_total`, `requests_in_progress`, `images_in_progress` and `vips_memory_bytes` are
imgforge's own as well; all others are here. A span is what imgproxy calls a step of a request:

    queue                      waiting for an image thread
    downloading_source_image   fetching an original
    processing_image           decoding, transforming and encoding
    streaming_image            passing on a source as it is, from the request to the origin to the last byte

Work that several equal requests wait for is counted once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from imgforge.observability.exemplars import Exemplars
from imgforge.observability.imgproxy_errors import ERROR_TYPES
from imgforge.observability.prometheus_compat import observe_many
from imgforge.observability.request_record import Stage, Step, WorkRecord

__all__ = ["ImgproxyMetrics"]

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # those of Go's client library
_REQUEST, _SPAN = "request_duration_seconds", "request_span_duration_seconds"
_QUEUE, _DOWNLOADING, _PROCESSING, _STREAMING = _SPANS = (
    "queue",
    "downloading_source_image",
    "processing_image",
    "streaming_image",
)
_SPAN_OF = {Stage.WAIT.value: _QUEUE, Stage.FETCH.value: _DOWNLOADING, Stage.PROCESS.value: _PROCESSING}
_STREAM = "stream"  # the step that follows the fetch of the head

# libvips' figures by the names of `imgforge.processing.usage`: imgproxy's name, and the text.
_VIPS = {
    "memory_highwater_bytes": ("vips_max_memory_bytes", "The most bytes that libvips had allocated."),
    "allocations": ("vips_allocs", "Allocations that libvips holds."),
}


class ImgproxyMetrics:
    """The metrics of this process, *namespace* before their names; requests only add to plain numbers, as in `Metrics`.

    All of them are those of requests for images and for /info.
    """

    def __init__(self, registry: CollectorRegistry, exemplars: Exemplars, namespace: str = "") -> None:
        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(name, text, labels, namespace=namespace, registry=registry, buckets=_BOUNDS)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, namespace=namespace, registry=registry, multiprocess_mode="livesum")

        self._prefix = f"{namespace}_" if namespace else ""
        self._exemplars = exemplars
        self._requests = Counter(
            "requests_total", "Requests for images and /info.", namespace=namespace, registry=registry
        )
        self._errors = Counter(
            "errors_total",
            "Failures of such requests, by what failed.",
            ("type",),
            namespace=namespace,
            registry=registry,
        )
        self._durations = histogram(_REQUEST, "Seconds from such a request to the end of its answer.")
        self._spans = histogram(_SPAN, "Seconds that a step of such requests took.", "span")
        self._workers = gauge("workers", "Image threads of all processes.")
        self._utilization = gauge("workers_utilization", "requests_in_progress / workers * 100.")
        self._vips = {figure: gauge(name, text) for figure, (name, text) in _VIPS.items()}
        for error_type in ERROR_TYPES:
            self._errors.labels(error_type)
        for span in _SPANS:
            self._spans.labels(span)
        # What is not handed over yet.
        self._begun = 0
        self._failed: dict[str, int] = defaultdict(int)
        self._answered = _none_observed()
        self._steps: dict[str, list[float]] = defaultdict(_none_observed)
        self._counted: WeakKeyDictionary[WorkRecord, int] = WeakKeyDictionary()  # the steps of each that are counted

    def begun(self) -> None:
        """Counts a request at its begin."""
        self._begun += 1

    def answered(self, seconds: float, trace_id: str = "") -> None:
        """Counts the response to a request that took so many *seconds*."""
        _observe(self._answered, seconds)
        self._exemplars.note(self._prefix + _REQUEST, {}, _BOUNDS, seconds, trace_id)

    def hits(self, count: int, seconds: float) -> None:
        """Counts so many requests that the fast lane has answered, in *seconds* together."""
        self._begun += count
        self._answered[bisect_left(_BOUNDS, seconds / count)] += count
        self._answered[-1] += seconds

    def traced_hit(self, seconds: float, trace_id: str) -> None:
        """Shows the trace of one of them, which took so many *seconds*, as an exemplar."""
        self._exemplars.note(self._prefix + _REQUEST, {}, _BOUNDS, seconds, trace_id)

    def failed(self, error_type: str) -> None:
        """Counts an error; *error_type* is one of `ERROR_TYPES`."""
        self._failed[error_type] += 1

    def worked(self, work: WorkRecord, trace_id: str = "") -> None:
        """Counts those steps of *work* that are not counted yet: several requests may wait for it."""
        counted = self._counted.get(work, 0)
        self._counted[work] = len(work.steps)
        for span, seconds in _spans(work.steps[counted:]):
            _observe(self._steps[span], seconds)
            self._exemplars.note(self._prefix + _SPAN, {"span": span}, _BOUNDS, seconds, trace_id)

    def load(self, *, requests: int, threads: int, processes: int) -> None:
        """Sets the *requests* under way here; this process has so many image *threads*, as each of the *processes*."""
        self._workers.set(threads)
        self._utilization.set(100 * requests / (threads * processes))

    def vips(self, values: Mapping[str, float]) -> None:
        """Sets libvips' own figures, as `StateMetrics.vips`."""
        for figure, shown in self._vips.items():
            shown.set(values[figure])

    def flush(self) -> None:
        """Hands what has been added up since the last time to prometheus_client."""
        if self._begun:
            self._requests.inc(self._begun)
        for error_type, count in self._failed.items():
            self._errors.labels(error_type).inc(count)
        if any(self._answered):
            *counts, seconds = self._answered
            observe_many(self._durations, counts, seconds)
        for span, (*counts, seconds) in self._steps.items():
            observe_many(self._spans.labels(span), counts, seconds)
        self._begun, self._answered = 0, _none_observed()
        self._failed.clear()
        self._steps.clear()


def _none_observed() -> list[float]:
    return [0.0] * (len(_BOUNDS) + 2)


def _observe(observed: list[float], seconds: float) -> None:
    observed[bisect_left(_BOUNDS, seconds)] += 1
    observed[-1] += seconds


def _spans(steps: Iterable[Step]) -> Iterable[tuple[str, float]]:
    """The spans of *steps* and their seconds; the head of a source that is streamed belongs to its stream."""
    steps = list(steps)
    stream = next((step for step in steps if step.name == _STREAM), None)
    if stream is not None:
        began = min(step.began for step in steps)
        return [(_STREAMING, stream.ended - began)]
    return [(_SPAN_OF[step.name], step.ended - step.began) for step in steps if step.name in _SPAN_OF]
