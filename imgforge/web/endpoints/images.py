"""The endpoints of images and of /info."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.web.server import Request

from imgforge.cache import MemoryTier
from imgforge.errors import Expired
from imgforge.model import ImageRequest, InfoRequest, SourceHead, SourceImage
from imgforge.observability import RequestRecord, Stage, shown_source
from imgforge.pipeline import CachedResult, CacheState, Pipeline
from imgforge.urls import UrlParser
from imgforge.web.fast_lane.lane import Offer
from imgforge.web.http.client_hints import ClientHints
from imgforge.web.http.conditions import (
    Conditions,
    conditioned,
    not_modified,
    not_satisfiable,
    precondition_failed,
    precondition_fails,
)
from imgforge.web.http.key_headers import ClientKey
from imgforge.web.http.negotiation import Negotiation
from imgforge.web.http.passthrough import Passthrough
from imgforge.web.http.record import record_of
from imgforge.web.http.request_headers import BearerGate, joined_header
from imgforge.web.http.response import (
    Answer,
    AnswerSettings,
    OriginTerms,
    aging_since,
    cache_headers,
    canonical,
    content_disposition,
    image_answer,
    streamed_cache_control,
)
from imgforge.web.rate_limit import Rates
from imgforge.web.routes import STREAMED, origin_form

__all__ = ["ImageEndpoint", "InfoEndpoint"]

R = TypeVar("R", ImageRequest, InfoRequest)


class _HeadOnly(Exception):
    """The head of a source has told enough: its body is not wanted."""


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


def _admitted(request: Request, parse: Callable[[bytes], R], gate: BearerGate, now: float) -> R:
    """What *parse* reads in the target, once it is known that it may be asked for: signature, token, expiry."""
    asked = parse(origin_form(request.uri))
    record_of(request).source = shown_source(asked.source)
    gate.check(request.getHeader(b"authorization"))
    expires = asked.delivery.expires
    if expires is not None and 0 < expires < now:
        raise Expired("the URL has expired")
    return asked


class ImageEndpoint:
    """`/<signature>/<options>/<source>`: a rendition, or with `raw:1` the source itself."""

    def __init__(
        self,
        clock: IReactorTime,
        gate: BearerGate,
        parser: UrlParser,
        pipeline: Pipeline,
        negotiation: Negotiation,
        rates: Rates,
        settings: AnswerSettings,
        client: ClientKey,
        passthrough: Passthrough,
        hints: ClientHints | None = None,
    ) -> None:
        self._hints = hints or ClientHints()
        self._clock = clock
        self._gate = gate
        self._parser = parser
        self._pipeline = pipeline
        self._negotiation = negotiation
        self._rates = rates
        self._settings = settings
        self._client = client
        self._passthrough = passthrough

    async def __call__(self, request: Request) -> Answer:
        """The signature is checked before anything else is looked at, and nothing is fetched before all is checked."""
        image = _admitted(request, self._parser.parse, self._gate, self._clock.seconds())
        record = record_of(request)
        record.format = image.options.format or ""
        passed, seen = self._passthrough.of(request, image.source)
        image = replace(image, passed=passed)
        if image.delivery.raw:
            self._rates.of(request)()
            if seen:
                request.setHeader(b"Vary", b", ".join(seen))
            return await self._stream(request, image)
        accepted = self._negotiation.accepted(image, _header(request, b"accept"))
        varies = self._negotiation.varies(image)
        hinted = self._hints.of(request, image)
        image = replace(image, hints=hinted.used)
        admit = self._rates.of(request)
        served = await self._pipeline.image(image, accepted, admit, client=self._client.of(request), record=record)
        _note(record, served)
        answer = image_answer(
            served.entry,
            image,
            self._settings,
            now=self._clock.seconds(),
            vary=tuple(dict.fromkeys((*((b"Accept",) if varies else ()), *hinted.vary, *self._client.vary(), *seen))),
            state=cache_status(served),
            key=served.key,
            failure=served.failure,
            timings=record.work.timings(),
        )
        if answer is not (as_wanted := conditioned(answer, _conditions(request), self._clock.seconds())):
            return as_wanted
        in_memory = served.tier == MemoryTier.name and served.state is CacheState.FRESH and served.failure is None
        # The lane looks at the target, the Accept header and client hints only.
        if in_memory and image.delivery.expires is None and not self._client and not self._passthrough:
            since = aging_since(served.entry, self._settings)
            kept = Offer(served.key, served.until, varies, since, hinted.said, record.source, record.format)
            return replace(answer, offer=kept)
        return answer

    async def _stream(self, request: Request, image: ImageRequest) -> Answer:
        conditions = _conditions(request)
        refused: list[Answer] = []
        work, began = record_of(request).work, self._clock.seconds()

        def started(head: SourceHead) -> IConsumer:
            work.add(Stage.FETCH, self._clock.seconds() - began)
            if head.status == 416:
                refused.append(not_satisfiable(head.headers.get("content-range", "").encode("ascii")))
                raise _HeadOnly
            etag, modified = head.headers.get("etag", ""), head.headers.get("last-modified", "")
            if precondition_fails(etag, modified, conditions):
                refused.append(precondition_failed())
                raise _HeadOnly
            self._tell(request, image, head)
            if head.status == 304 or not_modified(etag, modified, conditions):
                request.setResponseCode(304)
                for name in (b"Content-Type", b"Content-Range", b"Content-Disposition"):
                    request.responseHeaders.removeHeader(name)
                raise _HeadOnly
            if head.length is not None:
                request.setHeader(b"Content-Length", b"%d" % head.length)
            if request.method == b"HEAD":
                raise _HeadOnly
            return request

        passed = {"if-none-match": conditions.if_none_match, "if-modified-since": conditions.if_modified_since}
        if conditions.range:
            passed |= {"range": conditions.range, "if-range": conditions.if_range}
        try:
            await self._pipeline.stream(image, {name: value for name, value in passed.items() if value}, started)
        except _HeadOnly:
            if refused:
                return refused[0]
        work.bytes_in = request.sentLength
        return STREAMED

    def _tell(self, request: Request, image: ImageRequest, head: SourceHead) -> None:
        """What there is to say of a source before its bytes."""
        request.setResponseCode(head.status)
        said, now = head.headers.get("cache-control", ""), self._clock.seconds()
        request.setHeader(b"Cache-Control", streamed_cache_control(said, image.delivery, self._settings, now))
        for link in canonical(image, self._settings):
            request.setHeader(*link)
        request.setHeader(b"Content-Security-Policy", b"default-src 'none'; sandbox")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        request.setHeader(b"Content-Disposition", content_disposition(image, "", self._settings.return_attachment))
        own = ("content-type", "etag", "last-modified", "content-range", "accept-ranges")
        for name in (*own, *self._settings.source_headers):
            if name in head.headers:
                request.setHeader(name.encode("ascii"), head.headers[name].encode("latin-1", "replace"))


def _note(record: RequestRecord, served: CachedResult) -> None:
    record.format = served.entry.rendition.format
    if served.failure is not None:
        record.error, record.fallback = served.failure.logged, served.failure.status


def cache_status(served: CachedResult) -> str:
    """RFC 9211: which of our caches had the entry, fresh, stale or renewed, or that it had to be made.

    A fallback image is no hit, whether or not it is at hand.
    """
    if served.failure is not None:
        return "imgforge; fwd=miss; detail=MISS"
    if served.state is CacheState.FRESH:
        return f'imgforge; hit; detail="HIT {served.tier}"'
    if served.state is CacheState.STALE:
        return f'imgforge; hit; detail="HIT {served.tier} stale"'
    if served.state is CacheState.RENEWED:
        return f'imgforge; fwd=stale; fwd-status=304; detail="HIT {served.tier} revalidated"'
    return "imgforge; fwd=miss; detail=MISS"


class InfoEndpoint:
    """`/info/<signature>/<options>/<source>`: what is to be known of the source, as JSON."""

    def __init__(
        self,
        clock: IReactorTime,
        gate: BearerGate,
        parser: UrlParser,
        pipeline: Pipeline,
        rates: Rates,
        settings: AnswerSettings,
        passthrough: Passthrough,
    ) -> None:
        self._clock = clock
        self._gate = gate
        self._parser = parser
        self._pipeline = pipeline
        self._rates = rates
        self._settings = settings
        self._passthrough = passthrough

    async def __call__(self, request: Request) -> Answer:
        """The fields are those that the options want; caches may keep them as they may keep the image."""
        image = _admitted(request, self._parser.parse_info, self._gate, self._clock.seconds())
        self._rates.of(request)()
        passed, seen = self._passthrough.of(request, image.source)
        terms = OriginTerms()

        def heard(head: SourceImage) -> None:
            nonlocal terms
            terms = OriginTerms(head.cache_control, head.expires, head.asked_at)

        told = await self._pipeline.info(replace(image, passed=passed), record_of(request), heard)
        headers = cache_headers(terms, image.delivery, self._settings, self._clock.seconds())
        tags = ",".join(image.delivery.cache_tags).encode("ascii")
        headers += [(name.encode("ascii"), tags) for name in self._settings.cache_tag_headers if tags]
        headers += [(b"Vary", b", ".join(seen))] if seen else []
        return Answer(200, [(b"Content-Type", b"application/json"), *headers], json.dumps(told).encode("ascii"))
