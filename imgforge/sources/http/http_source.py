"""`http://` and `https://` origins, over one pool of kept-alive connections."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.client import (
    Agent,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse
from zope.interface import implementer

from imgforge.errors import (
    CircuitOpen,
    ImgforgeError,
    OriginFailed,
    SourceMissing,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
)
from imgforge.interfaces import IServerReactor, ISource, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage
from imgforge.sources.allowed_sources import AllowedSources
from imgforge.sources.circuit_breaker import CircuitBreaker
from imgforge.sources.http.body import collect, discard, forward
from imgforge.sources.http.connection import ConnectionPool
from imgforge.sources.http.connection_limit import ConnectionLimit
from imgforge.sources.http.deadline import Deadline
from imgforge.sources.http.encoding import inflater_for
from imgforge.sources.http.endpoints import EndpointFactory
from imgforge.sources.http.failure_causes import cause_of
from imgforge.sources.http.wire_url import same_origin, target_of_redirect, wire_url
from imgforge.sources.settings import SourceSettings

__all__ = ["HttpSource"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GATEWAY_ERRORS = frozenset({502, 503, 504})  # count as failures of the origin
_MISSING = frozenset({404, 410})
_TRANSIENT = frozenset({408, 425, 429})
_RETRY_DELAY = 0.05  # seconds before the first retry; each waits twice as long as the one before
_KEPT_HEADERS = ("content-type", "etag", "last-modified", "cache-control", "expires", "content-range", "accept-ranges")
_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
# The headers that follow a redirect to another origin: any other could be a credential for the first one.
_CROSS_ORIGIN_HEADERS = frozenset(
    {"accept", "accept-language", "if-modified-since", "if-none-match", "if-range", "range"}
)

# What twisted.web.client and the endpoints raise when a request to an origin fails.
_NETWORK_ERRORS = (
    ConnectError,
    ConnectionClosed,
    DNSLookupError,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
    SSL.Error,
    ValueError,
)


@implementer(ISource)
class HttpSource:
    """Fetches originals from HTTP origins; follows redirects itself, under the same rules as the first request."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: SourceSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        self._allowed = AllowedSources(settings.allowed_sources)
        self._pool = ConnectionPool(reactor, settings.keep_alive_timeout, settings.idle_connections_per_host)
        # Limits of their own: the client sets the pace of a stream, and must not be able to block images.
        self._image_limit, self._stream_limit = (
            ConnectionLimit(name, settings.connections_per_host) for name in ("images", "streams")
        )
        # A little less than the deadline, for a request that it cancelled on the second hop.
        self._breaker = CircuitBreaker(
            reactor, settings.breaker_failures, settings.breaker_seconds, 0.9 * settings.download_timeout
        )
        self._agent = Agent.usingEndpointFactory(reactor, EndpointFactory(reactor, settings), pool=self._pool)

    def close(self) -> Deferred[None]:
        """Close the idle connections; those in use belong to fetches, which close them when they are cancelled."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing

    def fetch(
        self, url: str, limit: int | None, headers: Mapping[str, str], reserve: Reserve = unlimited_reserve
    ) -> Deferred[SourceImage]:
        """See `ISource`; one deadline covers everything from the look-up to the last byte."""
        deadline = self._deadline()
        return deadline.run(
            self._fetch_with_retries(url, limit, headers, lambda size: deadline.paused_during(reserve(size)))
        )

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`; the deadline covers the head, then each silence of the origin: the client sets the pace."""
        return ensureDeferred(self._stream(url, headers, started))

    async def _fetch_with_retries(
        self, url: str, limit: int | None, headers: Mapping[str, str], reserve: Reserve
    ) -> SourceImage:
        """`_fetch`, with the retries of the settings; the one deadline covers all of them."""
        for attempt in range(self._settings.retries):
            try:
                return await self._fetch(url, limit, headers, reserve)
            except CircuitOpen:
                raise
            except OriginFailed as error:
                self.log.info("the fetch failed and is tried again: {line}", line=error.logged)
                await deferLater(self._reactor, _RETRY_DELAY * 2**attempt)
        return await self._fetch(url, limit, headers, reserve)

    async def _fetch(self, url: str, limit: int | None, headers: Mapping[str, str], reserve: Reserve) -> SourceImage:
        wanted = {200} if _CONDITIONS.isdisjoint(headers) else {200, 304}
        with ExitStack() as held:

            def reserve_or_release(size: int) -> Deferred[None]:
                reserving = reserve(size)
                if not reserving.called:  # the fetch that holds the memory may wait for this origin's limit
                    held.close()
                return reserving

            response, redirected_to = await self._request(url, headers, wanted, self._image_limit, held)
            return replace(await self._read(response, limit, reserve_or_release), redirected_to=redirected_to)

    async def _read(self, response: IResponse, limit: int | None, reserve: Reserve) -> SourceImage:
        inflater = inflater_for(_encoding(response))
        length = response.length if isinstance(response.length, int) else 0
        try:
            if limit is not None and length > limit:
                raise SourceTooLarge(f"the source has {length} bytes, more than {limit}")
            if length and inflater is None and response.code != 304:
                await reserve(length)  # until then the connection is not read from
        except BaseException:
            discard(response)
            raise
        not_modified = response.code == 304
        # A 304 has no body, whatever length it declares (RFC 9110, section 15.4.5).
        body = await collect(response, None if not_modified else inflater, limit, reserve, length)
        head, for_client = _head(response), _values(response, self._settings.response_headers)
        return SourceImage(
            body,
            head.get("content-type", ""),
            head.get("etag", ""),
            head.get("last-modified", ""),
            head.get("cache-control", ""),
            head.get("expires", ""),
            not_modified,
            headers=tuple(for_client.items()),
        )

    async def _stream(self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> None:
        wanted = {200}
        if "range" in headers:
            wanted |= {206, 416}
        if not _CONDITIONS.isdisjoint(headers):
            wanted.add(304)
        with ExitStack() as held:
            response, _ = await self._deadline().run(self._request(url, headers, wanted, self._stream_limit, held))
            inflater = inflater_for(_encoding(response))
            length = response.length if inflater is None and isinstance(response.length, int) else None
            head = _values(response, self._settings.response_headers) | _head(response)
            try:
                consumer = started(SourceHead(response.code, head, length))
            except BaseException:
                discard(response)
                raise
            await forward(response, inflater, consumer, self._reactor, self._settings.download_timeout)

    def _deadline(self) -> Deadline:
        return Deadline(self._reactor, self._settings.download_timeout)

    async def _request(
        self, url: str, headers: Mapping[str, str], wanted: Collection[int], limit: ConnectionLimit, held: ExitStack
    ) -> tuple[IResponse, str]:
        """The response for *url*, with one of the *wanted* statuses and a known encoding, and where redirects ended.

        The place that it has under its origin's *limit* is given back when *held* is closed, once it has been read.
        """
        first = url = wire_url(url)
        headers = {**self._settings.custom_headers, **headers}
        for _ in range(self._settings.max_redirects + 1):
            origin = "/".join(url.split("/", 3)[:3])
            self._breaker.check(origin)  # before the wait for a place
            await limit.acquire(origin, held)
            with self._breaker.watch(origin):
                response = await self._one_request(url, headers)
                if response.code in _GATEWAY_ERRORS:
                    discard(response)
                    raise OriginFailed(f"the origin answered {response.code}")
            if response.code not in _REDIRECTS:
                return _checked(response, wanted), "" if url == first else url.partition("?")[0]
            discard(response)
            held.close()
            location = response.headers.getRawHeaders(b"location")
            if not location:
                raise OriginFailed(f"the origin answered {response.code} without a Location")
            previous, url = url, target_of_redirect(url, location[0])
            if not self._allowed.allow(url):
                raise SourceRefused("the origin redirects to a source that is not allowed")
            if not same_origin(previous, url):
                headers = {name: value for name, value in headers.items() if name.lower() in _CROSS_ORIGIN_HEADERS}
        raise OriginFailed(f"the origin redirects more than {self._settings.max_redirects} times")

    async def _one_request(self, url: str, headers: Mapping[str, str]) -> IResponse:
        try:
            sent = Headers({name: [value.replace("\0", " ")] for name, value in headers.items()})
            for name, value in (("User-Agent", self._settings.user_agent), ("Accept", "*/*")):
                if not sent.hasHeader(name):
                    sent.setRawHeaders(name, [value])
            sent.setRawHeaders("Accept-Encoding", ["identity"])
            response: IResponse = await self._agent.request(b"GET", url.encode("ascii"), sent)
        except ImgforgeError:
            raise
        except ConnectingCancelledError:  # a cancelled look-up or connection ends with it
            raise CancelledError from None
        except _NETWORK_ERRORS as error:
            inner = _inner(error)
            if inner is not None:
                raise inner from None
            # The query may carry a signature, which would open the origin to every reader of the log.
            cause = cause_of(error)
            self.log.info("cannot fetch {url}: {cause}", url=url.partition("?")[0], cause=cause)
            raise OriginFailed("the origin cannot be reached or breaks HTTP").caused_by(cause) from None
        return response


def _checked(response: IResponse, wanted: Collection[int]) -> IResponse:
    code = response.code
    try:
        if code in wanted:
            compressed = inflater_for(_encoding(response)) is not None  # raises for unknown encodings
            if code == 206 and compressed:
                raise OriginFailed("the origin answered with a part of a compressed body")
            return response
        if code in _MISSING:
            raise SourceMissing(f"the origin answered {code}")
        if 400 <= code < 500 and code not in _TRANSIENT:
            raise SourceNotFound(f"the origin answered {code}")
        raise OriginFailed(f"the origin answered {code}")
    except ImgforgeError:
        discard(response)
        raise


def _encoding(response: IResponse) -> str:
    return b",".join(response.headers.getRawHeaders(b"content-encoding") or ()).decode("latin-1")


def _head(response: IResponse) -> dict[str, str]:
    """The headers that imgforge uses; the last value of each."""
    headers = response.headers
    return {
        name: _plain(values[-1]) for name in _KEPT_HEADERS if (values := headers.getRawHeaders(name.encode("ascii")))
    }


def _values(response: IResponse, names: Collection[str]) -> dict[str, str]:
    """The headers *names*; several field lines are joined into one (RFC 9110, section 5.3)."""
    headers = response.headers
    return {
        name: _plain(b", ".join(values)) for name in names if (values := headers.getRawHeaders(name.encode("ascii")))
    }


def _plain(value: bytes) -> str:
    """The printable ASCII characters of *value*, without line breaks."""
    return bytes(byte for byte in value if 0x20 <= byte < 0x7F).decode("ascii")


def _inner(error: BaseException) -> BaseException | None:
    """The error that Twisted has wrapped: one of imgforge, from the address policy, or the fetch's cancellation."""
    values = (reason.value for reason in getattr(error, "reasons", ()))
    return next((value for value in values if isinstance(value, (ImgforgeError, CancelledError))), None)
