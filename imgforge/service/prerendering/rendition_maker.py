"""Has the pipeline make the images of jobs, as it makes those of requests."""

from __future__ import annotations

import time
from collections.abc import Callable

from imgforge.errors import ImgforgeError
from imgforge.pipeline import Pipeline
from imgforge.queue import JobFailed, RenderJob, request_for
from imgforge.urls import UrlParser
from imgforge.web import ClientKey, Negotiation

__all__ = ["RenditionMaker"]

_AGAIN = frozenset({408, 429})  # besides 5xx


class RenditionMaker:
    """Makes a job's image unless the cache has it; a client without the headers and cookies of *key* would get it."""

    def __init__(
        self,
        pipeline: Pipeline,
        parser: UrlParser,
        negotiation: Negotiation,
        key: ClientKey,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline = pipeline
        self._parser = parser
        self._negotiation = negotiation
        self._clock = clock
        self._client = (None,) * (len(key.headers) + len(key.cookies))

    async def make(self, job: RenderJob) -> None:
        """Return when the image is in the cache. Raises `JobFailed`."""
        try:
            request = request_for(self._parser, job.path)
            request.delivery.check_expiry(self._clock())
            formats = self._negotiation.accepted(request, job.accept)
            result = await self._pipeline.image(request, formats, client=self._client)
        except ImgforgeError as error:
            raise _failed(error) from error
        if result.failure is not None:  # the cache has a fallback image, for seconds
            raise _failed(result.failure)
        await self._pipeline.written(result)


def _failed(error: ImgforgeError) -> JobFailed:
    """Mistakes of the path and of the picture are final; origins and overload may get better."""
    return JobFailed(f"{error.status}: {error.logged}", again=error.status >= 500 or error.status in _AGAIN)
