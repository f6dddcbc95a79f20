"""Makes a cache entry of an original: fetches its watermarks, and renders it on a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imgforge import processing
from imgforge.model import CacheEntry, ImageRequest, InfoRequest, ProcessingOptions, Rendition, SourceImage
from imgforge.observability import Stage, WorkRecord, shown_source
from imgforge.pipeline.limits import BudgetLease
from imgforge.pipeline.original_fetcher import OriginalFetcher, OriginalRequest
from imgforge.pipeline.parts import PipelineParts, PipelineSettings
from imgforge.processing import Cancellation

__all__ = ["Renderer", "entry_of", "shows_watermark_image"]


class Renderer:
    """Makes renditions on a render thread, within the render queue's limit."""

    log = Logger()

    def __init__(self, clock: IReactorTime, settings: PipelineSettings, parts: PipelineParts) -> None:
        self._clock = clock
        self._settings = settings
        self._caches = parts.caches
        self._threads = parts.threads
        self._admission = parts.admission
        self._metrics = parts.metrics
        self._pixel_budget = parts.pixel_budget

    async def render(
        self,
        request: ImageRequest,
        accepted: tuple[str, ...],
        original: SourceImage,
        lease: BudgetLease,
        work: WorkRecord,
    ) -> CacheEntry:
        """The entry for *request*, rendered from *original*; *lease* holds the bytes of its watermarks too."""
        watermarks = await self._watermarks((request.options, *request.chained), lease, work)
        hinted = {name: value for name, value in request.hints._asdict().items() if value}
        options = replace(request.options, **hinted) if hinted else request.options

        def render(cancellation: Cancellation) -> tuple[Rendition, str]:
            rendition = processing.process(
                original.body,
                options,
                self._settings.processing,
                chained=request.chained,
                accepted=accepted,
                watermarks=watermarks,
                cancellation=cancellation,
                pixel_budget=self._pixel_budget,
                encoding=lambda: work.timed("encode", self._clock.seconds),
            )
            # Hashed on the thread: a large body would block the reactor for milliseconds.
            return rendition, blake2b(rendition.body, digest_size=16).hexdigest()

        began = self._clock.seconds()
        seconds = processing.estimated_seconds(
            len(original.body), options, self._settings.processing, chained=request.chained, accepted=accepted
        )
        with self._admission.render():
            rendition, etag = await self._threads.run("process", render, request.source, work, seconds)
        self._metrics.image_processed(rendition.format, self._clock.seconds() - began)
        if rendition.truncated:
            self._metrics.truncated_image()
            shown = shown_source(request.source)
            self.log.info("{source} ends too early: it is shown as far as it goes", source=shown)
        return entry_of(rendition, etag, request, original, self._clock.seconds())

    async def _watermarks(
        self, chain: Sequence[ProcessingOptions], lease: BudgetLease, work: WorkRecord
    ) -> dict[str, bytes]:
        """The watermarks that the options name, by URL; "" is the operator's own."""
        watermarks = {}
        for options in chain:
            name = options.watermark_url
            if not shows_watermark_image(options) or name in watermarks:
                continue
            if url := self.watermark_url(options):
                original = await self.fetch_overlay(self._caches.watermark_originals, url, options, lease, work)
                watermarks[name] = original.body
            elif self._settings.watermark is not None:
                watermarks[name] = self._settings.watermark
        return watermarks

    def watermark_url(self, options: ProcessingOptions) -> str:
        """The URL from which the watermark of *options* is fetched; empty without one, or for the operator's own."""
        if not shows_watermark_image(options):
            return ""
        return options.watermark_url or ("" if self._settings.watermark is not None else self._settings.watermark_url)

    async def fetch_overlay(
        self, fetcher: OriginalFetcher, url: str, options: ProcessingOptions, lease: BudgetLease, work: WorkRecord
    ) -> SourceImage:
        """The watermark or fallback image at *url*, by *fetcher*."""
        with work.timed(Stage.FETCH, self._clock.seconds), self._admission.fetch(url):
            wanted = OriginalRequest(url, self.limit(options.max_src_file_size))
            return await fetcher.get(wanted, lease, work=work)

    def limit(self, limit: int | None) -> int:
        """The maximum bytes of an original whose URL sets *limit*, or None; 0 is no limit."""
        return self._settings.max_src_file_size if limit is None else limit


def shows_watermark_image(options: ProcessingOptions) -> bool:
    """Whether *options* lay an image over the picture; a watermark text replaces the image."""
    return options.watermark is not None and options.watermark.opacity > 0 and not options.watermark_text


def entry_of(
    rendition: Rendition, etag: str, request: ImageRequest | InfoRequest, original: SourceImage, now: float
) -> CacheEntry:
    """The entry of the *rendition* that was made of *original* for *request*, *now* unless the original is older."""
    return CacheEntry(
        rendition=rendition,
        stored_at=original.stored_at or now,
        etag=etag,
        source=request.source,
        source_etag=original.etag,
        source_last_modified=original.last_modified,
        source_cache_control=original.cache_control,
        source_expires=original.expires,
        tags=request.delivery.cache_tags,
        asked_at=original.asked_at,
        source_headers=original.headers,
    )
