"""One request's way: result cache, coalescing, fetch, render, store; for facts about an image as for the image.

image ── fresh in the cache ──────────────────────────────────────────────────────────────────────> CachedResult
   └─ missing or stale ── admission ── coalesce (equal requests wait) ── lease (other processes wait)
        └─ fetch the original ─┬─ changed ── render or describe on a thread ── store ──────────────> CachedResult
                               ├─ not modified ── renew the stale entry ── store ──────────────────> CachedResult
                               └─ failed ── the stale entry, or a fallback image ──────────────────> CachedResult
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache import URL_BYTES, PurgeKind, entry_key, info_key
from imgforge.errors import ImgforgeError, OriginFailed, Overloaded, RequestTimeout
from imgforge.model import CacheEntry, ImageRequest, InfoRequest, SourceHead, SourceImage
from imgforge.observability import RequestRecord, Stage, WorkRecord, keeping_request_id
from imgforge.pipeline.cached_originals import renewed
from imgforge.pipeline.fallback_images import FallbackImages
from imgforge.pipeline.inspector import Inspection, Inspector
from imgforge.pipeline.limits import BudgetLease
from imgforge.pipeline.original_fetcher import OriginalRequest, check_format
from imgforge.pipeline.parts import PipelineParts, PipelineSettings
from imgforge.pipeline.renderer import Renderer
from imgforge.pipeline.result_cache import CachedResult, CacheState, ResultCache
from imgforge.pipeline.results_on_error import ResultsOnError
from imgforge.pipeline.staleness import validators
from imgforge.pipeline.stateful_coalescing import StatefulCoalescer
from imgforge.pipeline.wanted_result import WantedResult

__all__ = ["Pipeline"]

T = TypeVar("T")


class Pipeline:
    """Turns image requests into results."""

    log = Logger()

    def __init__(self, clock: IReactorTime, settings: PipelineSettings, parts: PipelineParts) -> None:
        self._clock = clock
        self._settings = settings
        self._sources = parts.sources
        self._caches = parts.caches
        self._admission = parts.admission
        self._metrics = parts.metrics
        self._quarantine = parts.quarantine
        self._renderer = Renderer(clock, settings, parts)
        self._inspector = Inspector(clock, settings, parts, self._renderer)
        self._on_error = ResultsOnError(parts.caches.results, FallbackImages(settings, parts.caches, self._renderer))
        self._renders: StatefulCoalescer[tuple[bytes, str, float, ResultCache], CachedResult, WorkRecord] = (
            StatefulCoalescer(WorkRecord)
        )

    async def image(
        self,
        request: ImageRequest,
        accepted: tuple[str, ...] = (),
        take_token: Callable[[], None] = lambda: None,
        *,
        client: tuple[str | None, ...] = (),
        record: RequestRecord | None = None,
    ) -> CachedResult:
        """The result of *request*; *accepted* are the formats that the client takes and the operator offers.

        *client* are the client's headers and cookies that vary the cache key. *take_token* is called on a cache miss,
        before any work, and may raise. *record* gets the work that the request waits for.
        """
        return await self._cached_or_made(request, self._key(request, accepted, client), accepted, take_token, record)

    async def info(
        self,
        request: InfoRequest,
        take_token: Callable[[], None] = lambda: None,
        *,
        client: tuple[str | None, ...] = (),
        record: RequestRecord | None = None,
    ) -> CachedResult:
        """The facts that *request* asks for of its source, as JSON; arguments as for `image`."""
        return await self._cached_or_made(request, self._key(request, client=client), (), take_token, record)

    async def cached(
        self,
        request: ImageRequest | InfoRequest,
        accepted: tuple[str, ...] = (),
        *,
        client: tuple[str | None, ...] = (),
    ) -> CachedResult:
        """The result of *request* if the cache has it, arguments as for `image`; nothing is made: `NotCached` else."""
        return await self._results_for(request).servable(self._key(request, accepted, client))

    def _key(
        self, request: ImageRequest | InfoRequest, accepted: tuple[str, ...] = (), client: tuple[str | None, ...] = ()
    ) -> bytes:
        fingerprint = self._settings.fingerprint
        if isinstance(request, InfoRequest):
            return info_key(request, fingerprint, client)
        return entry_key(request, accepted, fingerprint, client)

    async def _cached_or_made(
        self,
        request: ImageRequest | InfoRequest,
        key: bytes,
        accepted: tuple[str, ...],
        take_token: Callable[[], None],
        record: RequestRecord | None,
    ) -> CachedResult:
        results = self._results_for(request)
        record = record if record is not None else RequestRecord()
        with record.work.timed("cache", self._clock.seconds, cache=results.name) as look_up:
            cached = await results.find(key)
            look_up["hit"] = cached is not None
            if cached is not None:
                look_up |= {"tier": cached.tier or "", "state": cached.state.value}
        wanted = WantedResult(request, accepted, results, key, cached, results.purged_at(key, request))
        if cached is not None and (cached.state is CacheState.FRESH or results.may_be_served_while_revalidated(cached)):
            self._metrics.cache_hit(results.name, cached.tier or "")
            if cached.state is CacheState.STALE:
                revalidation = self._make_once(wanted, self._renders.state(wanted.coalescing_key))
                revalidation.addErrback(keeping_request_id(self._log_failed_revalidation))
            return cached
        if results.name:
            self._metrics.cache_miss(results.name)
        try:
            if wanted.coalescing_key not in self._renders:
                self._admission.check(request.source)  # first: a refusal takes no lock, and costs the client no rate
        except Overloaded as error:
            return self._on_error.stale_or_raise(error, cached)
        take_token()
        work = record.join(self._renders.state(wanted.coalescing_key))
        try:
            return await self._make_once(wanted, work)
        except RequestTimeout as error:  # also where most of the time went into waiting for others
            return self._on_error.stale_or_raise(error, cached)

    def _results_for(self, request: ImageRequest | InfoRequest) -> ResultCache:
        """The cache for the result of *request*."""
        excluded = self._settings.cache_presets_only and not request.presets
        return self._caches.uncached_results if excluded or request.delivery.bypass_cache else self._caches.results

    async def written(self, result: CachedResult) -> None:
        """Returns when *result* is in the cache, if it is to be there; clients get it before that."""
        await self._caches.results.written(result.key)

    async def purge(self, kind: PurgeKind, value: str) -> int:
        """Remove the matching results in all processes; returns how many were removed. See `Cache.purge`."""
        return await self._caches.purge(kind, value)

    async def purge_image(self, request: ImageRequest | InfoRequest) -> int:
        """Remove the result of *request* in all its variants, and its original."""
        return await self._caches.purge("url", self._key(request)[:URL_BYTES].hex(), request.source)

    def stream(
        self,
        request: ImageRequest,
        headers: Mapping[str, str],
        started: Callable[[SourceHead], IConsumer],
        propagated: Iterable[tuple[str, str]] = (),
    ) -> Deferred[None]:
        """Send the source itself, unread and unchecked (`raw:1`), to the consumer that *started* returns.

        *propagated* are headers by which the origin's trace joins the request's.
        """
        return self._sources.stream(request.source, {**dict(propagated), **dict(request.passed), **headers}, started)

    def _make_once(self, wanted: WantedResult, work: WorkRecord) -> Deferred[CachedResult]:
        """The result of *wanted*; equal work in this process, and in those that share the disk, are done once."""

        async def once() -> CachedResult:
            begun = False

            def make() -> Awaitable[CachedResult]:
                nonlocal begun
                begun = True
                return self._make(wanted, work)

            try:
                return await wanted.results.make_once(wanted.key, make)
            except ImgforgeError as error:
                if begun:
                    raise
                # Another process failed, for a request that may have had neither a stale result nor a fallback image.
                return await self._on_error.result(wanted, error, work)

        return self._renders.do(wanted.coalescing_key, lambda: self._with_timeout(once()))

    def _with_timeout(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """The outcome of *work*; past the request timeout libvips is stopped, and every waiting request fails."""

        def timed_out(_: object, timeout: float) -> T:
            raise RequestTimeout(f"the request took longer than {timeout:g} seconds")

        return Deferred.fromCoroutine(work).addTimeout(self._settings.timeout, self._clock, timed_out)

    async def _make(self, wanted: WantedResult, work: WorkRecord) -> CachedResult:
        """The result of *wanted*: made, renewed if its original is not modified, or what is served on errors."""
        request = wanted.request
        if isinstance(request, InfoRequest):
            inspection = Inspection(request, self._validators(wanted), wanted.purged_at, wanted.has_stale)
            try:
                return self._stored_or_renewed(wanted, await self._inspector.inspect(inspection, work))
            except ImgforgeError as error:
                return await self._on_error.result(wanted, error, work)
        with self._caches.budget.lease() as lease:
            try:
                with work.timed(Stage.FETCH, self._clock.seconds):
                    original = await self._fetch_original(wanted, lease, work)
            except ImgforgeError as error:
                failure = error
            else:
                if original.not_modified:
                    return self._stored_or_renewed(wanted, original)
                try:
                    entry = await self._renderer.render(request, wanted.accepted, original, lease, work)
                except ImgforgeError as error:
                    return self._on_error.stale_or_raise(error, wanted.stale)
                return wanted.results.store(wanted.key, entry)
        # The lease has ended: a fallback image takes one of its own.
        return await self._on_error.result(wanted, failure, work)

    def _stored_or_renewed(self, wanted: WantedResult, made: CacheEntry | SourceImage) -> CachedResult:
        """The result of the entry that was *made*, or the stale one with the headers of its unmodified original."""
        if isinstance(made, CacheEntry):
            return wanted.results.store(wanted.key, made)
        if wanted.stale is None:  # an origin that answers 304 although it was not asked for that
            raise OriginFailed("the origin answered 304 to a request without conditions")
        return wanted.results.renew(wanted.stale, renewed(wanted.stale.entry, made, self._clock.seconds()))

    def _validators(self, wanted: WantedResult) -> tuple[tuple[str, str], ...]:
        """The headers that ask whether the original has changed, where the stale result depends on nothing else."""
        request, stale = wanted.request, wanted.stale
        if stale is None:
            return ()
        chain = (request.options, *request.chained) if isinstance(request, ImageRequest) else ()
        if any(map(self._renderer.watermark_url, chain)):
            return ()
        return tuple(sorted(validators(stale.entry).items()))

    async def _fetch_original(self, wanted: WantedResult, lease: BudgetLease, work: WorkRecord) -> SourceImage:
        """The original; fetched conditionally where the stale result depends on nothing else."""
        request = wanted.request
        self._quarantine.check(request.source)
        limit = self._renderer.limit(request.options.max_src_file_size)
        asked = OriginalRequest(
            request.source, limit, self._validators(wanted), since=wanted.purged_at, passed=request.passed
        )
        with self._admission.fetch(request.source):
            fetcher = self._caches.originals_for(request)
            original = await fetcher.get(asked, lease, has_stale=wanted.has_stale, work=work)
        work.bytes_in = len(original.body)
        if not original.not_modified:
            check_format(original)
        return original

    def _log_failed_revalidation(self, failure: Failure) -> None:
        """Log it: the client has got the stale result, and the next request for it tries again."""
        if isinstance(failure.value, ImgforgeError):
            self.log.debug("a stale result could not be revalidated: {line}", line=failure.value.logged)
        else:
            self.log.failure(
                "an unexpected error kept a stale result from being revalidated; the next request tries again", failure
            )
