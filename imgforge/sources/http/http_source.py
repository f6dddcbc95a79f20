"""Originals over HTTP: of `http://` and `https://` URLs, and of object stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IResponse
from zope.interface import implementer

from imgforge.errors import OriginFailed, SourceTooLarge
from imgforge.interfaces import IServerReactor, ISource, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage
from imgforge.observability import WorkRecord
from imgforge.sources.http.body import collect, discard, forward
from imgforge.sources.http.client import OriginClient
from imgforge.sources.http.connection_limit import ConnectionLimit
from imgforge.sources.http.deadline import Deadline
from imgforge.sources.http.exchange import Exchange
from imgforge.sources.http.origin_request import IOriginKind, OriginRequest
from imgforge.sources.http.parts import FirstBytes
from imgforge.sources.http.response_headers import kept_headers, named_headers
from imgforge.sources.http.retries import Retries
from imgforge.sources.http.silence_limit import SilenceLimit
from imgforge.sources.http.web_origins import WebOrigins
from imgforge.sources.settings import SourceSettings

__all__ = ["HttpSource"]

_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
_SILENCE = 0.25  # of the time for a fetch, in the middle of a body: there is time for another attempt then


@implementer(ISource)
class HttpSource:
    """Fetches originals from the origins of *kind*; None is the web."""

    def __init__(self, reactor: IServerReactor, settings: SourceSettings, kind: IOriginKind | None = None) -> None:
        self._reactor = reactor
        self._settings = settings
        self._kind: IOriginKind = kind or WebOrigins(settings)
        self._client = OriginClient(reactor, settings, self._kind.endpoints)
        self._retries = Retries(reactor, self._kind.retries)
        self._exchange = Exchange(reactor, settings, self._client, self._kind)
        # Limits of their own: the client sets the pace of a stream, and must not be able to block images.
        self._image_limit, self._stream_limit = (
            ConnectionLimit(reactor, name, settings.connections_per_host) for name in ("images", "streams")
        )

    def close(self) -> Deferred[None]:
        """See `ISource`."""
        return self._client.close()

    def fetch(
        self,
        url: str,
        limit: int | None,
        headers: Mapping[str, str],
        reserve: Reserve = unlimited_reserve,
        work: WorkRecord | None = None,
    ) -> Deferred[SourceImage]:
        """See `ISource`; one deadline covers everything from the look-up to the last byte.

        *work* gets each try as a step, and the second requests to an origin that is late.
        """
        deadline = self._deadline()
        recorded = work if work is not None else WorkRecord()
        return deadline.run(self._fetch(url, limit, headers, reserve, recorded, deadline))

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`; the deadline covers the head, then each silence of the origin: the client sets the pace."""
        return ensureDeferred(self._stream(url, headers, started))

    async def _fetch(
        self,
        url: str,
        limit: int | None,
        headers: Mapping[str, str],
        reserve: Reserve,
        work: WorkRecord,
        deadline: Deadline,
    ) -> SourceImage:
        request = self._first_request(url, headers)
        origin = self._kind.origin_of(request.url)

        def reserve_in_time(size: int) -> Deferred[None]:
            return deadline.paused_during(reserve(size))

        async def attempt(number: int) -> SourceImage:
            with work.timed("attempt", self._reactor.seconds, retry=number, origin=origin) as step:
                asked, silence = _attempt(request, number), self._silence_limit(number)
                try:
                    original = await self._fetch_once(asked, limit, reserve_in_time, silence, work)
                except OriginFailed:
                    deadline.check()  # no further attempt
                    raise
                step |= {"bytes": len(original.body), "not_modified": original.not_modified}
                return original

        return await self._retries.run(origin, attempt)

    def _silence_limit(self, attempt: int) -> SilenceLimit | None:
        """For the body of an attempt after which another is left; the last one has all the time that there is."""
        if attempt >= self._kind.retries:
            return None
        return SilenceLimit(self._reactor, _SILENCE * self._settings.download_timeout)

    async def _fetch_once(
        self,
        request: OriginRequest,
        limit: int | None,
        reserve: Reserve,
        silence: SilenceLimit | None,
        work: WorkRecord,
    ) -> SourceImage:
        wanted = {200} if _CONDITIONS.isdisjoint(request.headers) else {200, 304}
        if "range" in request.headers:
            wanted.add(206)
        with ExitStack() as held:

            def reserve_or_release(size: int) -> Deferred[None]:
                reserving = reserve(size)
                if not reserving.called:  # the fetch that holds the memory may wait for this origin's limit
                    held.close()
                return reserving

            response, redirected_to = await self._exchange.response(request, wanted, self._image_limit, held, work)
            return await self._read(response, limit, reserve_or_release, silence, redirected_to)

    async def _read(
        self,
        response: IResponse,
        limit: int | None,
        reserve: Reserve,
        silence: SilenceLimit | None,
        redirected_to: str,
    ) -> SourceImage:
        length = response.length if isinstance(response.length, int) else 0
        head, for_client = kept_headers(response), named_headers(response, self._settings.response_headers)
        try:
            part = FirstBytes(head.get("content-range", "")) if response.code == 206 else None
            whole_size = part.whole_size if part is not None else length
            if limit is not None and whole_size > limit:
                raise SourceTooLarge(f"the source has {whole_size} bytes, more than {limit}")
            if length and response.code != 304:
                await reserve(length)  # until then the connection is not read from
        except BaseException:
            discard(response)
            raise
        not_modified = response.code == 304
        body = await collect(response, limit, reserve, length, silence)
        return SourceImage(
            body,
            head.get("content-type", ""),
            head.get("etag", ""),
            head.get("last-modified", ""),
            head.get("cache-control", ""),
            head.get("expires", ""),
            not_modified,
            headers=tuple(for_client.items()),
            whole_size=whole_size if part is not None and part.remaining_of(body) else 0,
            redirected_to=redirected_to,
        )

    async def _stream(self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> None:
        wanted = {200}
        if "range" in headers:
            wanted |= {206, 416}
        if not _CONDITIONS.isdisjoint(headers):
            wanted.add(304)
        request = self._first_request(url, headers)

        async def ask(number: int) -> tuple[IResponse, str]:
            return await self._exchange.response(_attempt(request, number), wanted, self._stream_limit, held)

        with ExitStack() as held:
            response, _ = await self._deadline().run(self._retries.run(self._kind.origin_of(request.url), ask))
            length = response.length if isinstance(response.length, int) else None
            head = named_headers(response, self._settings.response_headers) | kept_headers(response)
            try:
                consumer = started(SourceHead(response.code, head, length))
            except BaseException:
                discard(response)
                raise
            await forward(response, consumer, self._reactor, self._settings.download_timeout)

    def _first_request(self, url: str, headers: Mapping[str, str]) -> OriginRequest:
        """The request with the operator's custom headers, which do not follow a redirect to another origin."""
        return OriginRequest(self._kind.checked(url), {**self._settings.custom_headers, **headers})

    def _deadline(self) -> Deadline:
        return Deadline(self._reactor, self._settings.download_timeout)


def _attempt(request: OriginRequest, number: int) -> OriginRequest:
    """*request*, over a connection of its own where it is a retry."""
    return replace(request, new_connection=True) if number else request
