"""From an original to an entry: its watermarks are got, and a thread makes the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from twisted.logger import Logger

from imgforge import processing
from imgforge.model import CacheEntry, ImageRequest, ProcessingOptions, Rendition, SourceImage
from imgforge.observability import Metrics, Stage, WorkRecord
from imgforge.pipeline.caches import Caches
from imgforge.pipeline.limits.admission import Admission
from imgforge.pipeline.limits.memory_budget import BudgetLease
from imgforge.pipeline.original_fetcher import OriginalFetcher
from imgforge.pipeline.render_threads import IThreadReactor, RenderThreads
from imgforge.processing import Cancellation, PixelBudget, ProcessingSettings

__all__ = ["PipelineSettings", "Renderer"]


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


# The longest source in a log line.
_MOST_SHOWN = 500


class Renderer:
    """Makes renditions; a place in the queue and a thread are taken here."""

    log = Logger()

    def __init__(
        self,
        reactor: IThreadReactor,
        settings: PipelineSettings,
        *,
        store: Caches,
        threads: RenderThreads,
        admission: Admission,
        metrics: Metrics,
        memory: PixelBudget | None = None,
    ) -> None:
        self._memory = memory
        self._reactor = reactor
        self._settings = settings
        self._store = store
        self._threads = threads
        self._admission = admission
        self._metrics = metrics

    async def render(
        self,
        request: ImageRequest,
        accepted: tuple[str, ...],
        original: SourceImage,
        ticket: BudgetLease,
        work: WorkRecord,
    ) -> CacheEntry:
        """The rendition of *original* that *request* asks for, as an entry that is stored now."""
        watermarks = await self._watermarks((request.options, *request.then), ticket, work)
        hinted = {name: value for name, value in request.hints._asdict().items() if value}
        options = replace(request.options, **hinted)

        def render(cancellation: Cancellation) -> tuple[Rendition, str]:
            rendition = processing.process(
                original.body,
                options,
                self._settings.processing,
                then=request.then,
                accepted=accepted,
                watermarks=watermarks,
                cancellation=cancellation,
                memory=self._memory,
            )
            # Hashed on the thread: a large body would hold the reactor up for milliseconds.
            return rendition, blake2b(rendition.body, digest_size=16).hexdigest()

        began = self._reactor.seconds()
        with self._admission.render():
            rendition, etag = await self._threads.run("process", render, request.source, work)
        self._metrics.image_processed(rendition.format, self._reactor.seconds() - began)
        if rendition.truncated:
            self._metrics.truncated_image()
            shown = request.source.partition("?")[0][:_MOST_SHOWN]
            self.log.info("{source} ends too early: it is shown as far as it goes", source=shown)
        return CacheEntry(
            rendition=rendition,
            stored_at=original.stored_at or self._reactor.seconds(),
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

    async def _watermarks(
        self, chain: Sequence[ProcessingOptions], ticket: BudgetLease, work: WorkRecord
    ) -> dict[str, bytes]:
        """The watermarks that the options name, by URL; "" is the operator's own."""
        watermarks = {}
        for options in chain:
            name = options.watermark_url
            if not _shows_image(options) or name in watermarks:
                continue
            if url := self.watermark_url(options):
                got = await self.overlay(self._store.watermark_originals, url, options, ticket, work)
                watermarks[name] = got.body
            elif self._settings.watermark is not None:
                watermarks[name] = self._settings.watermark
        return watermarks

    def watermark_url(self, options: ProcessingOptions) -> str:
        """Where the watermark of *options* has to be fetched; empty where it needs none, or it is the operator's."""
        if not _shows_image(options):
            return ""
        return options.watermark_url or ("" if self._settings.watermark is not None else self._settings.watermark_url)

    async def overlay(
        self, originals: OriginalFetcher, url: str, options: ProcessingOptions, ticket: BudgetLease, work: WorkRecord
    ) -> SourceImage:
        """The image at *url* that goes with a picture, from those *originals*."""
        with work.timed(Stage.FETCH, self._reactor.seconds), self._admission.fetch(url):
            return await originals.get(url, self.limit(options), ticket)

    def limit(self, options: ProcessingOptions) -> int:
        """Bytes that an original for *options* may have; 0 is no limit."""
        own = options.max_src_file_size
        return self._settings.max_src_file_size if own is None else own


def _shows_image(options: ProcessingOptions) -> bool:
    """Whether *options* lay an image over the picture; a text is drawn in place of one."""
    return options.watermark is not None and options.watermark.opacity > 0 and not options.watermark_text
