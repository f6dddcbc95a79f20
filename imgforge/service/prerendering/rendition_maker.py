"""Has the pipeline make the images of jobs, as it makes those of requests, and tells telemetry of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError

from imgforge.errors import ImgforgeError
from imgforge.observability import (
    CLIENT_GONE,
    PRERENDER,
    IRequestObserver,
    QueuedJob,
    RequestRecord,
    bind_request,
    shown_source,
    tell_begun,
    tell_ended,
)
from imgforge.pipeline import Pipeline
from imgforge.queue import JobFailed, RenderJob, path_of, request_for
from imgforge.urls import UrlParser
from imgforge.web import ClientKey, Negotiation, cache_status, request_id

__all__ = ["RenditionMaker"]

_AGAIN = frozenset({408, 429})  # besides 5xx


class RenditionMaker:
    """Makes a job's image unless the cache has it; a client without the headers and cookies of *key* would get it.

    *observers* are told of each job.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        parser: UrlParser,
        negotiation: Negotiation,
        key: ClientKey,
        observers: Sequence[IRequestObserver] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline = pipeline
        self._parser = parser
        self._negotiation = negotiation
        self._observers = observers
        self._clock = clock
        self._client = (None,) * (len(key.headers) + len(key.cookies))

    async def make(self, job: RenderJob, traceparent: str = "") -> None:
        """Return when the image is in the cache. Raises `JobFailed`.

        *traceparent* is the trace of the request that queued the job.
        """
        record = RequestRecord(
            request_id(None),
            target=path_of(job.path).encode("utf-8", "replace"),
            route=PRERENDER,
            began=self._clock(),
            job=QueuedJob(job.request, job.tries, traceparent),
        )
        bind_request(record)
        tell_begun(self._observers, record)
        try:
            await self._make(job, record)
            record.status = 200
        except Exception as error:
            _note_failure(record, error)
            if isinstance(error, ImgforgeError):
                raise _failed(error, record.identity) from error
            raise
        finally:
            record.ended = self._clock()
            tell_ended(self._observers, record)
            record.failure = None  # its traceback has the record, and the bytes of originals

    async def _make(self, job: RenderJob, record: RequestRecord) -> None:
        """Make the image of *job*, and note in *record* how."""
        request = request_for(self._parser, job.path)
        record.image, record.source = request, shown_source(request.source)
        record.format = request.options.format or ""
        request.delivery.check_expiry(self._clock())
        formats = self._negotiation.accepted(request, job.accept)
        result = await self._pipeline.image(request, formats, client=self._client, record=record)
        record.cache, record.format = cache_status(result), result.entry.rendition.format
        record.size = len(result.entry.rendition.body)
        if result.failure is not None:  # the cache has a fallback image, for seconds
            record.fallback = result.failure.status
            raise result.failure
        await self._pipeline.written(result)


def _note_failure(record: RequestRecord, error: Exception) -> None:
    record.failure = error
    if isinstance(error, ImgforgeError):
        record.status, record.error = error.status, error.logged
    elif isinstance(error, CancelledError):
        record.status, record.error = CLIENT_GONE, "the job was given back to the queue"
    else:
        record.status, record.error = 500, "internal error"


def _failed(error: ImgforgeError, request_id: str) -> JobFailed:
    """Mistakes of the path and of the picture are final; origins and overload may get better."""
    again = error.status >= 500 or error.status in _AGAIN
    return JobFailed(f"{error.status}: {error.logged}", again=again, request_id=request_id)
