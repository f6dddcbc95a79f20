"""One request's way: cache, single flight, admission, fetch, render, store.

image ── cache hit ───────────────────────────────────────────────────────> Served
   └─ miss ── flight (equal requests join) ── lease (other processes wait)
                └─ place in the queue ── fetch ── render on a thread ──┬─────> Served
                                                                       └─────> cache
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge import processing
from imgforge.cache import URL_BYTES, Cache, Kind, entry_key
from imgforge.errors import CircuitOpen, ImgforgeError, NotAnImage, RequestTimeout
from imgforge.info import InfoOptions, InfoRequest
from imgforge.model import (
    CacheEntry,
    ImageRequest,
    ProcessingOptions,
    Rendition,
    SourceHead,
    SourceImage,
)
from imgforge.observability import Metrics
from imgforge.pipeline._admission import Admission
from imgforge.pipeline._single_flight import SingleFlight
from imgforge.pipeline._threads import IThreadReactor, RenderThreads
from imgforge.processing import Cancellation, ProcessingSettings
from imgforge.sources import Sources

__all__ = ["Pipeline", "PipelineSettings", "Served"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the way of a request depends on; times in seconds, sizes in bytes, 0 is unlimited for `max_src_file_size`.

    `fingerprint` stands for all settings that change pixels: entries made under another one are not found.
    """

    timeout: float
    max_src_file_size: int
    processing: ProcessingSettings
    fingerprint: bytes
    watermark: bytes | None = None
    watermark_url: str = ""
    fallback: bytes | None = None
    fallback_url: str = ""
    cache_presets_only: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """What an image request ends with.

    `tier` names the cache tier that had it, None where it was made; `key` is what it is kept under, empty where it is
    not; `failure` is why a fallback image stands in for the source.
    """

    entry: CacheEntry
    tier: str | None
    failure: ImgforgeError | None = None
    key: bytes = b""


class Pipeline:
    """Turns image requests into cache entries."""

    log = Logger()

    def __init__(
        self,
        reactor: IThreadReactor,
        settings: PipelineSettings,
        *,
        sources: Sources,
        cache: Cache | None,
        threads: RenderThreads,
        admission: Admission,
        metrics: Metrics,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._sources = sources
        self._cache = cache
        self._threads = threads
        self._admission = admission
        self._metrics = metrics
        self._flights: SingleFlight[tuple[bytes, float], Served] = SingleFlight()
        self._inspections: SingleFlight[tuple[str, InfoOptions], dict[str, object]] = SingleFlight()

    async def image(
        self,
        request: ImageRequest,
        accepted: tuple[str, ...] = (),
        admit: Callable[[], None] = lambda: None,
        *,
        client: tuple[str | None, ...] = (),
    ) -> Served:
        """The rendition of *request*; *accepted* are the formats that the client takes and the operator offers.

        *client* is what else of the client's own makes an entry of its own. *admit* is called before any work, where no
        cache has the rendition, and may raise.
        """
        key = entry_key(request, accepted, self._settings.fingerprint, client)
        cache, purged = self._cache_for(request), 0.0
        if cache is not None:
            found = await cache.get(key)
            if found is not None:
                entry, tier = found
                self._metrics.cache_hit(cache.name)
                return Served(entry, tier, key=key)
            self._metrics.cache_miss(cache.name)
            # What was begun before a purge is for those only who asked before it.
            purged = cache.purged_at(key, request.source, request.delivery.cache_tags)
        admit()
        return await self._flights.do((key, purged), lambda: self._bounded(self._once(key, request, accepted)))

    def _cache_for(self, request: ImageRequest) -> Cache | None:
        """Where the rendition of *request* is kept, if it is."""
        return None if self._settings.cache_presets_only and not request.presets else self._cache

    async def purge(self, kind: Kind, value: str) -> int:
        """Have all processes forget the renditions that match; how many were removed. See `Cache.purge`."""
        return 0 if self._cache is None else await self._cache.purge(kind, value)

    async def purge_image(self, request: ImageRequest) -> int:
        """Forget the rendition of *request* in all its variants."""
        url = entry_key(request, (), self._settings.fingerprint)[:URL_BYTES]
        return await self.purge("url", url.hex())

    async def info(self, request: InfoRequest) -> dict[str, object]:
        """What is wanted to be known of the request's source, ready for JSON."""
        key = request.source, request.wanted
        return await self._inspections.do(key, lambda: self._bounded(self._inspect(request)))

    def stream(
        self, request: ImageRequest, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """The source itself, unread and unchecked (`raw:1`), to the consumer that *started* returns."""
        return self._sources.stream(request.source, headers, started)

    def _bounded(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """*work* under the request timeout; past it libvips is stopped and everybody who waits is told."""

        def late(_: object, timeout: float) -> T:
            raise RequestTimeout(f"the request took longer than {timeout:g} seconds")

        return Deferred.fromCoroutine(work).addTimeout(self._settings.timeout, self._reactor, late)

    async def _once(self, key: bytes, request: ImageRequest, accepted: tuple[str, ...]) -> Served:
        """Made here, or by another process that shares the cache and is at it already."""

        def make() -> Coroutine[Deferred[Any], Any, Served]:
            return self._make(key, request, accepted)

        cache = self._cache_for(request)
        if cache is None:
            return await make()
        return await cache.once(key, make, lambda entry: Served(entry, None, key=key))

    async def _make(self, key: bytes, request: ImageRequest, accepted: tuple[str, ...]) -> Served:
        asked_at = self._reactor.seconds()
        with self._admission.place():
            original, failure = await self._original(request)
            watermarks = await self._watermarks((request.options, *request.then))

            def render(cancellation: Cancellation) -> tuple[Rendition, str]:
                rendition = processing.process(
                    original.body,
                    request.options,
                    self._settings.processing,
                    then=request.then,
                    accepted=accepted,
                    watermarks=watermarks,
                    cancellation=cancellation,
                )
                # Hashed on the thread: a large body would hold the reactor up for milliseconds.
                return rendition, blake2b(rendition.body, digest_size=16).hexdigest()

            began = self._reactor.seconds()
            rendition, etag = await self._threads.run("process", render)
            self._metrics.image_processed(rendition.format, self._reactor.seconds() - began)
        entry = CacheEntry(
            rendition=rendition,
            stored_at=self._reactor.seconds(),
            etag=etag,
            source=request.source,
            source_etag=original.etag,
            source_last_modified=original.last_modified,
            source_cache_control=original.cache_control,
            source_expires=original.expires,
            tags=request.delivery.cache_tags,
            asked_at=original.asked_at or asked_at,
        )
        cache = self._cache_for(request)
        if cache is None or failure is not None:
            return Served(entry, None, failure)
        # Not waited for: a slow disk delays no answer.
        cache.put(key, entry).addErrback(self._store_failed)
        return Served(entry, None, key=key)

    async def _original(self, request: ImageRequest) -> tuple[SourceImage, ImgforgeError | None]:
        """The source, or the fallback image and why it is needed."""
        try:
            original = await self._fetch(request.source, request.options)
            if processing.detect_format(original.body) is None:
                raise NotAnImage("the source is no image of a known format")
        except ImgforgeError as error:
            fallback = await self._fallback(request)
            if fallback is None:
                raise
            self.log.info("a fallback image stands in: {line}", line=error.message)
            return fallback, error
        return original, None

    async def _fallback(self, request: ImageRequest) -> SourceImage | None:
        """The image that the URL or the operator names for sources that cannot be had; None for none."""
        url = request.delivery.fallback_image_url or self._settings.fallback_url
        if url:
            try:
                return await self._fetch(url, request.options)
            except ImgforgeError as error:
                self.log.warn("the fallback image cannot be had either: {line}", line=error.message)
        return None if self._settings.fallback is None else SourceImage(self._settings.fallback)

    async def _inspect(self, request: InfoRequest) -> dict[str, object]:
        wanted = request.wanted
        with self._admission.place():
            original = await self._fetch(request.source, ProcessingOptions(max_src_file_size=wanted.max_src_file_size))
            return await self._threads.run(
                "info",
                lambda cancellation: processing.describe(
                    original.body, wanted, self._settings.processing, cancellation=cancellation
                ),
            )

    async def _watermarks(self, chain: Sequence[ProcessingOptions]) -> dict[str, bytes]:
        """The watermarks that the options name, by URL; "" is the operator's own."""
        watermarks = {}
        for options in chain:
            name = options.watermark_url
            if options.watermark is None or name in watermarks:
                continue
            if name == "" and self._settings.watermark is not None:
                watermarks[name] = self._settings.watermark
            elif url := name or self._settings.watermark_url:
                watermarks[name] = (await self._fetch(url, options)).body
        return watermarks

    async def _fetch(self, source: str, options: ProcessingOptions) -> SourceImage:
        limit = self._settings.max_src_file_size
        if options.max_src_file_size is not None:
            limit = options.max_src_file_size
        began = self._reactor.seconds()
        try:
            original = await self._sources.fetch(source, limit or None, {})
        except ImgforgeError as error:
            self._metrics.source_fetched(self._reactor.seconds() - began, ok=False)
            if isinstance(error, CircuitOpen):
                self._metrics.refused("circuit")
            raise
        self._metrics.source_fetched(self._reactor.seconds() - began, ok=True)
        return original

    def _store_failed(self, failure: Failure) -> None:
        self.log.failure("an entry could not be cached; the answer was sent all the same", failure)
