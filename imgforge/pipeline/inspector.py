"""Makes the answers of `/info`: fetches an original, or its first bytes where these have all fields, and describes it.

fields of the header only? ── yes ── ask for 64 KiB ── header complete? ── yes ── describe
                            └ no ── fetch the whole ──────── no: ask for as much as it takes, then fetch the whole
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from hashlib import blake2b

from twisted.internet.interfaces import IReactorTime

from imgforge import processing
from imgforge.errors import (
    CircuitOpen,
    NotAnImage,
    OriginFailed,
    SourceMissing,
    SourceNotFound,
    SourceTooLarge,
    UnknownScheme,
)
from imgforge.model import CacheEntry, InfoRequest, Rendition, SourceImage
from imgforge.observability import Stage, WorkRecord
from imgforge.pipeline.original_fetcher import OriginalFetcher, OriginalRequest, check_format
from imgforge.pipeline.parts import PipelineParts, PipelineSettings
from imgforge.pipeline.renderer import Renderer, entry_of

__all__ = ["Inspection", "Inspector"]

# Bytes that are asked for one after the other. Profiles, thumbnails and texts rarely take more than the first.
_FIRST_BYTES = (64 << 10, 256 << 10, 1 << 20)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is to be described, and what the caller has of it: fields as in `OriginalRequest` and its fetcher."""

    request: InfoRequest
    validators: tuple[tuple[str, str], ...] = ()
    since: float = -math.inf
    has_stale: bool = False


class Inspector:
    """Describes originals."""

    def __init__(
        self, clock: IReactorTime, settings: PipelineSettings, parts: PipelineParts, renderer: Renderer
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._sources = parts.sources
        self._caches = parts.caches
        self._threads = parts.threads
        self._admission = parts.admission
        self._quarantine = parts.quarantine
        self._pixel_budget = parts.pixel_budget
        self._renderer = renderer

    async def inspect(self, inspection: Inspection, work: WorkRecord) -> CacheEntry | SourceImage:
        """The entry of the answer, in JSON; or the original, where it is not modified."""
        request = inspection.request
        self._quarantine.check(request.source)
        originals = self._caches.originals_for(request)
        limit = self._renderer.limit(request.options.max_src_file_size)
        wanted = OriginalRequest(
            request.source, limit, inspection.validators, since=inspection.since, passed=request.passed
        )
        # Where originals are cached, the whole is: its images are likely to be asked for next.
        whole = originals.stores or originals.is_fetching(wanted)
        if request.options.header_only and not whole and self._sources.gives_parts(request.source):
            inspected = await self._inspect_first_bytes(inspection, wanted, originals, work)
            if inspected is not None:
                return inspected
        return await self._inspect(inspection, wanted, originals, work)

    async def _inspect_first_bytes(
        self, inspection: Inspection, wanted: OriginalRequest, originals: OriginalFetcher, work: WorkRecord
    ) -> CacheEntry | SourceImage | None:
        """The answer, from the first bytes of the source; None where these do not suffice, or the origin has no ranges.

        Whatever fails here is tried with the whole source, so that errors are the same.
        """
        needed = 0
        for size in _FIRST_BYTES:
            if size < needed:
                continue
            try:
                return await self._inspect(inspection, replace(wanted, first=size), originals, work)
            except _HeaderIncomplete as incomplete:
                if incomplete.needed >= incomplete.whole:
                    return None
                needed = incomplete.needed
            except (SourceMissing, UnknownScheme, CircuitOpen):
                raise
            except (OriginFailed, SourceNotFound):
                return None
        return None

    async def _inspect(
        self, inspection: Inspection, wanted: OriginalRequest, originals: OriginalFetcher, work: WorkRecord
    ) -> CacheEntry | SourceImage:
        with self._caches.budget.lease() as lease:
            with work.timed(Stage.FETCH, self._clock.seconds), self._admission.fetch(wanted.source):
                original = await originals.get(wanted, lease, has_stale=inspection.has_stale, work=work)
            work.bytes_in += len(original.body)
            if original.not_modified:
                return original
            if original.whole_size:
                return await self._describe_part(inspection.request, original, work)
            check_format(original)
            return await self._describe(inspection.request, original, work)

    async def _describe_part(self, request: InfoRequest, part: SourceImage, work: WorkRecord) -> CacheEntry:
        needed = processing.header_length(part.body, part.whole_size)
        if needed > len(part.body):
            raise _HeaderIncomplete(needed, part.whole_size)
        try:
            return await self._describe(request, part, work)
        except (NotAnImage, SourceTooLarge):
            raise _HeaderIncomplete(part.whole_size, part.whole_size) from None

    async def _describe(self, request: InfoRequest, original: SourceImage, work: WorkRecord) -> CacheEntry:
        with self._admission.render():
            fields = await self._threads.run(
                "info",
                lambda cancellation: processing.describe(
                    original.body,
                    request.options,
                    self._settings.processing,
                    content_type=original.content_type,
                    cancellation=cancellation,
                    pixel_budget=self._pixel_budget,
                    size=original.whole_size,
                ),
                request.source,
                work,
            )
        body = json.dumps(fields).encode("ascii")
        rendition = Rendition(body, "json", "application/json", source_bytes=len(original.body))
        etag = blake2b(body, digest_size=16).hexdigest()
        return entry_of(rendition, etag, request, original, self._clock.seconds())


class _HeaderIncomplete(Exception):
    """The first bytes of a source do not tell: at least *needed* are, of the *whole* number."""

    def __init__(self, needed: int, whole: int) -> None:
        super().__init__()
        self.needed = needed
        self.whole = whole
