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
from imgforge.interfaces import ISource, Reserve, unlimited_reserve
from imgforge.model import SourceHead, SourceImage
from imgforge.sources.address_policy import IDialReactor
from imgforge.sources.circuit_breaker import CircuitBreaker
from imgforge.sources.http.body import collect, discard, forward
from imgforge.sources.http.connection import ConnectionPool
from imgforge.sources.http.connection_limit import Slots
from imgforge.sources.http.deadline import Deadline
from imgforge.sources.http.encoding import inflater_for
from imgforge.sources.http.endpoints import EndpointFactory
from imgforge.sources.http.failure_causes import cause_of
from imgforge.sources.http.wire_url import same_origin, target_of_redirect, wire_url
from imgforge.sources.settings import AllowedSources, SourceSettings

__all__ = ["HttpSource"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNWELL = frozenset({502, 503, 504})
_MISSING = frozenset({404, 410})
_TRANSIENT = frozenset({408, 425, 429})
_PAUSE = 0.05  # seconds before the first further try; each waits twice as long as the one before
_PASSED_ON = ("content-type", "etag", "last-modified", "cache-control", "expires", "content-range", "accept-ranges")
_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
# What a redirect to another origin may be told: anything else could be a credential for the first one.
_HARMLESS = frozenset({"accept", "accept-language", "if-modified-since", "if-none-match", "if-range", "range"})

# What twisted.web.client and the endpoints raise when an origin cannot be had.
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
    """Originals from HTTP origins. Redirects are followed here, hop by hop, under the same rules as the first."""

    log = Logger()

    def __init__(self, reactor: IDialReactor, settings: SourceSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        self._allowed = AllowedSources(settings.allowed_sources)
        self._pool = ConnectionPool(reactor, settings.keep_alive_timeout, settings.idle_connections_per_host)
        # Apart: how long the reading of a stream lasts is up to its client, who must not be able to hold images up.
        self._slots, self._stream_slots = (Slots(settings.connections_per_host) for _ in range(2))
        # A little less than the deadline, for what was cancelled by it on its second hop.
        self._breaker = CircuitBreaker(
            reactor, settings.breaker_failures, settings.breaker_seconds, 0.9 * settings.download_timeout
        )
        self._agent = Agent.usingEndpointFactory(reactor, EndpointFactory(reactor, settings), pool=self._pool)

    def close(self) -> Deferred[None]:
        """Close the idle connections."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing

    def fetch(
        self, url: str, limit: int | None, headers: Mapping[str, str], room: Reserve = unlimited_reserve
    ) -> Deferred[SourceImage]:
        """See `ISource`; one deadline covers everything from the look-up to the last byte."""
        deadline = self._deadline()
        return deadline.run(self._fetch_patiently(url, limit, headers, lambda size: deadline.apart(room(size))))

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`; the deadline covers the head, and then each silence: the client sets the pace of the rest."""
        return ensureDeferred(self._stream(url, headers, started))

    async def _fetch_patiently(
        self, url: str, limit: int | None, headers: Mapping[str, str], room: Reserve
    ) -> SourceImage:
        """`_fetch`, tried again as often as the operator wants; the one deadline covers all tries."""
        for tried in range(self._settings.retries):
            try:
                return await self._fetch(url, limit, headers, room)
            except CircuitOpen:
                raise
            except OriginFailed as error:
                self.log.info("trying again: {line}", line=error.logged)
                await deferLater(self._reactor, _PAUSE * 2**tried)
        return await self._fetch(url, limit, headers, room)

    async def _fetch(self, url: str, limit: int | None, headers: Mapping[str, str], room: Reserve) -> SourceImage:
        wanted = {200} if _CONDITIONS.isdisjoint(headers) else {200, 304}
        with ExitStack() as held:

            def yielding(size: int) -> Deferred[None]:
                waiting = room(size)
                if not waiting.called:  # who has the memory may be waiting for this origin's slot
                    held.close()
                return waiting

            response, ended = await self._request(url, headers, wanted, self._slots, held)
            return replace(await self._read(response, limit, yielding), redirected_to=ended)

    async def _read(self, response: IResponse, limit: int | None, room: Reserve) -> SourceImage:
        inflater = inflater_for(_encoding(response))
        length = response.length if isinstance(response.length, int) else 0
        try:
            if limit is not None and length > limit:
                raise SourceTooLarge(f"the source has {length} bytes, more than {limit}")
            if length and inflater is None and response.code != 304:
                await room(length)  # until then the connection is not read from
        except BaseException:
            discard(response)
            raise
        not_modified = response.code == 304
        # A 304 has no body, whatever length it declares (RFC 9110, section 15.4.5).
        body = await collect(response, None if not_modified else inflater, limit, room, length)
        head, handed_on = _head(response), _values(response, self._settings.response_headers)
        return SourceImage(
            body,
            head.get("content-type", ""),
            head.get("etag", ""),
            head.get("last-modified", ""),
            head.get("cache-control", ""),
            head.get("expires", ""),
            not_modified,
            headers=tuple(handed_on.items()),
        )

    async def _stream(self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> None:
        wanted = {200}
        if "range" in headers:
            wanted |= {206, 416}
        if not _CONDITIONS.isdisjoint(headers):
            wanted.add(304)
        with ExitStack() as held:
            response, _ = await self._deadline().run(self._request(url, headers, wanted, self._stream_slots, held))
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
        self, url: str, headers: Mapping[str, str], wanted: Collection[int], slots: Slots, held: ExitStack
    ) -> tuple[IResponse, str]:
        """The answer to *url*, with one of the *wanted* statuses and a known encoding, and where redirects ended.

        *held* is what its origin's slot is given back with, once it has been read.
        """
        asked = url = wire_url(url)
        headers = {**self._settings.custom_headers, **headers}
        for _ in range(self._settings.max_redirects + 1):
            origin = "/".join(url.split("/", 3)[:3])
            self._breaker.check(origin)  # or one that keeps failing would be waited for
            await slots.take(origin, held)
            with self._breaker.watch(origin):
                response = await self._one_request(url, headers)
                if response.code in _UNWELL:
                    discard(response)
                    raise OriginFailed(f"the origin answered {response.code}")
            if response.code not in _REDIRECTS:
                return _checked(response, wanted), "" if url == asked else url.partition("?")[0]
            discard(response)
            held.close()
            location = response.headers.getRawHeaders(b"location")
            if not location:
                raise OriginFailed(f"the origin answered {response.code} without a Location")
            before, url = url, target_of_redirect(url, location[0])
            if not self._allowed.allow(url):
                raise SourceRefused("the origin redirects to a source that is not allowed")
            if not same_origin(before, url):
                headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
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
        except ConnectingCancelledError:  # what a cancelled look-up or connection ends with
            raise CancelledError from None
        except _NETWORK_ERRORS as error:
            inner = _inner(error)
            if inner is not None:
                raise inner from None
            # Its query may carry a signature that opens the origin to whoever reads it.
            cause = cause_of(error)
            self.log.info("cannot fetch {url}: {cause}", url=url.partition("?")[0], cause=cause)
            raise OriginFailed("the origin cannot be reached or breaks HTTP").caused_by(cause) from None
        return response


def _checked(response: IResponse, wanted: Collection[int]) -> IResponse:
    code = response.code
    try:
        if code in wanted:
            packed = inflater_for(_encoding(response)) is not None  # which refuses unknown encodings
            if code == 206 and packed:
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
    """The headers that are kept, the last of each."""
    headers = response.headers
    return {name: _plain(values[-1]) for name in _PASSED_ON if (values := headers.getRawHeaders(name.encode("ascii")))}


def _values(response: IResponse, names: Collection[str]) -> dict[str, str]:
    """Those of *names*, several as the one that they stand for (RFC 9110, section 5.3)."""
    headers = response.headers
    return {
        name: _plain(b", ".join(values)) for name in names if (values := headers.getRawHeaders(name.encode("ascii")))
    }


def _plain(value: bytes) -> str:
    """What of *value* is printable ASCII: nothing in it can break a line."""
    return bytes(byte for byte in value if 0x20 <= byte < 0x7F).decode("ascii")


def _inner(error: BaseException) -> BaseException | None:
    """What twisted has wrapped: our own error, where the guard raised it, or the cancellation of the fetch."""
    values = (reason.value for reason in getattr(error, "reasons", ()))
    return next((value for value in values if isinstance(value, (ImgforgeError, CancelledError))), None)
