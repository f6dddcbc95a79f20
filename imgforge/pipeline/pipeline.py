"""One request's way: cache, single flight, fetch, admission, render, store.

image ── fresh ────────────────────────────────────────────────────────────────────────────> CachedResult
   └─ none, or stale ── flight (equal requests join) ── lease (other processes wait)
                          └─ original ─┬─ changed ── render on a thread ───────────────────────────┬─> CachedResult
                                       ├─ unchanged: renewed ──────────────────────────────────────┼─> cache
                                       └─ failed: stale, or a fallback ────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, TypeGuard, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge import processing
from imgforge.cache import URL_BYTES, Kind, entry_key
from imgforge.errors import (
    ImgforgeError,
    OriginFailed,
    OriginTimeout,
    Overloaded,
    Quarantined,
    RequestTimeout,
    SourceMissing,
)
from imgforge.model import ImageRequest, InfoOptions, InfoRequest, ProcessingOptions, SourceHead, SourceImage
from imgforge.observability import Metrics, RequestRecord, Stage, WorkRecord, keeping_request_id, shown_source
from imgforge.pipeline.caches import Caches
from imgforge.pipeline.crash_tracker import Quarantine
from imgforge.pipeline.fallback_images import FallbackImages
from imgforge.pipeline.limits.admission import Admission
from imgforge.pipeline.limits.memory_budget import BudgetLease
from imgforge.pipeline.original_fetcher import Passed, check_format, renewed
from imgforge.pipeline.recorded_coalescing import RecordedCoalescer
from imgforge.pipeline.render_threads import IThreadReactor, RenderThreads
from imgforge.pipeline.renderer import PipelineSettings, Renderer
from imgforge.pipeline.result_cache import CachedResult, CacheState, ResultCache
from imgforge.pipeline.staleness import validators
from imgforge.sources import Sources

__all__ = ["Pipeline"]

T = TypeVar("T")
Inspected = tuple[dict[str, object], SourceImage]  # what `/info` tells, and the original without its body

# Failures that may pass: a stale rendition is better. What an origin says of a source it means.
_PASSING = (OriginFailed, OriginTimeout, Overloaded, Quarantined, RequestTimeout)


class Pipeline:
    """Turns image requests into cache entries."""

    log = Logger()

    def __init__(
        self,
        reactor: IThreadReactor,
        settings: PipelineSettings,
        *,
        sources: Sources,
        store: Caches,
        threads: RenderThreads,
        admission: Admission,
        metrics: Metrics,
        quarantine: Quarantine | None = None,
        memory: processing.PixelBudget | None = None,
    ) -> None:
        self._memory = memory
        self._reactor = reactor
        self._settings = settings
        self._quarantine = quarantine or Quarantine()
        self._sources = sources
        self._store = store
        self._threads = threads
        self._admission = admission
        self._metrics = metrics
        self._renderer = Renderer(
            reactor, settings, store=store, threads=threads, admission=admission, metrics=metrics, memory=memory
        )
        self._flights: RecordedCoalescer[tuple[bytes, float, ResultCache], CachedResult] = RecordedCoalescer()
        self._fallbacks = FallbackImages(settings, store, self._renderer)
        self._inspections: RecordedCoalescer[tuple[str, InfoOptions, Passed, bool], Inspected] = RecordedCoalescer()

    async def image(
        self,
        request: ImageRequest,
        accepted: tuple[str, ...] = (),
        admit: Callable[[], None] = lambda: None,
        *,
        client: tuple[str | None, ...] = (),
        record: RequestRecord | None = None,
    ) -> CachedResult:
        """The rendition of *request*; *accepted* are the formats that the client takes and the operator offers.

        *client* is what else of the client's own makes an entry of its own. *admit* is called before any work, where no
        cache has the rendition, and may raise. *record* gets the work that the request waits for.
        """
        key = entry_key(request, accepted, self._settings.fingerprint, client)
        shelf = self._shelf_for(request)
        found = await shelf.find(key)
        # What was begun before a purge is for those only who asked before it.
        purged = shelf.purged_at(key, request)

        flight = key, purged, shelf

        def make(work: WorkRecord) -> Deferred[CachedResult]:
            def begin() -> Deferred[CachedResult]:
                making = shelf.once(key, lambda: self._make(shelf, key, request, accepted, found, purged, work))
                return self._bounded(making)

            return self._flights.do(flight, begin)

        if found is not None and (found.state is CacheState.FRESH or shelf.may_be_renewed_later(found)):
            self._metrics.cache_hit(shelf.name, found.tier or "")
            if found.state is CacheState.STALE:
                make(self._flights.record(flight)).addErrback(keeping_request_id(self._not_renewed))
            return found
        if shelf.name:
            self._metrics.cache_miss(shelf.name)
        try:
            if flight not in self._flights:
                self._admission.check(request.source)  # at once: nothing is locked for it, nor paid by the client
        except Overloaded as error:
            return self._stale_or(error, found)
        admit()
        work = self._flights.record(flight)
        if record is not None:
            record.work = work
        try:
            return await make(work)
        except RequestTimeout as error:  # wherever the time went, of which waiting for others may be most
            return self._stale_or(error, found)

    def _shelf_for(self, request: ImageRequest) -> ResultCache:
        """Where the rendition of *request* is kept, if it is."""
        left_out = self._settings.cache_presets_only and not request.presets
        return self._store.nothing if left_out or request.delivery.bypass_cache else self._store.renditions

    async def purge(self, kind: Kind, value: str) -> int:
        """Have all processes forget what matches; how many renditions were removed. See `Cache.purge`."""
        return await self._store.purge(kind, value)

    async def purge_image(self, request: ImageRequest) -> int:
        """Forget the rendition of *request* in all its variants, and its original."""
        url = entry_key(request, (), self._settings.fingerprint)[:URL_BYTES]
        return await self._store.purge("url", url.hex(), request.source)

    async def info(
        self,
        request: InfoRequest,
        record: RequestRecord | None = None,
        heard: Callable[[SourceImage], None] = lambda _: None,
    ) -> dict[str, object]:
        """What is wanted to be known of the request's source, ready for JSON; *record* gets the work for it.

        *heard* is called with what its origin said of it, without the body.
        """
        key = request.source, request.wanted, request.passed, request.delivery.bypass_cache
        work = self._inspections.record(key)
        if record is not None:
            record.work = work
        fields, head = await self._inspections.do(key, lambda: self._bounded(self._inspect(request, work)))
        heard(head)
        return fields

    def stream(
        self, request: ImageRequest, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """The source itself, unread and unchecked (`raw:1`), to the consumer that *started* returns."""
        return self._sources.stream(request.source, {**dict(request.passed), **headers}, started)

    def _bounded(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """*work* under the request timeout; past it libvips is stopped and everybody who waits is told."""

        def late(_: object, timeout: float) -> T:
            raise RequestTimeout(f"the request took longer than {timeout:g} seconds")

        return Deferred.fromCoroutine(work).addTimeout(self._settings.timeout, self._reactor, late)

    async def _make(
        self,
        shelf: ResultCache,
        key: bytes,
        request: ImageRequest,
        accepted: tuple[str, ...],
        stale: CachedResult | None,
        purged: float,
        work: WorkRecord,
    ) -> CachedResult:
        """The rendition, made or, where *stale* turns out to hold still, renewed; else what stands in for it."""
        now = self._reactor.seconds
        with self._store.budget.ticket() as ticket:
            try:
                with work.timed(Stage.FETCH, now):
                    original = await self._original(request, ticket, stale, purged, work)
            except ImgforgeError as error:
                failure = error
            else:
                if original.not_modified and stale is not None:
                    return shelf.renewed(stale, renewed(stale.entry, original, now()))
                return shelf.made(key, await self._renderer.render(request, accepted, original, ticket, work))
        # The ticket is back by now: what stands in needs one of its own.
        return await self._instead(request, accepted, stale, failure, work)

    async def _original(
        self, request: ImageRequest, ticket: BudgetLease, stale: CachedResult | None, purged: float, work: WorkRecord
    ) -> SourceImage:
        """The source; only that it is unchanged, where *stale* depends on nothing else."""
        self._quarantine.check(request.source)
        known: dict[str, str] = {}
        if stale is not None and not any(map(self._renderer.watermark_url, (request.options, *request.then))):
            known = validators(stale.entry)
        spare = stale is not None and self._store.renditions.may_be_served(stale)
        originals, limit = self._store.originals_for(request), self._renderer.limit(request.options)
        with self._admission.fetch(request.source):
            original = await originals.get(
                request.source, limit, ticket, known, spare=spare, since=purged, passed=request.passed
            )
        work.bytes_in = len(original.body)
        if not original.not_modified:
            check_format(original)
        return original

    async def _instead(
        self,
        request: ImageRequest,
        accepted: tuple[str, ...],
        stale: CachedResult | None,
        error: ImgforgeError,
        work: WorkRecord,
    ) -> CachedResult:
        """What is served since the source cannot be had: the stale rendition, or a fallback image; else *error*."""
        if self._stands_in(stale, error):
            return stale
        if stale is not None and isinstance(error, SourceMissing):
            await self._store.renditions.remove(stale.key)
        if error.replaceable:
            for source in self._fallbacks.sources(request):
                try:
                    served = await self._fallbacks.image(replace(request, source=source, passed=()), accepted, work)
                except ImgforgeError as another:
                    self.log.warn("the fallback image cannot be had either: {line}", line=another.logged)
                else:
                    shown = shown_source(request.source)
                    self.log.info("a fallback image stands in for {source}: {line}", source=shown, line=error.logged)
                    return replace(served, failure=error)
        raise error

    def _stale_or(self, error: ImgforgeError, stale: CachedResult | None) -> CachedResult:
        if self._stands_in(stale, error):
            return stale
        raise error

    def _stands_in(self, stale: CachedResult | None, error: ImgforgeError) -> TypeGuard[CachedResult]:
        """Whether *stale* is served in place of what failed with *error*."""
        stands_in = stale is not None and isinstance(error, _PASSING) and self._store.renditions.may_stand_in(stale)
        if stands_in:
            self.log.info("a stale rendition stands in: {line}", line=error.logged)
        return stands_in

    async def _inspect(self, request: InfoRequest, work: WorkRecord) -> Inspected:
        wanted = request.wanted
        self._quarantine.check(request.source)
        limit = self._renderer.limit(ProcessingOptions(max_src_file_size=wanted.max_src_file_size))
        originals = self._store.originals_for(request)
        with self._store.budget.ticket() as ticket:
            with work.timed(Stage.FETCH, self._reactor.seconds), self._admission.fetch(request.source):
                original = await originals.get(request.source, limit, ticket, passed=request.passed)
            work.bytes_in = len(original.body)
            check_format(original)
            with self._admission.render():
                fields = await self._threads.run(
                    "info",
                    lambda cancellation: processing.describe(
                        original.body,
                        wanted,
                        self._settings.processing,
                        content_type=original.content_type,
                        cancellation=cancellation,
                        memory=self._memory,
                    ),
                    request.source,
                    work,
                )
        return fields, replace(original, body=b"")

    def _not_renewed(self, failure: Failure) -> None:
        """A stale rendition was served meanwhile, and is tried again by the next request."""
        if isinstance(failure.value, ImgforgeError):
            self.log.debug("a rendition could not be renewed: {line}", line=failure.value.logged)
        else:
            self.log.failure("a rendition could not be renewed", failure)
