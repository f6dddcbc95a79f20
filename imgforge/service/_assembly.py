"""The composition root: from settings to a running application, every part handed just what it needs."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from imgforge import __version__, processing
from imgforge.cache import Cache, CacheSettings, MemoryTier, fingerprint, make_cache, usable_directory
from imgforge.config import Settings
from imgforge.effects import AutoQuality, Unsharp
from imgforge.observability import AccessLog, Metrics, parse_level_spec
from imgforge.pipeline import Admission, Pipeline, PipelineSettings, RenderThreads
from imgforge.processing import ProcessingSettings
from imgforge.service._samples import SampleFactory
from imgforge.sources import AddressPolicy, Sources, SourceSettings
from imgforge.urls import UrlParser, UrlSettings
from imgforge.web import (
    AnswerSettings,
    BearerGate,
    FastLane,
    HealthEndpoint,
    ImageEndpoint,
    ImageSite,
    InfoEndpoint,
    MetricsEndpoint,
    Negotiation,
    RateLimit,
    Route,
    Server,
    demo_page,
    page_endpoint,
    plain_page,
)

__all__ = ["Application", "check", "summary", "threads_per_process", "url_settings"]

_IMAGES = "/{*path}"  # the route of images in the metrics
_FLUSH_INTERVAL = 0.25
_POLL_INTERVAL = 0.02
_TAG_HEADERS = {
    "all": ("Cache-Tag", "X-Amz-Meta-Cache-Tag"),
    "cloudflare": ("Cache-Tag",),
    "cloudfront": ("X-Amz-Meta-Cache-Tag",),
    "none": (),
}


def url_settings(settings: Settings) -> UrlSettings:
    """The rules for URLs."""
    return UrlSettings(
        keys=tuple(zip(settings.key, settings.salt, strict=True)),
        signature_size=settings.signature_size,
        trusted_signatures=settings.trusted_signatures,
        allow_unsigned=settings.unsigned_allowed,
        path_prefix=settings.path_prefix,
        arguments_separator=settings.arguments_separator,
        presets=settings.presets,
        info_presets=settings.info_presets,
        only_presets=settings.only_presets,
        allow_security_options=settings.allow_security_options,
        allowed_processing_options=frozenset(settings.allowed_processing_options),
        base_url=settings.base_url,
        url_replacements=settings.url_replacements,
        base64_url_includes_filename=settings.base64_url_includes_filename,
        encryption_key=settings.source_url_encryption_key[0] if settings.source_url_encryption_key else b"",
    )


def source_settings(settings: Settings) -> SourceSettings:
    """The rules for originals."""
    return SourceSettings(
        download_timeout=settings.download_timeout,
        max_redirects=settings.max_redirects,
        user_agent=settings.user_agent.replace("%current_version", __version__),
        keep_alive_timeout=settings.client_keep_alive_timeout,
        ignore_ssl_verification=settings.ignore_ssl_verification,
        ca_file=settings.ca_file,
        addresses=AddressPolicy(
            allow_loopback=settings.allow_loopback_source_addresses,
            allow_link_local=settings.allow_link_local_source_addresses,
            allow_private=settings.allow_private_source_addresses,
        ),
        allowed_sources=settings.allowed_sources,
        local_filesystem_root=settings.local_filesystem_root,
    )


def processing_settings(settings: Settings) -> ProcessingSettings:
    """The defaults and limits of results: every field is the setting of its name, but for two records."""
    records: dict[str, Any] = {
        "autoquality": AutoQuality(
            settings.autoquality_method,
            settings.autoquality_target,
            settings.autoquality_min,
            settings.autoquality_max,
            settings.autoquality_allowed_error,
        ),
        "unsharp_masking": Unsharp(
            settings.unsharp_masking_mode, settings.unsharp_masking_weight, settings.unsharp_masking_divider
        ),
    }
    names = ProcessingSettings.__dataclass_fields__.keys() - records.keys()
    return ProcessingSettings(**{name: getattr(settings, name) for name in names}, **records)


def answer_settings(settings: Settings) -> AnswerSettings:
    """What answers say."""
    return AnswerSettings(
        ttl=settings.ttl,
        cache_control_passthrough=settings.cache_control_passthrough,
        use_etag=settings.use_etag,
        etag_buster=settings.etag_buster,
        use_last_modified=settings.use_last_modified,
        set_canonical_header=settings.set_canonical_header,
        return_attachment=settings.return_attachment,
        debug_headers=settings.enable_debug_headers,
        fallback_status=settings.fallback_image_http_code,
        fallback_ttl=settings.fallback_image_ttl,
        cache_tag_headers=_TAG_HEADERS[settings.cache_tags_format],
    )


def negotiation(settings: Settings) -> Negotiation:
    """Which formats are negotiated."""
    names = ("webp", "avif", "jxl")
    return Negotiation(
        auto=frozenset(name for name in names if getattr(settings, f"auto_{name}")),
        enforced=frozenset(name for name in names if getattr(settings, f"enforce_{name}")),
    )


def cache_settings(settings: Settings) -> CacheSettings:
    """What is kept; without a usable directory the memory alone."""
    kind, path = settings.cache
    return CacheSettings(
        type=kind,
        memory_max_bytes=settings.cache_memory_max_bytes,
        memory_capacity=settings.cache_memory_capacity,
        disk_path=path,
        disk_max_bytes=settings.cache_disk_max_bytes,
        disk_capacity=settings.cache_disk_capacity,
        ttl=settings.cache_ttl,
    )


def _operators_image(settings: Settings, name: str) -> bytes | None:
    """The image that the settings *name*_data or *name*_path hold."""
    data: bytes = getattr(settings, f"{name}_data")
    path: str = getattr(settings, f"{name}_path")
    return data or (Path(path).read_bytes() if path else None)


def check(settings: Settings) -> None:
    """Raise `ValueError` for what only the parts themselves can judge: presets, option names, files, log levels."""
    UrlParser(url_settings(settings))
    parse_level_spec(settings.log_level)
    for name in ("watermark_path", "fallback_image_path", "ca_file"):
        path = getattr(settings, name)
        if path and not os.access(path, os.R_OK):
            raise ValueError(f"IMGFORGE_{name.upper()}={path!r} must name a readable file")
    if settings.local_filesystem_root and not Path(settings.local_filesystem_root).is_dir():
        raise ValueError(f"IMGFORGE_LOCAL_FILESYSTEM_ROOT={settings.local_filesystem_root!r} must name a directory")


class Application:
    """One of *processes* processes' share of the server: *threads* image threads, and all that leads to them."""

    log = Logger()

    def __init__(self, reactor: Any, settings: Settings, metrics: Metrics, *, threads: int, processes: int = 1) -> None:
        processing.configure()
        self._reactor = reactor
        self._settings = settings
        self._metrics = metrics
        self._processes = processes
        results = processing_settings(settings)
        self._sources = Sources(reactor, source_settings(settings), [SampleFactory()] if settings.embedded else [])
        self._cache: Cache | None = make_cache(reactor, cache_settings(settings), metrics.cache_fault)
        self._threads = RenderThreads(reactor, threads, metrics)
        watermark = _operators_image(settings, "watermark")
        self._pipeline = Pipeline(
            reactor,
            PipelineSettings(
                timeout=settings.timeout,
                max_src_file_size=settings.max_src_file_size,
                processing=results,
                fingerprint=fingerprint(__version__, processing.capabilities().version, results, watermark),
                watermark=watermark,
                watermark_url=settings.watermark_url,
                fallback=_operators_image(settings, "fallback_image"),
                fallback_url=settings.fallback_image_url,
            ),
            sources=self._sources,
            cache=self._cache,
            threads=self._threads,
            admission=Admission(threads, settings.requests_queue_size),
            metrics=metrics,
        )
        self._lane = self._make_lane()
        self._health = HealthEndpoint()
        self._server = self._make_server()
        self.factory = ImageSite(
            self._server,
            reactor,
            keep_alive=settings.keep_alive_timeout,
            read_timeout=settings.read_request_timeout,
            lane=self._lane,
            max_clients=math.ceil(settings.max_clients / processes),
        )
        self._flushing = LoopingCall(self._flush)
        self._flushing.clock = reactor
        metrics.concurrency_limit(threads)

    def _make_lane(self) -> FastLane | None:
        """The fast lane, where there is a memory tier; an access log wants every request the normal way."""
        tiers = self._cache.tiers if self._cache is not None else ()
        if self._settings.access_log != "off" or not tiers or not isinstance(tiers[0], MemoryTier):
            return None
        return FastLane(tiers[0], BearerGate(self._settings.secret).expected, self._reactor.seconds)

    def _flush(self) -> None:
        """Hand what was counted to the metrics."""
        if self._lane is not None and self._cache is not None:
            for (method, status), (count, seconds) in self._lane.take_answered().items():
                self._metrics.answered_many(method, _IMAGES, status, int(count), seconds, self._cache.name)
        self._metrics.flush()

    def _make_server(self) -> Server:
        settings, reactor = self._settings, self._reactor
        gate = BearerGate(settings.secret)
        parser = UrlParser(url_settings(settings))
        page = demo_page() if settings.embedded else plain_page(__version__)
        metrics = MetricsEndpoint(gate, self._metrics, self._refresh_metrics)
        images = ImageEndpoint(reactor, gate, parser, self._pipeline, negotiation(settings), answer_settings(settings))
        info = InfoEndpoint(reactor, gate, parser, self._pipeline, _TAG_HEADERS[settings.cache_tags_format])
        health_paths = {b"/status", b"/health", settings.health_check_path.encode()} - {b""}
        routes = [
            *(Route(path, path.decode(), self._health) for path in sorted(health_paths)),
            Route(b"/", "/", page_endpoint(page)),
            Route(b"", "/", page_endpoint(page)),
            Route(b"/metrics", "/metrics", metrics),
            Route(b"/info/", "/info/{*path}", info, prefix=True, limited=True),
            Route(b"", _IMAGES, images, prefix=True, limited=True),
        ]
        headers = []
        if settings.server_name:
            headers.append((b"Server", settings.server_name.encode("ascii")))
        if settings.allow_origin:
            headers.append((b"Access-Control-Allow-Origin", settings.allow_origin.encode("ascii")))
        access_log = AccessLog(sys.stdout, settings.access_log)
        prefix = settings.path_prefix.rstrip("/").encode()
        rate = RateLimit(settings.rate_limit_per_minute / self._processes, reactor.seconds)
        return Server(reactor, routes, self._metrics, access_log, headers, prefix, self._lane, rate)

    def _refresh_metrics(self) -> None:
        self._flush()
        self._metrics.update_vips(processing.usage())

    def start(self) -> None:
        """Start the threads and what runs in the background."""
        self._threads.start()
        if self._cache is not None:
            self._cache.start()
        self._flushing.start(_FLUSH_INTERVAL, now=False)

    async def stop(self, grace: float) -> None:
        """Finish the requests under way, within *grace* seconds, and close everything; nothing new arrives by now."""
        self._health.draining = True
        end = self._reactor.seconds() + grace
        self.factory.close_idle()
        while (self._server.active or self.factory.connections) and self._reactor.seconds() < end:
            await deferLater(self._reactor, _POLL_INTERVAL)
            if not self._server.active:
                self.factory.close_idle()
        if self._server.active:
            self.log.warn("{count} requests were not finished in time", count=self._server.active)
        if self._flushing.running:
            self._flushing.stop()
        self._flush()
        await self._sources.close()
        if self._cache is not None:
            await self._cache.close()
        # The threads come back when libvips does; the reactor goes on meanwhile.
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._threads.stop)

    async def announce_stop(self, delay: float) -> None:
        """Have /status answer 503 for *delay* seconds, so that load balancers turn away, while requests are taken."""
        self._health.draining = True
        if delay:
            await deferLater(self._reactor, delay)


def summary(settings: Settings, processes: int, threads: int) -> list[str]:
    """What the operator is told at the start."""
    able = processing.capabilities()
    kind, path = settings.cache
    cache = f"{kind} ({path})" if path else kind or "none"
    lines = [
        f"imgforge {__version__} with libvips {able.version}",
        f"reads {', '.join(able.loads)}; writes {', '.join(able.saves)}",
        f"listening on {', '.join(str(one) for one in settings.listeners)}",
        f"{processes} process{'es' if processes > 1 else ''} with {threads} image threads each",
        f"cache: {cache}",
    ]
    if settings.metrics_listeners:
        lines.append(f"metrics on {', '.join(str(one) for one in settings.metrics_listeners)}")
    if path and not usable_directory(path):
        lines.append(f"the cache directory {path} cannot be written: images are served as if uncached")
    return lines


def threads_per_process(workers: int, processes: int, cpus: int) -> int:
    """How many image threads each process has: *workers* of them together, 0 is two per CPU."""
    return max(1, math.ceil((workers or 2 * cpus) / processes))
