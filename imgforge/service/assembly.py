"""The composition root: from settings to a running application, every part handed just what it needs."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any, TextIO

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from imgforge import __version__, processing
from imgforge.cache import Cache, fingerprint, make_cache
from imgforge.config import Settings
from imgforge.demo import DemoEndpoint, SampleFactory
from imgforge.observability import AccessLog, Metrics
from imgforge.pipeline import (
    Admission,
    CrashTracker,
    Pipeline,
    PipelineParts,
    PipelineSettings,
    Quarantine,
    RenderThreads,
    make_caches,
)
from imgforge.service.checks import operators_image, url_settings
from imgforge.service.periodic import Background
from imgforge.service.platform.idle_trim import IdleTrim
from imgforge.service.platform.usable_memory import pixel_bytes
from imgforge.service.translation import (
    answer_headers,
    answer_settings,
    cache_settings,
    caches_settings,
    negotiation,
    not_found_ttl,
    original_cache_settings,
    passthrough,
    processing_settings,
    source_settings,
)
from imgforge.service.worker.process_state import show_build, show_caches
from imgforge.sources import SourceRegistry, use_own_resolver
from imgforge.urls import UrlParser
from imgforge.web import (
    BearerGate,
    ClientHints,
    ClientKey,
    ClientRates,
    Clients,
    Endpoint,
    FastLane,
    HealthEndpoint,
    ImageEndpoint,
    ImageSite,
    InfoEndpoint,
    MetricsEndpoint,
    PurgeEndpoint,
    PurgeGate,
    PurgeImageEndpoint,
    RateLimit,
    Rates,
    Route,
    Server,
    hit_access,
    landing_page,
    missing_endpoint,
    page_endpoint,
    plain_page,
)

__all__ = ["Application", "ApplicationParts"]

_IMAGES = "/{*path}"  # the route of images in the metrics
_PURGE = "/cache/purge"
_FLUSH_INTERVAL = 0.25
_STATE_INTERVAL = 1.0
_POLL_INTERVAL = 0.02
_WINDING_UP = 1.0  # seconds for requests that are given up


@dataclass(frozen=True, slots=True)
class ApplicationParts:
    """This process's part of the server: *threads* image threads in each of *processes* processes.

    `output` is the stream of the access log, `directory` one that all processes share, `crash_tracker` knows the
    sources that crashed processes before this one.
    """

    threads: int
    processes: int = 1
    output: TextIO = field(default_factory=lambda: sys.stdout)
    directory: str = ""
    crash_tracker: CrashTracker | None = None


class Application:
    """Composes all parts of a serving process, starts and stops them."""

    log = Logger()

    def __init__(self, reactor: Any, settings: Settings, metrics: Metrics, parts: ApplicationParts) -> None:
        threads, processes, directory = parts.threads, parts.processes, parts.directory
        processing.configure()
        self._reactor = reactor
        self._settings = settings
        self._metrics = metrics
        self._processes = processes
        self._access_log = AccessLog(parts.output, settings.access_log)
        results = processing_settings(settings)
        self._sources = SourceRegistry(
            reactor, source_settings(settings), [SampleFactory()] if settings.embedded else []
        )
        self._cache: Cache | None = make_cache(reactor, cache_settings(settings, directory), metrics.cache_fault)
        self._originals = make_cache(
            reactor, original_cache_settings(settings, processes, directory), metrics.cache_fault
        )
        quarantine = Quarantine(parts.crash_tracker, metrics.refused)
        self._threads = RenderThreads(reactor, threads, metrics, quarantine)
        watermark = operators_image(settings, "watermark")
        self._admission = Admission(threads, math.ceil(settings.requests_queue_size / processes), metrics.refused)
        self._store = make_caches(
            reactor,
            caches_settings(settings),
            self._sources,
            metrics,
            results=self._cache,
            originals=self._originals,
        )
        self._pipeline = Pipeline(
            reactor,
            PipelineSettings(
                timeout=settings.timeout,
                max_src_file_size=settings.max_src_file_size,
                processing=results,
                fingerprint=fingerprint(
                    __version__,
                    processing.capabilities().version,
                    results,
                    watermark,
                    settings.watermark_url,
                    settings.local_filesystem_root,
                ),
                watermark=watermark,
                watermark_url=settings.watermark_url,
                fallback=operators_image(settings, "fallback_image"),
                fallback_url=settings.fallback_image_url,
                cache_presets_only=settings.cache_presets_only,
            ),
            PipelineParts(
                sources=self._sources,
                caches=self._store,
                threads=self._threads,
                admission=self._admission,
                metrics=metrics,
                quarantine=quarantine,
                pixel_budget=processing.PixelBudget(pixel_bytes(settings, processes)),
            ),
        )
        self._gate = BearerGate(settings.secret)
        self._clients = Clients(settings.trusted_proxies, settings.allowed_clients, direct_only=settings.direct_only)
        self._lane = self._make_lane()
        self._health = HealthEndpoint(settings.health_check_message)
        self._server = self._make_server()
        self.factory = ImageSite(
            self._server,
            reactor,
            keep_alive=settings.keep_alive_timeout,
            read_timeout=settings.read_request_timeout,
            write_timeout=settings.write_response_timeout,
            lane=self._lane,
            max_clients=math.ceil(settings.max_clients / processes),
        )
        self._flushing = Background(reactor, _FLUSH_INTERVAL, self._flush, "the metrics cannot be brought up to date")
        self._observing = Background(
            reactor, _STATE_INTERVAL, self._observe, "the state of this process cannot be seen"
        )
        self._trimming = IdleTrim(reactor, lambda: self._server.active)
        metrics.concurrency_limit(threads)
        metrics.expect(
            paths=(_IMAGES,),
            caches=self._named_caches(),
            formats=processing.capabilities().saves,
            tiers=[(name, tier.name) for name, cache in self._named_caches().items() for tier in cache.tiers],
        )
        show_build(metrics.state)

    def _named_caches(self) -> dict[str, Cache]:
        """The caches by what the metrics call them."""
        named = {} if self._cache is None else {self._cache.name: self._cache}
        return named if self._originals is None else named | {"originals": self._originals}

    def _make_lane(self) -> FastLane | None:
        """The fast lane, where there is a memory tier."""
        tier = self._cache.memory if self._cache is not None else None
        if tier is None:
            return None
        logged, clock = self._access_log.enabled, self._reactor.seconds
        return FastLane(tier, self._gate.expected, clock, logged=logged, clients=self._clients)

    def _flush(self) -> None:
        """Hand what was counted to the metrics and the access log, and libvips' own figures."""
        if self._lane is not None and self._cache is not None:
            for (method, status), (count, seconds) in self._lane.take_answered().items():
                self._metrics.answered_many(method, _IMAGES, status, int(count), seconds, self._cache.name)
            self._access_log.write_all(self._lane.take_hits(), hit_access)
        self._metrics.access_log_dropped(self._access_log.take_dropped())
        self._metrics.flush()

    def _observe(self) -> None:
        """Show what this process has at the moment."""
        state = self._metrics.state
        state.update_process()
        state.vips(processing.usage())
        state.load(
            connections=len(self.factory.connections),
            requests=self._server.active,
            images=self._admission.rendering,
            fetches=self._admission.fetching,
            memory_waits=self._store.budget.waiting,
        )
        show_caches(state, self._named_caches())

    def _refresh(self) -> None:
        """What a scrape gets of this process is of this moment."""
        self._observe()
        self._flush()

    def _make_server(self) -> Server:
        settings, reactor = self._settings, self._reactor
        gate = self._gate
        parser = UrlParser(url_settings(settings))
        page = page_endpoint(landing_page() if settings.landing_page else plain_page(__version__))
        if settings.embedded:
            page = DemoEndpoint(reactor, settings.local_filesystem_root, settings.source_url_query_separator)
        metrics: Endpoint = MetricsEndpoint(reactor, gate, self._metrics, self._refresh)
        if settings.metrics_listeners:  # so that the public does not read them
            metrics = missing_endpoint("this listener has no /metrics")
        answers = answer_settings(settings)
        rates = Rates(
            self._clients,
            ClientRates(settings.rate_limit_per_client_per_minute / self._processes, reactor.seconds),
            RateLimit(settings.rate_limit_per_minute / self._processes, reactor.seconds),
        )
        client = ClientKey(settings.cache_key_headers, settings.cache_key_cookies)
        passed = passthrough(settings)
        hints = ClientHints(settings.enable_client_hints, settings.max_result_dimension)
        images = ImageEndpoint(
            reactor, gate, parser, self._pipeline, negotiation(settings), rates, answers, client, passed, hints
        )
        info = InfoEndpoint(reactor, gate, parser, self._pipeline, rates, answers, passed)
        health_paths = {b"/status", b"/health", settings.health_check_path.encode()} - {b""}
        purging = PurgeGate(settings.purge_secret)
        purge_image = PurgeImageEndpoint(purging, parser, self._pipeline)
        routes = [
            *(Route(path, path.decode(), self._health, always=True) for path in sorted(health_paths)),
            Route(b"/", "/", page),
            Route(b"", "/", page),
            Route(b"/favicon.ico", "/favicon.ico", missing_endpoint("this server has no icon")),
            Route(b"/metrics", "/metrics", metrics),
            Route(b"/info/", "/info/{*path}", info, prefix=True),
            Route(_PURGE.encode(), _PURGE, PurgeEndpoint(purging, self._pipeline), methods=(b"POST",)),
            Route(b"", _IMAGES, images, prefix=True),
            Route(b"", _IMAGES, purge_image, prefix=True, methods=(b"PURGE",)),
        ]
        headers = answer_headers(settings)
        prefix = settings.path_prefix.rstrip("/").encode()
        return Server(
            reactor,
            routes,
            self._metrics,
            self._access_log,
            headers,
            prefix,
            self._lane,
            self._clients,
            not_found_ttl=not_found_ttl(settings),
        )

    def start(self) -> None:
        """Start the threads and what runs in the background."""
        use_own_resolver(self._reactor)
        self._threads.start()
        for cache in filter(None, (self._cache, self._originals)):
            cache.startService()
        self._flushing.start()
        self._observing.start(now=True)
        self._trimming.start()

    async def stop(self, grace: float) -> None:
        """Finish the requests under way, within *grace* seconds, and close everything; nothing new arrives by now."""
        self._health.draining = True
        self.factory.close_idle()
        await self._until_quiet(grace)
        if self._server.active:
            self.log.warn("{count} requests were not finished in time", count=self._server.active)
            # Nobody waits for their results then: fetches are given up, and libvips is stopped.
            for connection in tuple(self.factory.connections):
                connection.forceAbortClient()
            await self._until_quiet(_WINDING_UP)
        self._trimming.stop()
        self._observing.stop()
        self._flushing.stop()
        self._flush()
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._access_log.close)
        await self._sources.close()
        for cache in filter(None, (self._cache, self._originals)):
            await cache.stopService()
        # The threads come back when libvips does; the reactor goes on meanwhile.
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._threads.stop)

    async def _until_quiet(self, seconds: float) -> None:
        """Until nothing is under way, for so many *seconds* at most."""
        end = self._reactor.seconds() + seconds
        while (self._server.active or self.factory.connections) and self._reactor.seconds() < end:
            await deferLater(self._reactor, _POLL_INTERVAL)
            if not self._server.active:
                self.factory.close_idle()

    async def announce_stop(self, delay: float) -> None:
        """Have /status answer 503 for *delay* seconds, so that load balancers turn away, while requests are taken."""
        self._health.draining = True
        if delay:
            await deferLater(self._reactor, delay)
