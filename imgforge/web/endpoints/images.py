"""The endpoint of images."""

from __future__ import annotations

import math
from dataclasses import replace

from twisted.internet.interfaces import IConsumer
from twisted.web.server import Request

from imgforge.cache import MemoryTier
from imgforge.errors import NotCached
from imgforge.model import ImageRequest, SourceHead
from imgforge.observability import Stage
from imgforge.pipeline import CachedResult, CacheState
from imgforge.web.endpoints.image_services import ImageServices
from imgforge.web.http import (
    Answer,
    Conditions,
    Offer,
    ServedImage,
    aging_since,
    canonical,
    conditioned,
    confirmed_etag,
    content_disposition,
    image_answer,
    joined_header,
    not_modified,
    not_satisfiable,
    precondition_failed,
    precondition_fails,
    record_of,
    streamed_cache_control,
)
from imgforge.web.routes import STREAMED

__all__ = ["ImageEndpoint", "cache_status", "time_to_live"]


class _HeadOnly(Exception):
    """The head of a source is enough: its body is not sent."""


def _header(request: Request, name: bytes) -> str:
    return joined_header(request, name).decode("latin-1")


def _conditions(request: Request) -> Conditions:
    ranged = request.method == b"GET"  # the only method that ranges are defined for
    return Conditions(
        _header(request, b"if-none-match"),
        _header(request, b"if-modified-since"),
        _header(request, b"if-range") if ranged else "",
        _header(request, b"range") if ranged else "",
        _header(request, b"if-match"),
        _header(request, b"if-unmodified-since"),
    )


class ImageEndpoint:
    """`/<signature>/<options>/<source>`: a rendition, or with `raw:1` the source itself."""

    def __init__(self, services: ImageServices) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Answer:
        """The result may come from a cache, and may be 206, 304, 412 or 416."""
        services = self._services
        image = services.checked(request, services.parser.parse)
        record = record_of(request)
        record.format = image.options.format or ""
        passed, passed_names = services.passthrough.of(request, image.source)
        if passed:
            image = replace(image, passed=passed)
        if image.delivery.raw:
            if record.only_cached:
                raise NotCached("the result is not in the cache")  # no cache has what is streamed
            services.rates.of(request)()
            if passed_names:
                request.setHeader(b"Vary", b", ".join(passed_names))
            before = request.responseHeaders.copy()
            try:
                return await self._stream(request, image)
            except Exception:
                if not request.startedWriting:  # the error has none of the source's headers
                    request.responseHeaders = before
                raise
        formats = services.negotiation.accepted(image, _header(request, b"accept"))
        varies = services.negotiation.varies(image)
        hints = services.hints.of(request, image)
        if any(hints.used):
            image = replace(image, hints=hints.used)
        take_token = services.rates.of(request)
        client = services.key.of(request)
        if record.only_cached:
            result = await services.pipeline.cached(image, formats, client=client)
        else:
            result = await services.pipeline.image(image, formats, take_token, client=client, record=record)
        record.format = result.entry.rendition.format
        if result.failure is not None:
            record.failure, record.error, record.fallback = result.failure, result.failure.logged, result.failure.status
        accept = (b"Accept",) if varies else ()
        lifetime = time_to_live(result, services.clock.seconds()) if record.only_cached else ""
        served = ServedImage(
            result.entry,
            now=services.clock.seconds(),
            cache_status=cache_status(result) + lifetime,
            vary=tuple(dict.fromkeys((*accept, *hints.vary, *services.key.vary(), *passed_names))),
            key=result.key,
            failure=result.failure,
            timings=record.work.timings(),
        )
        whole = image_answer(served, image, services.answers)
        answer = conditioned(whole, _conditions(request), services.clock.seconds())
        # The lifetime is right at this moment, and for those who ask for it.
        if answer is whole and not record.only_cached and self._may_repeat(image, result):
            since = aging_since(result.entry, services.answers)
            offer = Offer(result.key, result.until, varies, since, hints.sent, record.source, record.format)
            return replace(answer, offer=offer)
        return answer

    def _may_repeat(self, image: ImageRequest, result: CachedResult) -> bool:
        """Whether the fast lane may repeat the response: it looks at target, Accept and client hints only."""
        if result.tier != MemoryTier.name or result.state is not CacheState.FRESH or result.failure is not None:
            return False
        return image.delivery.expires is None and not self._services.key and not self._services.passthrough

    async def _stream(self, request: Request, image: ImageRequest) -> Answer:
        conditions = _conditions(request)
        refusals: list[Answer] = []
        clock = self._services.clock
        work, began = record_of(request).work, clock.seconds()
        heads: list[float] = []  # when the head of the source had arrived

        def started(head: SourceHead) -> IConsumer:
            heads.append(clock.seconds())
            work.add(Stage.FETCH, began, heads[0])
            if head.status == 416:
                refusals.append(not_satisfiable(head.headers.get("content-range", "").encode("ascii")))
                raise _HeadOnly
            etag, modified = head.headers.get("etag", ""), head.headers.get("last-modified", "")
            if precondition_fails(etag, modified, conditions):
                refusals.append(precondition_failed())
                raise _HeadOnly
            self._set_source_headers(request, image, head)
            if head.status == 304 or not_modified(etag, modified, conditions):
                request.setResponseCode(304)
                if not etag and confirmed_etag(conditions):  # some stores send none
                    request.setHeader(b"ETag", confirmed_etag(conditions).encode("latin-1", "replace"))
                for name in (b"Content-Type", b"Content-Range", b"Content-Disposition"):
                    request.responseHeaders.removeHeader(name)
                raise _HeadOnly
            if head.length is not None:
                request.setHeader(b"Content-Length", b"%d" % head.length)
            if request.method == b"HEAD":
                raise _HeadOnly
            return request

        forwarded = {"if-none-match": conditions.if_none_match, "if-modified-since": conditions.if_modified_since}
        if conditions.range:
            forwarded |= {"range": conditions.range, "if-range": conditions.if_range}
        headers = {name: value for name, value in forwarded.items() if value}
        try:
            await self._services.pipeline.stream(image, headers, started, record_of(request).propagated)
        except _HeadOnly:
            if refusals:
                return refusals[0]
        work.add("stream", heads[0], clock.seconds())
        work.bytes_in = request.sentLength
        return STREAMED

    def _set_source_headers(self, request: Request, image: ImageRequest, head: SourceHead) -> None:
        """Writes the status and the headers of a source that is streamed, but for its length."""
        settings, now = self._services.answers, self._services.clock.seconds()
        request.setResponseCode(head.status)
        origins = head.headers.get("cache-control", "")
        request.setHeader(b"Cache-Control", streamed_cache_control(origins, image.delivery, settings, now))
        for link in canonical(image, settings):
            request.setHeader(*link)
        request.setHeader(b"Content-Security-Policy", b"default-src 'none'; sandbox")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        request.setHeader(b"Content-Disposition", content_disposition(image, "", settings.return_attachment))
        own = ("content-type", "etag", "last-modified", "content-range", "accept-ranges")
        for name in (*own, *settings.source_headers):
            if name in head.headers:
                request.setHeader(name.encode("ascii"), head.headers[name].encode("latin-1", "replace"))


def cache_status(result: CachedResult) -> str:
    """Cache-Status (RFC 9211): which cache had the entry, fresh, stale or revalidated, or that it was made.

    A fallback image is never a hit, even if it is cached.
    """
    if result.failure is not None:
        return "imgforge; fwd=miss; detail=MISS"
    if result.state is CacheState.FRESH:
        return f'imgforge; hit; detail="HIT {result.tier}"'
    if result.state is CacheState.STALE:
        return f'imgforge; hit; detail="HIT {result.tier} stale"'
    if result.state is CacheState.RENEWED:
        return f'imgforge; fwd=stale; fwd-status=304; detail="HIT {result.tier} revalidated"'
    return "imgforge; fwd=miss; detail=MISS"


def time_to_live(result: CachedResult, now: float) -> str:
    """The parameter of Cache-Status for the seconds that a cached result stays fresh, below 0 for a stale one.

    A request with only-if-cached asks for it; an entry without end has none.
    """
    return f"; ttl={int(result.until - now)}" if math.isfinite(result.until) else ""
