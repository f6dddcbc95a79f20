"""What is served in place of a result that could not be made: the stale one, or a fallback image."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import Logger

from imgforge.errors import (
    DecoderLost,
    ImgforgeError,
    OriginFailed,
    OriginTimeout,
    Overloaded,
    Quarantined,
    RequestTimeout,
    SourceMissing,
)
from imgforge.model import ImageRequest
from imgforge.observability import WorkRecord, shown_source
from imgforge.pipeline.fallback_images import FallbackImages
from imgforge.pipeline.result_cache import CachedResult, ResultCache
from imgforge.pipeline.wanted_result import WantedResult

__all__ = ["ResultsOnError"]

# Failures that may pass: a stale result is better. An origin's 404 is final.
_TRANSIENT = (DecoderLost, OriginFailed, OriginTimeout, Overloaded, Quarantined, RequestTimeout)


class ResultsOnError:
    """Stale results, as the rules of *results* allow, and then *fallbacks*."""

    log = Logger()

    def __init__(self, results: ResultCache, fallbacks: FallbackImages) -> None:
        self._results = results
        self._fallbacks = fallbacks

    async def result(self, wanted: WantedResult, error: ImgforgeError, work: WorkRecord) -> CachedResult:
        """The stale result or a fallback image, since the source failed with *error*; else raises that."""
        stale = self._served(wanted.stale, error)
        if stale is not None:
            return stale
        if wanted.stale is not None and isinstance(error, SourceMissing):
            await wanted.results.remove(wanted.stale.key)
        request = wanted.request
        if error.replaceable and isinstance(request, ImageRequest):
            for source in self._fallbacks.sources(request):
                fallback = replace(request, source=source, passed=())
                try:
                    result = await self._fallbacks.image(fallback, wanted.accepted, work)
                except ImgforgeError as second_error:
                    self.log.warn("the fallback image failed too: {line}", line=second_error.logged)
                else:
                    shown = shown_source(request.source)
                    self.log.info("served a fallback image for {source}: {line}", source=shown, line=error.logged)
                    return replace(result, failure=error)
        raise error

    def stale_or_raise(self, error: ImgforgeError, stale: CachedResult | None) -> CachedResult:
        """The *stale* result, since the work was refused or took too long; else raises *error*."""
        served = self._served(stale, error)
        if served is None:
            raise error
        return served

    def _served(self, stale: CachedResult | None, error: ImgforgeError) -> CachedResult | None:
        """*stale* in place of what failed with *error*, told in the log; None where it may not be served."""
        if stale is None or not isinstance(error, _TRANSIENT) or not self._results.may_be_served_on_error(stale):
            return None
        if self._results.may_be_served_while_revalidated(stale):  # in the background: clients had it before the failure
            self.log.debug("a stale result could not be revalidated: {line}", line=error.logged)
        else:
            self.log.info("served a stale result: {line}", line=error.logged)
        return stale
