"""From a URL to the response that brings the original: limits, circuit breaker, hedges, corrections and redirects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IResponse

from imgforge.errors import ImgforgeError, OriginFailed, SourceMissing, SourceNotFound, SourceRefused
from imgforge.observability import WorkRecord
from imgforge.sources.allowed_sources import AllowedSources
from imgforge.sources.circuit_breaker import CircuitBreaker
from imgforge.sources.http.body import beginning, collect, discard
from imgforge.sources.http.client import OriginClient
from imgforge.sources.http.connection_limit import ConnectionLimit
from imgforge.sources.http.encoding import is_unreadable
from imgforge.sources.http.hedging import Hedging
from imgforge.sources.http.origin_request import IOriginKind, OriginRequest, Refusal
from imgforge.sources.http.refusal_text import is_text
from imgforge.sources.http.response_headers import joined_headers
from imgforge.sources.http.wire_url import same_origin, target_of_redirect
from imgforge.sources.settings import SourceSettings

__all__ = ["Exchange"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GATEWAY_ERRORS = frozenset({502, 503, 504})  # count as failures of the origin
_TOO_MANY_REQUESTS = 429
_SLOW_DOWN = 503  # a store asks for fewer requests; on the web it may as well be the one page
_MISSING = frozenset({404, 410})
_TRANSIENT = frozenset({408, 425, 429})
# The headers that follow a redirect to another origin, or go to a store: any other could be a credential.
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "if-modified-since", "if-none-match", "if-range", "range"})
_LONGEST_REFUSAL = 64 * 1024  # bytes of an error's body that are read for its cause
# Of a page on the web only this is read: the client of the failed request is waiting, and any origin may be slow.
_BEGINNING = 4096  # bytes
_BEGINNING_SECONDS = 1.0


class Exchange:
    """Gets the responses of one kind of origin."""

    log = Logger()

    def __init__(self, clock: IReactorTime, settings: SourceSettings, client: OriginClient, kind: IOriginKind) -> None:
        self._clock = clock
        self._client = client
        self._kind = kind
        self._throttling = {_TOO_MANY_REQUESTS} if kind.follows_redirects else {_TOO_MANY_REQUESTS, _SLOW_DOWN}
        self._max_redirects = settings.max_redirects
        self._allowed = AllowedSources(settings.allowed_sources)
        self._hedging = Hedging(clock) if settings.hedge and not kind.follows_redirects else None
        # A little less than the deadline, for a request that it cancelled on the second hop.
        self._breaker = CircuitBreaker(
            clock, settings.breaker_failures, settings.breaker_seconds, 0.9 * settings.download_timeout
        )

    async def response(
        self,
        request: OriginRequest,
        wanted: Collection[int],
        limit: ConnectionLimit,
        held: ExitStack,
        work: WorkRecord | None = None,
    ) -> tuple[IResponse, str]:
        """The response for a URL, with one of the *wanted* statuses, and where redirects ended ("" without any).

        *work* gets the second requests to an origin that is late.
        The *request* is as the caller has it; the kind of origin signs it. The place that it has under its origin's
        *limit* is given back when *held* is closed, once the body has been read; here where there is no response.
        """
        try:
            return await self._response(request, wanted, limit, held, work or WorkRecord())
        except BaseException:
            held.close()
            raise

    async def _response(
        self,
        request: OriginRequest,
        wanted: Collection[int],
        limit: ConnectionLimit,
        held: ExitStack,
        work: WorkRecord,
    ) -> tuple[IResponse, str]:
        first = request.url
        if not (self._kind.follows_redirects or _HARMLESS_HEADERS.issuperset(request.headers)):
            request = replace(request, headers=_harmless(request.headers))
        for _ in range(self._max_redirects + 1):
            response = await self._answer(request, wanted, limit, held, work)
            url = request.url
            if response.code in wanted:
                return response, "" if url == first else url.partition("?")[0]
            discard(response)
            held.close()
            location = response.headers.getRawHeaders(b"location")
            if not location:
                raise OriginFailed(f"the origin answered {response.code} without a Location")
            target = target_of_redirect(url, location[0])
            if not self._allowed.allow(target):
                raise SourceRefused("the origin redirects to a source that is not allowed")
            headers = request.headers if same_origin(url, target) else _harmless(request.headers)
            request = replace(request, url=target, headers=headers)
        raise OriginFailed(f"the origin redirects more than {self._max_redirects} times")

    async def _answer(
        self,
        request: OriginRequest,
        wanted: Collection[int],
        limit: ConnectionLimit,
        held: ExitStack,
        work: WorkRecord,
    ) -> IResponse:
        """The response with a wanted status, or a redirect to follow; asks again where the kind learnt from one."""
        corrected = False
        while True:
            sent, response = await self._send(request, limit, held, work)
            if response.code in wanted:
                return _readable(response)
            if self._kind.follows_redirects and response.code in _REDIRECTS:
                return response
            refusal = await self._refusal(sent, response)
            held.close()
            if corrected or not await self._kind.learn_from(request.url, refusal):
                raise self._error(request, refusal)
            corrected = True

    async def _send(
        self, request: OriginRequest, limit: ConnectionLimit, held: ExitStack, work: WorkRecord
    ) -> tuple[OriginRequest, IResponse]:
        """The request as it was sent, and its response; `OriginFailed` for 502, 503 and 504."""
        origin = self._kind.origin_of(request.url)
        self._breaker.check(origin)  # before the wait for a place
        # Signed before the wait as well: requests that wait for credentials hold no place.
        signed = await self._kind.request_for(request.url, request.headers)
        if request.new_connection:
            signed = replace(signed, new_connection=True)
        await limit.acquire(origin, held)
        with self._breaker.watch(origin):
            began = self._clock.seconds()
            response = await self._first_response(origin, signed, work)
            if response.code in self._throttling:
                limit.throttled(origin, began)
            else:
                limit.answered(origin)
            if response.code in _GATEWAY_ERRORS:
                raise self._error(request, await self._refusal(signed, response))
        return signed, response

    async def _first_response(self, origin: str, request: OriginRequest, work: WorkRecord) -> IResponse:
        if self._hedging is None:
            return await self._client.get(request)

        async def hedge() -> IResponse:
            with work.timed("hedge", self._clock.seconds, origin=origin):
                return await self._client.get(replace(request, new_connection=True))

        return await self._hedging.send(
            origin, lambda second: Deferred.fromCoroutine(hedge() if second else self._client.get(request)), discard
        )

    async def _refusal(self, sent: OriginRequest, response: IResponse) -> Refusal:
        body, headers = b"", joined_headers(response)
        if self._kind.follows_redirects:
            if response.code in _MISSING or not is_text(headers) or is_unreadable(response):
                discard(response)
            else:
                body = await beginning(response, _BEGINNING, self._clock, _BEGINNING_SECONDS)
        else:
            try:
                body = await collect(response, _LONGEST_REFUSAL)
            except ImgforgeError:
                self.log.debug("the body of a refusal is too long, or broke off")
        return Refusal(sent, response.code, headers, body)

    def _error(self, request: OriginRequest, refusal: Refusal) -> ImgforgeError:
        status, cause = refusal.status, self._kind.explain(refusal)
        if cause and not self._kind.follows_redirects:  # what a store says has a cure, and concerns all its originals
            # The query may carry a signature, which would open the origin to every reader of the log.
            url = request.url.partition("?")[0]
            self.log.info("{url}: the origin answered {status}: {cause}", url=url, status=status, cause=cause)
        message = f"the origin answered {status}"
        if self._kind.rejects_credentials(refusal):
            return OriginFailed("this server cannot authenticate with the object store").caused_by(cause or message)
        if status in _MISSING:
            return SourceMissing(message).caused_by(cause)
        if 400 <= status < 500 and status not in _TRANSIENT:
            return SourceNotFound(message).caused_by(cause)
        return OriginFailed(message).caused_by(cause)


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS_HEADERS}


def _readable(response: IResponse) -> IResponse:
    """*response*; `OriginFailed` where its body has an encoding that cannot be read."""
    if is_unreadable(response):
        discard(response)
        raise OriginFailed("the origin uses a content encoding that cannot be read")
    return response
