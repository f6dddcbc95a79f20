"""All Prometheus metrics, in one object.

Requests only add to plain numbers here; `flush` hands the numbers to prometheus_client a few times a second and before
a scrape, since one labelled observation there costs more than serving a hit. After `share_metrics` a process keeps its
values in files of a directory, and `render` sums the files of all processes. A worker that replaces another takes over
its files and counts on from them: however many workers die, no count is lost and no file is left.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.multiprocess import mark_process_dead

from imgforge.observability.exemplars import Exemplars, latest_exemplars
from imgforge.observability.exposition import exposed, gauges_of, values_of_all
from imgforge.observability.histogram_bounds import REQUEST_SECONDS, WORK_SECONDS, method_label
from imgforge.observability.prometheus_compat import keep_values_in_files, observe_many
from imgforge.observability.request_record import RequestRecord
from imgforge.observability.state_metrics import StateMetrics
from imgforge.observability.traced_requests import note_exemplars

if TYPE_CHECKING:
    from imgforge.observability.imgproxy_metrics import ImgproxyMetrics

__all__ = ["Metrics", "mark_dead", "render_directory", "share_metrics"]

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_NAME = "PROMETHEUS_MULTIPROC_NAME"  # ours

# Observations: the number in each bucket, one of which is beyond the last bound, and last the sum of their seconds.
_Observed = list[float]
# Responses by method, path label and status.
_Answers = dict[tuple[str, str, int], _Observed]

# Labels whose series are shown with zeros from the start.
_REASONS = (
    *("queue", "origin", "rate", "clients", "client", "source", "size", "result", "time", "download", "circuit"),
    *("quarantine", "not-cached"),
)
_TIER_FAULTS = ("corrupt", "full", "io", "slow", "too_large")
_SHARED_TIER_FAULTS = (*_TIER_FAULTS, "skipped")  # of any tier but memory and disk
_STATUSES = ("200", "304", "400", "403", "404", "408", "422", "429", "499", "500", "502", "503", "504")


class Metrics:
    """The metrics of this process, *namespace* before their names; see docs/operations.md for what each means.

    `state` has the gauges of what the process is and has at the moment, `imgproxy` the metrics by imgproxy's names, if
    they are asked for. `directory` is that of all processes; "" where there is one process.
    """

    imgproxy: ImgproxyMetrics | None = None

    def __init__(self, registry: CollectorRegistry | None = None, namespace: str = "") -> None:
        disable_created_metrics()  # several processes together have none
        self.registry = registry if registry is not None else CollectorRegistry()
        self.directory = directory = os.environ.get(_DIRECTORY, "")
        self.namespace = namespace
        file = os.path.join(directory, f"exemplars_{os.environ.get(_NAME, '')}.json") if directory else ""
        self.exemplars = Exemplars(file)
        # What is not handed over yet; besides the answers by metric and labels.
        self._answers: _Answers = defaultdict(lambda: [0.0] * (len(REQUEST_SECONDS) + 2))
        self._added: dict[tuple[Counter | Gauge, tuple[str, ...]], int] = defaultdict(int)
        self._observed: dict[tuple[Histogram, tuple[str, ...]], _Observed] = defaultdict(
            lambda: [0.0] * (len(WORK_SECONDS) + 2)
        )
        self.state = StateMetrics(self.registry, namespace)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace=namespace, registry=self.registry)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = WORK_SECONDS) -> Histogram:
            return Histogram(name, text, labels, namespace=namespace, registry=self.registry, buckets=buckets)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, namespace=namespace, registry=self.registry, multiprocess_mode="livesum")

        self._requests = histogram(
            "http_requests_duration_seconds", "Time to answer.", "method", "path", buckets=REQUEST_SECONDS
        )
        self._statuses = counter("status_codes_total", "Answers by status.", "status")
        self._cache_hits = counter("cache_hits_total", "Look-ups that found an entry.", "cache_type")
        self._cache_misses = counter("cache_misses_total", "Look-ups that found none.", "cache_type")
        self._cache_tier_hits = counter("cache_tier_hits_total", "The same by tier.", "cache_type", "tier")
        self._cache_faults = counter("cache_faults_total", "Cache entries lost to faults.", "cache_type", "fault")
        self._processed = counter("processed_images_total", "Images made.", "format")
        self._processing = histogram("image_processing_duration_seconds", "Time to make an image.", "format")
        self._truncated = counter("truncated_images_total", "Images made of sources that end too early.")
        self._fetched = counter("source_images_fetched_total", "Originals fetched.", "status")
        self._fetching = histogram("source_image_fetch_duration_seconds", "Time to fetch an original.")
        self._waits = histogram(
            "image_operation_semaphore_wait_duration_seconds", "Time waiting for a free slot.", "operation"
        )
        self._queues = histogram(
            "image_operation_blocking_queue_duration_seconds", "Time from slot to thread.", "operation"
        )
        self._runs = histogram("image_operation_execution_duration_seconds", "Time on the thread.", "operation")
        self._limit = gauge("image_operation_concurrency_limit", "Image operations that may run at once.")
        self._active = gauge("image_operations_active", "Image operations on threads.", "operation")
        self._waiting = gauge("image_operations_waiting", "Image operations waiting for a thread.", "operation")
        self._refusals = counter("refusals_total", "Requests refused by a limit or a rule.", "reason")
        self._dropped_lines = counter(
            "access_log_lines_dropped_total", "Lines of the access log that were not read in time."
        )
        self._fallbacks = counter("fallback_images_total", "Fallback images by the status that they replace.", "status")
        self._restarts = counter("worker_restarts_total", "Worker processes started anew.")
        for operation in ("process", "info"):
            self._active.labels(operation).set(0)
            self._waiting.labels(operation).set(0)
            for timed in (self._waits, self._queues, self._runs):
                timed.labels(operation)
        for status in ("404", "502"):
            self._fallbacks.labels(status)
        for reason in _REASONS:
            self._refusals.labels(reason)
        for outcome in ("success", "error"):
            self._fetched.labels(outcome)

    def named(self, name: str) -> str:
        """The metric *name* with the namespace."""
        return f"{self.namespace}_{name}" if self.namespace else name

    def expect(
        self,
        *,
        paths: Iterable[str],
        caches: Iterable[str],
        formats: Iterable[str],
        tiers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Shows zeros for these labels: Prometheus sees no increase in a series whose first value is its first count.

        *tiers* are pairs of a cache and one of its tiers.
        """
        for status in _STATUSES:
            self._statuses.labels(status)
        for path in paths:
            self._requests.labels("GET", path)
        for cache in caches:
            self._cache_hits.labels(cache)
            self._cache_misses.labels(cache)
        for cache, tier in tiers:
            self._cache_tier_hits.labels(cache, tier)
            for fault in {"memory": (), "disk": _TIER_FAULTS}.get(tier, _SHARED_TIER_FAULTS):
                self._cache_faults.labels(tier, fault)
        for name in formats:
            self._processed.labels(name)
            self._processing.labels(name)

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Counts a response to *method* on the route *path*, that took so many *seconds*."""
        answers = self._answers[method_label(method), path, status]
        answers[bisect_left(REQUEST_SECONDS, seconds)] += 1
        answers[-1] += seconds

    def traced(self, record: RequestRecord) -> None:
        """Shows the trace of a request that was counted as an exemplar."""
        note_exemplars(self.exemplars, self.named, record)

    def answered_many(self, method: str, path: str, status: int, count: int, seconds: float, cache: str) -> None:
        """Counts so many responses of the fast lane, hits of *cache* in memory, that took *seconds* together."""
        answers = self._answers[method, path, status]
        answers[bisect_left(REQUEST_SECONDS, seconds / count)] += count
        answers[-1] += seconds
        self._add(self._cache_hits, cache, count=count)
        self._add(self._cache_tier_hits, cache, "memory", count=count)
        if self.imgproxy is not None:
            self.imgproxy.hits(count, seconds)

    def cache_hit(self, cache: str, tier: str = "memory") -> None:
        """Counts a look-up that found an entry in *tier*."""
        self._add(self._cache_hits, cache)
        self._add(self._cache_tier_hits, cache, tier)

    def cache_miss(self, cache: str) -> None:
        """Counts a look-up that found no entry."""
        self._add(self._cache_misses, cache)

    def cache_fault(self, cache: str, fault: str) -> None:
        """Counts an entry that was lost; *fault* is one of corrupt, full, io, skipped, slow and too_large."""
        self._cache_faults.labels(cache, fault).inc()

    def source_fetched(self, seconds: float, *, ok: bool) -> None:
        """Counts the fetch of an original that took so many *seconds*, and whether it succeeded."""
        self._observe(self._fetching, seconds)
        self._add(self._fetched, "success" if ok else "error")

    def image_processed(self, format_name: str, seconds: float) -> None:
        """Counts an image made in *seconds*, the wait for a thread included."""
        self._observe(self._processing, seconds, format_name)
        self._add(self._processed, format_name)

    def truncated_image(self) -> None:
        """Counts an image made of a source that ends too early."""
        self._truncated.inc()

    def concurrency_limit(self, limit: int) -> None:
        """Sets how many operations this process may run at once."""
        self._limit.set(limit)

    def operation_waiting(self, operation: str, change: int) -> None:
        """Counts one more (1) or one fewer (-1) operation that waits for a slot."""
        self._add(self._waiting, operation, count=change)

    def operation_active(self, operation: str, change: int) -> None:
        """Counts one more (1) or one fewer (-1) operation on a thread."""
        self._add(self._active, operation, count=change)

    def operation_timed(self, operation: str, waited: float, queued: float, ran: float) -> None:
        """Counts an operation that ended; seconds that it waited for a slot, then for its thread, and ran."""
        self._observe(self._waits, waited, operation)
        self._observe(self._queues, queued, operation)
        self._observe(self._runs, ran, operation)

    def refused(self, reason: str) -> None:
        """Counts a refused request; *reason* is one of a few words (queue, rate, ...), never a client's."""
        self._refusals.labels(reason).inc()

    def fallback_served(self, status: int) -> None:
        """Counts a fallback image sent in place of a failure of this *status*."""
        self._fallbacks.labels(str(status)).inc()

    def access_log_dropped(self, lines: int) -> None:
        """Counts *lines* of the access log that were dropped."""
        self._dropped_lines.inc(lines)

    def worker_restarted(self) -> None:
        """Counts a worker process that was replaced."""
        self._restarts.inc()

    def _add(self, metric: Counter | Gauge, *labels: str, count: int = 1) -> None:
        self._added[metric, labels] += count

    def _observe(self, metric: Histogram, seconds: float, *labels: str) -> None:
        observed = self._observed[metric, labels]
        observed[bisect_left(WORK_SECONDS, seconds)] += 1
        observed[-1] += seconds

    def flush(self) -> None:
        """Hands what has been added up since the last time to prometheus_client."""
        for (method, path, status), (*counts, seconds) in self._answers.items():
            self._statuses.labels(str(status)).inc(sum(counts))
            observe_many(self._requests.labels(method, path), counts, seconds)
        for (histogram, labels), (*counts, seconds) in self._observed.items():
            observe_many(histogram.labels(*labels) if labels else histogram, counts, seconds)
        for (metric, labels), count in self._added.items():
            metric.labels(*labels).inc(count)
        for handed_over in (self._answers, self._observed, self._added):
            handed_over.clear()
        if self.imgproxy is not None:
            self.imgproxy.flush()
        self.exemplars.save()

    def render(self) -> tuple[bytes, str]:
        """The metrics of all processes in Prometheus' text format, and its content type."""
        self.flush()
        return self.flushed()

    def flushed(self, *, openmetrics: bool = False) -> tuple[bytes, str]:
        """The same without what was counted since the last `flush`: for any thread, as it takes many milliseconds.

        *openmetrics* is the format that has exemplars.
        """
        if self.directory:
            return render_directory(self.directory, openmetrics=openmetrics)
        return exposed(self.registry, self.exemplars.latest() if openmetrics else None)

    def gauges(self) -> Mapping[str, float]:
        """The gauges without labels over all processes, by their names without the namespace; for any thread."""
        values = values_of_all(self.directory) if self.directory else self.registry
        return gauges_of(values, self.named(""))


def render_directory(directory: str, *, openmetrics: bool = False) -> tuple[bytes, str]:
    """The metrics that all processes have written to *directory*, added up, and their content type."""
    return exposed(values_of_all(directory), latest_exemplars(directory) if openmetrics else None)


def share_metrics(directory: str, name: str) -> None:
    """Has this process keep its values in files of *directory* under *name*, which no other living process may have.

    Called before any `Metrics` is made.
    """
    os.environ[_DIRECTORY], os.environ[_NAME] = directory, name
    keep_values_in_files(lambda: name)


def mark_dead(name: str, directory: str) -> None:
    """Takes the gauges of a process that has ended out of the sums; its counters stay."""
    mark_process_dead(name, directory)
