"""The composition root: from settings to a running application, every part handed just what it needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from imgforge import processing
from imgforge.cache import make_cache
from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import AccessLog, Metrics, PrerenderMetrics
from imgforge.pipeline import (
    Admission,
    CrashTracker,
    Pipeline,
    PipelineParts,
    Quarantine,
    RenderThreads,
    make_caches,
)
from imgforge.service.cache_translation import cache_settings, original_cache_settings
from imgforge.service.drain import Drain
from imgforge.service.front_page import make_front_page
from imgforge.service.image_routes import image_routes
from imgforge.service.lifecycle import Component, OrderedServices, PeriodicCall
from imgforge.service.platform import IdleTrim, pixel_bytes
from imgforge.service.process_metrics import ObservedParts, ProcessMetrics
from imgforge.service.shares import (
    clients_per_process,
    longest_wait,
    queue_per_process,
)
from imgforge.service.telemetry import make_telemetry
from imgforge.service.translation import (
    answer_settings,
    caches_settings,
    connection_limits,
    negotiation,
    passthrough,
    pipeline_settings,
    server_settings,
    source_settings,
)
from imgforge.service.url_translation import url_settings
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
    FastLaneSettings,
    HealthEndpoint,
    ImageServices,
    ImageSite,
    MetricsEndpoint,
    RateLimit,
    Rates,
    Route,
    SampledFastLane,
    Server,
    missing_endpoint,
    prerendering_off,
)

if TYPE_CHECKING:
    from imgforge.service.prerendering import Prerendering, RenditionMaker

__all__ = ["Application", "ApplicationParts"]

_FLUSH_INTERVAL = 0.25
_STATE_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class ApplicationParts:
    """This process's part of the server: *threads* image threads in each of *processes* processes.

    `output` is the stream of the access log, `directory` one that all processes share, `crash_tracker` knows the
    sources that crashed processes before this one, `access_lines` gets the lines of the access log as well. With a
    token the server is a playground, whose page signs URLs.
    """

    threads: int
    processes: int = 1
    output: TextIO = field(default_factory=lambda: sys.stdout)
    directory: str = ""
    crash_tracker: CrashTracker | None = None
    access_lines: Callable[[str, str], None] | None = None
    playground_token: str = ""


class Application(OrderedServices):
    """All parts of a serving process but its listeners; `site` answers the requests.

    They start in the order of `_add_services`, and stop in the reverse order: the requests in flight finish first.
    """

    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: Settings, metrics: Metrics, parts: ApplicationParts) -> None:
        super().__init__()
        threads, processes, directory = parts.threads, parts.processes, parts.directory
        processing.configure()
        self._reactor = reactor
        self._settings = settings
        self._metrics = metrics
        self._processes = processes
        self._telemetry = make_telemetry(reactor, settings, metrics)
        self._access_log = AccessLog(parts.output, settings.access_log, parts.access_lines)
        self._front_page = make_front_page(reactor, settings, parts.playground_token)
        self._sources = SourceRegistry(reactor, source_settings(settings), self._front_page.sources)
        self._cache = make_cache(reactor, cache_settings(settings, directory), metrics.cache_fault)
        originals = make_cache(reactor, original_cache_settings(settings, processes, directory), metrics.cache_fault)
        self._tiered_caches = tuple(cache for cache in (self._cache, originals) if cache is not None)
        quarantine = Quarantine(parts.crash_tracker, metrics.refused)
        self._threads = RenderThreads(reactor, threads, metrics, quarantine)
        admission = Admission(
            threads,
            queue_per_process(settings, processes),
            metrics.refused,
            expected_wait=self._threads.expected_wait,
            longest_wait=longest_wait(settings),
        )
        caches = make_caches(
            reactor,
            caches_settings(settings),
            self._sources,
            metrics,
            results=self._cache,
            originals=originals,
        )
        self._pipeline = Pipeline(
            reactor,
            pipeline_settings(settings),
            PipelineParts(
                sources=self._sources,
                caches=caches,
                threads=self._threads,
                admission=admission,
                metrics=metrics,
                quarantine=quarantine,
                pixel_budget=processing.PixelBudget(pixel_bytes(settings, processes)),
            ),
        )
        self._parser = UrlParser(url_settings(settings))
        self._key = ClientKey(settings.cache_key_headers, settings.cache_key_cookies)
        self._prerendering = self._make_prerendering() if settings.has_queue else None
        self._gate = BearerGate(settings.secret)
        self._clients = Clients(settings.trusted_proxies, settings.allowed_clients, direct_only=settings.direct_only)
        self._fast_lane = self._make_fast_lane()
        self._health = HealthEndpoint(settings.health_check_message)
        self._server = self._make_server()
        self.site = ImageSite(
            self._server,
            reactor,
            connection_limits(settings, clients_per_process(settings, processes)),
            self._fast_lane,
        )
        metrics.concurrency_limit(threads)
        self._process_metrics = ProcessMetrics(
            metrics,
            ObservedParts(
                self._access_log,
                self.site,
                admission,
                caches,
                self._tiered_caches,
                self._fast_lane,
                threads=threads,
                processes=processes,
                hit_observers=self._telemetry.hit_observers,
            ),
        )
        self._add_services()

    def _add_services(self) -> None:
        """The order of the start; the stop goes from the last to the first."""
        for service in (
            Component("resolver", start=lambda: use_own_resolver(self._reactor)),
            Component("render threads", stop=self._on_thread(self._threads.stop)),
            *self._tiered_caches,
            Component("sources", stop=self._sources.close),
            Component("access log", stop=self._on_thread(self._access_log.close)),
            PeriodicCall(
                self._reactor,
                _FLUSH_INTERVAL,
                self._process_metrics.flush,
                "the metrics are not updated",
                finally_too=True,
            ),
            PeriodicCall(
                self._reactor,
                _STATE_INTERVAL,
                self._process_metrics.observe,
                "the gauges of this process are not updated",
            ),
            self._telemetry.sending(),
            IdleTrim(self._reactor, lambda: self._server.active),
            *(self._prerendering.services() if self._prerendering is not None else ()),
            Drain(self._reactor, self.site, self._settings.grace, self._answer_draining),
            *(self._prerendering.workers() if self._prerendering is not None else ()),
        ):
            self.addService(service)

    def _on_thread(self, work: Callable[[], None]) -> Callable[[], Deferred[None]]:
        """Has *work* wait on a thread; the reactor goes on meanwhile."""
        return lambda: deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _make_fast_lane(self) -> FastLane | None:
        """The fast lane, where there is a memory tier."""
        tier = self._cache.memory if self._cache is not None else None
        if tier is None:
            return None
        chosen = FastLaneSettings(
            self._gate.expected,
            self._clients,
            logged=self._access_log.enabled,
            counts_targets=bool(self._telemetry.hit_observers),
        )
        sampling = self._telemetry.hit_sampling
        if sampling is not None:
            return SampledFastLane(tier, chosen, self._reactor.seconds, sampling=sampling)
        return FastLane(tier, chosen, self._reactor.seconds)

    @property
    def maker(self) -> RenditionMaker:
        """Makes images that nobody has asked for yet."""
        from imgforge.service.prerendering import RenditionMaker

        return RenditionMaker(
            self._pipeline, self._parser, negotiation(self._settings), self._key, self._telemetry.observers
        )

    def _make_prerendering(self) -> Prerendering:
        from imgforge.service.prerendering import Prerendering

        counts = PrerenderMetrics(self._metrics.registry, self._settings.prometheus_namespace)
        return Prerendering(self._reactor, self._settings, self.maker, lambda: self._server.active, counts)

    def _limit_of_all(self) -> RateLimit:
        """The rate limit of all clients together, by which the worker of the queue learns of their work."""
        make = RateLimit if self._prerendering is None else self._prerendering.limit
        return make(self._settings.rate_limit_per_minute / self._processes, self._reactor.seconds)

    def _make_server(self) -> Server:
        settings, reactor = self._settings, self._reactor
        metrics: Endpoint = MetricsEndpoint(reactor, self._gate, self._metrics, lambda: self._process_metrics.refresh())
        if settings.metrics_listeners:  # so that the public does not read them
            metrics = missing_endpoint("this listener has no /metrics")
        rates = Rates(
            self._clients,
            ClientRates(settings.rate_limit_per_client_per_minute / self._processes, reactor.seconds),
            self._limit_of_all(),
        )
        services = ImageServices(
            clock=reactor,
            gate=self._gate,
            parser=self._parser,
            pipeline=self._pipeline,
            rates=rates,
            answers=answer_settings(settings),
            passthrough=passthrough(settings),
            negotiation=negotiation(settings),
            key=self._key,
            hints=ClientHints(settings.enable_client_hints, settings.max_result_dimension),
        )
        health_paths = {b"/status", b"/health", settings.health_check_path.encode()} - {b""}
        routes = [
            *(Route(path, path.decode(), self._health, always=True) for path in sorted(health_paths)),
            *self._front_page.routes,
            Route(b"/favicon.ico", "/favicon.ico", missing_endpoint("this server has no icon")),
            Route(b"/metrics", "/metrics", metrics),
            *self._telemetry.routes,
            Route(b"/debug/top", "/debug/top", missing_endpoint("this server has no top tables")),
            *(prerendering_off() if self._prerendering is None else self._prerendering.routes()),
            *image_routes(services, settings.purge_secret),
        ]
        chosen = server_settings(settings, self._clients)
        observers = self._telemetry.observers
        return Server(reactor, routes, self._metrics, self._access_log, chosen, self._fast_lane, observers)

    async def announce_stop(self) -> None:
        """Answer 503 to /status for the shutdown delay, so that load balancers turn away; requests are served."""
        self._answer_draining()
        if self._settings.shutdown_delay:
            await deferLater(self._reactor, self._settings.shutdown_delay)

    def _answer_draining(self) -> None:
        self._health.draining = True
