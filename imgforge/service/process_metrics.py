"""The metrics of a serving process: its versions, its gauges, and what the fast lane has counted."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from imgforge import __version__, processing
from imgforge.cache import Cache
from imgforge.observability import AccessLog, Metrics, StateMetrics
from imgforge.pipeline import Admission, Caches
from imgforge.service.platform import usable_bytes
from imgforge.service.work_routes import IMAGES, WORK_ROUTES
from imgforge.web import FastLane, ImageSite, TargetHits, hit_access
from twisted import __version__ as twisted_version

__all__ = ["ObservedParts", "ProcessMetrics"]


@dataclass(frozen=True, slots=True)
class ObservedParts:
    """The parts of a process that its metrics show.

    `tiered_caches` has the cache of results first, if there is one. Each of the `processes` has so many image
    `threads`. `hit_observers` are told of the fast lane's hits, by target.
    """

    access_log: AccessLog
    site: ImageSite
    admission: Admission
    caches: Caches
    tiered_caches: Sequence[Cache]
    fast_lane: FastLane | None
    threads: int
    processes: int
    hit_observers: Sequence[Callable[[Iterable[TargetHits]], None]] = ()


class ProcessMetrics:
    """Brings *metrics* up to date with *parts*."""

    def __init__(self, metrics: Metrics, parts: ObservedParts) -> None:
        self._metrics = metrics
        self._parts = parts
        metrics.state.build(
            version=__version__,
            libvips=processing.capabilities().version,
            python=platform.python_version(),
            twisted=twisted_version,
        )
        metrics.state.memory_limit(usable_bytes())
        caches = parts.tiered_caches
        metrics.expect(
            paths=(IMAGES,),
            caches=[cache.name for cache in caches],
            formats=[name for name, one in processing.FORMATS.items() if one.writes],
            tiers=[(cache.name, tier.name) for cache in caches for tier in cache.tiers],
        )

    def refresh(self) -> None:
        """Bring everything up to date, for a scrape."""
        self.observe()
        self.flush()

    def flush(self) -> None:
        """Hand the fast lane's hits to the metrics and the access log, and all counts to prometheus_client."""
        fast_lane, metrics = self._parts.fast_lane, self._metrics
        if fast_lane is not None:
            cache = self._parts.tiered_caches[0].name
            for (method, status), (count, seconds) in fast_lane.take_answered().items():
                metrics.answered_many(method, IMAGES, status, int(count), seconds, cache)
            self._parts.access_log.write_all(fast_lane.take_hits(), hit_access)
            if self._parts.hit_observers:
                hits = fast_lane.take_targets()
                for observer in self._parts.hit_observers:
                    observer(hits)
        metrics.access_log_dropped(self._parts.access_log.take_dropped())
        metrics.flush()

    def observe(self) -> None:
        """Set the gauges."""
        state, parts, imgproxy = self._metrics.state, self._parts, self._metrics.imgproxy
        requests = sum(exchange.record.route in WORK_ROUTES for exchange in parts.site.resource.in_flight)
        vips = processing.usage()
        decoders = processing.decoder_usage()
        state.update_process(decoder_seconds=decoders.pop("cpu_seconds"))
        state.decoders(**decoders)
        state.vips(vips)
        state.load(
            connections=len(parts.site.connections),
            requests=requests,
            images=parts.admission.rendering,
            fetches=parts.admission.fetching,
            memory_waits=parts.caches.budget.waiting,
        )
        _show_caches(state, parts.tiered_caches)
        if imgproxy is not None:
            imgproxy.load(requests=requests, threads=parts.threads, processes=parts.processes)
            imgproxy.vips(vips)


def _show_caches(state: StateMetrics, caches: Iterable[Cache]) -> None:
    for cache in caches:
        for tier in cache.tiers:
            usage = tier.usage()
            if usage is not None and tier.name == "memory":
                state.memory_tier(cache.name, usage.bytes, usage.entries)
            elif usage is not None and tier.name == "disk":
                state.disk_tier(cache.name, *usage)
