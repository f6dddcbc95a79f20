"""Endpoints for the URLs of origins: TCP under the address policy, and TLS on top for https."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from imgforge.interfaces import IServerReactor
from imgforge.sources.guarded_endpoint import GuardedEndpoint
from imgforge.sources.settings import SourceSettings

__all__ = ["EndpointFactory", "read_authorities"]

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS without verification of the certificate, for IMGFORGE_IGNORE_SSL_VERIFICATION."""

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
    return BrowserLikePolicyForHTTPS(trustRootFromCertificates(read_authorities(settings.ca_file)))


def read_authorities(path: str) -> list[Certificate]:
    """The certificates in the PEM file *path*; `OSError`, or `ValueError` where it has none or a damaged one."""
    with open(path, encoding="ascii", errors="replace") as file:
        blocks = _CERTIFICATE.findall(file.read())
    if not blocks:
        raise ValueError("no PEM certificate")
    try:
        return [Certificate.loadPEM(block) for block in blocks]
    except SSL.Error as error:
        raise ValueError("a certificate that cannot be read") from error


@implementer(IStreamClientEndpoint)
class _LazyEndpoint:
    """Makes the real endpoint on `connect`: an agent wants one per request, and mostly has a connection already."""

    def __init__(self, factory: EndpointFactory, uri: URI) -> None:
        self._factory = factory
        self._uri = uri

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        return self._factory.endpoint(self._uri).connect(protocolFactory)


@implementer(IAgentEndpointFactory)
class EndpointFactory:
    """Makes the endpoints that a connection pool connects to."""

    def __init__(self, reactor: IServerReactor, settings: SourceSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        # A TLS context loads the trusted certificates, which costs milliseconds: keep those of recent hosts.
        self._creator = lru_cache(maxsize=64)(_tls_policy(settings).creatorForNetloc)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """See `IAgentEndpointFactory`."""
        return _LazyEndpoint(self, uri)

    def endpoint(self, uri: URI) -> IStreamClientEndpoint:
        """The endpoint for the host of *uri*."""
        host = uri.host.decode("ascii").strip("[]")
        endpoint = GuardedEndpoint(
            self._reactor, host, uri.port, self._settings.addresses, self._settings.download_timeout
        )
        return wrapClientTLS(self._creator(uri.host, uri.port), endpoint) if uri.scheme == b"https" else endpoint
