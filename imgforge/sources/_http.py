"""`http://` and `https://` origins, through treq over one pool of kept-alive connections."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from hyperlink import EncodedURL
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.interfaces import IConsumer, IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.client import (
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from imgforge.errors import ImgforgeError, OriginFailed, OriginTimeout, SourceNotFound, SourceRefused, SourceTooLarge
from imgforge.interfaces import ISource
from imgforge.model import SourceHead, SourceImage
from imgforge.sources._body import collect, forward
from imgforge.sources._guard import GuardedEndpoint, IDialReactor
from imgforge.sources._settings import AllowedSources, SourceSettings

__all__ = ["HttpSource"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429})
_PASSED_ON = ("content-type", "etag", "last-modified", "cache-control", "expires", "content-range", "accept-ranges")

# What twisted.web.client and the endpoints raise when an origin cannot be had.
_NETWORK_ERRORS = (
    ConnectError,
    ConnectionLost,
    DNSLookupError,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
    SSL.Error,
    ValueError,
)
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class _WireUrl(EncodedURL):
    """A URL that is ready for the wire: treq has hyperlink encode what it is given, which breaks IPv6 addresses."""

    __slots__ = ()

    def to_uri(self) -> _WireUrl:
        return self


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS without any check of who answers, for IMGFORGE_IGNORE_SSL_VERIFICATION."""

    def __init__(self, host: bytes) -> None:
        self._host = host
        self._context = CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: ARG002
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._host)
        return connection


@implementer(IPolicyForHTTPS)
class _TrustAnyone:
    def creatorForNetloc(self, hostname: bytes, port: int) -> _Unverified:  # noqa: ARG002
        return _Unverified(hostname)


def _tls_policy(settings: SourceSettings) -> Any:
    if settings.ignore_ssl_verification:
        return _TrustAnyone()
    if not settings.ca_file:
        return BrowserLikePolicyForHTTPS()
    with open(settings.ca_file, encoding="ascii", errors="replace") as file:
        blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", file.read(), re.DOTALL)
    return BrowserLikePolicyForHTTPS(trustRootFromCertificates([Certificate.loadPEM(block) for block in blocks]))


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Makes the endpoints of the pool: guarded, and under TLS for https."""

    def __init__(self, reactor: IDialReactor, settings: SourceSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        self._policy = _tls_policy(settings)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii").strip("[]")
        endpoint = GuardedEndpoint(
            self._reactor, host, uri.port, self._settings.addresses, self._settings.download_timeout
        )
        if uri.scheme == b"https":
            return wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return endpoint


@implementer(ISource)
class HttpSource:
    """Originals from HTTP origins. Redirects are followed here, hop by hop, under the same rules as the first."""

    log = Logger()

    def __init__(self, reactor: IDialReactor, settings: SourceSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        self._allowed = AllowedSources(settings.allowed_sources)
        self._pool = HTTPConnectionPool(reactor, persistent=settings.keep_alive_timeout > 0)
        self._pool.maxPersistentPerHost = settings.connections_per_host
        self._pool.cachedConnectionTimeout = settings.keep_alive_timeout  # type: ignore[assignment]
        agent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor, settings), pool=self._pool)
        self._client = HTTPClient(agent)

    def close(self) -> Deferred[None]:
        """Close the idle connections."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing

    def fetch(self, url: str, limit: int | None, headers: Mapping[str, str]) -> Deferred[SourceImage]:
        """See `ISource`; one deadline covers everything from the look-up to the last byte."""
        return self._bounded(self._fetch(url, limit, headers))

    def stream(
        self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]
    ) -> Deferred[None]:
        """See `ISource`; the deadline covers the head, for the client sets the pace of the rest."""
        return ensureDeferred(self._stream(url, headers, started))

    async def _fetch(self, url: str, limit: int | None, headers: Mapping[str, str]) -> SourceImage:
        response = await self._request(url, headers)
        if response.code != 200:
            raise OriginFailed(f"the origin answered {response.code}")
        length = response.length
        if limit is not None and isinstance(length, int) and length > limit:
            await self._discard(response)
            raise SourceTooLarge(f"the source has {length} bytes, more than {limit}")
        body = await collect(response, limit)
        head = _head(response)
        return SourceImage(
            body,
            head.get("content-type", ""),
            head.get("etag", ""),
            head.get("last-modified", ""),
            head.get("cache-control", ""),
            head.get("expires", ""),
        )

    async def _stream(self, url: str, headers: Mapping[str, str], started: Callable[[SourceHead], IConsumer]) -> None:
        response = await self._bounded(self._request(url, headers))
        length = response.length if isinstance(response.length, int) else None
        await forward(response, started(SourceHead(response.code, _head(response), length)))

    def _bounded(self, work: Any) -> Deferred[Any]:
        seconds = self._settings.download_timeout

        def late(_: object, timeout: float) -> object:
            raise OriginTimeout(f"the origin took longer than {timeout:g} seconds")

        return ensureDeferred(work).addTimeout(seconds, self._reactor, late)

    async def _request(self, url: str, headers: Mapping[str, str]) -> IResponse:
        """The answer to *url*, redirects followed, with a status of 200 or 206."""
        url = _ascii_url(url)
        for _ in range(self._settings.max_redirects + 1):
            response = await self._one_request(url, headers)
            if response.code not in _REDIRECTS:
                return await self._checked(response)
            location = response.headers.getRawHeaders(b"location")
            await self._discard(response)
            if not location:
                raise OriginFailed(f"the origin answered {response.code} without a Location")
            url = urljoin(url, location[0].decode("latin-1"))
            if not url.lower().startswith(("http://", "https://")):
                raise SourceRefused("the origin redirects to something other than http(s)")
            url = _ascii_url(url)
            if not self._allowed.allow(url):
                raise SourceRefused("the origin redirects to a source that is not allowed")
        raise OriginFailed(f"the origin redirects more than {self._settings.max_redirects} times")

    async def _one_request(self, url: str, headers: Mapping[str, str]) -> IResponse:
        sent = Headers({name: [value] for name, value in headers.items()})
        sent.setRawHeaders("User-Agent", [self._settings.user_agent])
        sent.setRawHeaders("Accept", ["*/*"])
        try:
            response: IResponse = await self._client.request(
                "GET", _WireUrl.from_text(url), headers=sent, allow_redirects=False, unbuffered=True
            )
        except ImgforgeError:
            raise
        except _NETWORK_ERRORS as error:
            inner = _inner(error)
            if inner is not None:
                raise inner from None
            self.log.info("cannot fetch {url}: {error}", url=url, error=_reason(error))
            raise OriginFailed("the origin cannot be reached or breaks HTTP") from None
        return response

    async def _checked(self, response: IResponse) -> IResponse:
        code = response.code
        if code in {200, 206}:
            encodings = b",".join(response.headers.getRawHeaders(b"content-encoding") or ())
            if encodings.strip() not in {b"", b"identity"}:  # treq has taken gzip away already
                await self._discard(response)
                raise OriginFailed("the origin uses an unknown content encoding")
            return response
        await self._discard(response)
        if 400 <= code < 500 and code not in _TRANSIENT:
            raise SourceNotFound(f"the origin answered {code}")
        raise OriginFailed(f"the origin answered {code}")

    async def _discard(self, response: IResponse) -> None:
        """Drop an answer and its connection, unread."""
        unread = collect(response, 0)
        unread.addErrback(lambda _: None)
        unread.cancel()


def _head(response: IResponse) -> dict[str, str]:
    """The headers that are kept, the last of each, without anything that could break a line."""
    head = {}
    for name in _PASSED_ON:
        values = response.headers.getRawHeaders(name.encode("ascii"))
        if values:
            head[name] = "".join(char for char in values[-1].decode("latin-1") if char.isprintable())
    return head


def _inner(error: BaseException) -> BaseException | None:
    """What twisted has wrapped: our own error, where the guard raised it, or the cancellation of the fetch."""
    values = (reason.value for reason in getattr(error, "reasons", ()))
    return next((value for value in values if isinstance(value, (ImgforgeError, CancelledError))), None)


def _reason(error: BaseException) -> str:
    reasons = getattr(error, "reasons", ())
    return "; ".join(str(reason.value) for reason in reasons) or str(error) or type(error).__name__


def _ascii_url(url: str) -> str:
    """*url* as it goes on the wire: what is not ASCII escaped, the host by IDNA, the fragment gone."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        raise SourceNotFound("the source is no valid URL") from None
    if not host:
        raise SourceNotFound("the source URL has no host")
    if "@" in parts.netloc:
        raise SourceRefused("the source URL carries user information")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise SourceNotFound("the source URL has no valid host") from None
    if ":" in host:
        host = _literal(host.partition("%")[0])
    netloc = host if port is None else f"{host}:{port}"
    path = _BROKEN_PERCENT.sub("%25", quote(parts.path or "/", safe="%/:=&?~+!$,;'@()*[]"))
    query = _BROKEN_PERCENT.sub("%25", quote(parts.query, safe="%/:=&?~+!$,;'@()*[]"))
    return f"{parts.scheme.lower()}://{netloc}{path}" + (f"?{query}" if query else "")


def _literal(host: str) -> str:
    """An IPv6 address as it stands in a URL; a mapped IPv4 one in its own form, which is what will be dialled."""
    try:
        address = IPv6Address(host)
    except ValueError:
        raise SourceNotFound("the source URL has no valid host") from None
    return str(address.ipv4_mapped) if address.ipv4_mapped is not None else f"[{address.compressed}]"
