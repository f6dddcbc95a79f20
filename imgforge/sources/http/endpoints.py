"""Endpoints for the URLs of origins: TCP under the address policy, and TLS on top for https."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from imgforge.interfaces import IServerReactor
from imgforge.sources.guarded_endpoint import GuardedEndpoint, check_literal_address
from imgforge.sources.http.proxies import Proxies, Proxy, numeric_address
from imgforge.sources.http.proxy_connections import ProxyEndpoint, TunnelEndpoint
from imgforge.sources.http.tls_endpoint import TlsEndpoint
from imgforge.sources.http.wire_url import Origin
from imgforge.sources.settings import SourceSettings

__all__ = ["EndpointFactory", "read_authorities"]

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS without verification of the certificate, for IMGFORGE_IGNORE_SSL_VERIFICATION."""

    def __init__(self, host: str, protocols: Sequence[bytes]) -> None:
        self._host = host.encode("ascii")
        self._protocols = list(protocols)
        self._context = CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: ARG002
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._host)
        if self._protocols:
            connection.set_alpn_protos(self._protocols)
        return connection


def _creator(settings: SourceSettings) -> Callable[[str, Sequence[bytes]], Any]:
    """Makes for a host what opens TLS connections to it, which offer protocols by ALPN."""
    if settings.ignore_ssl_verification:
        return _Unverified
    trust: Any = trustRootFromCertificates(read_authorities(settings.ca_file)) if settings.ca_file else platformTrust()
    return lambda host, protocols: optionsForClientTLS(host, trust, acceptableProtocols=list(protocols) or None)


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


class EndpointFactory:
    """Makes endpoints for origins."""

    def __init__(self, reactor: IServerReactor, settings: SourceSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        self._proxies = Proxies(settings.proxies)
        # A TLS context loads the trusted certificates, which costs milliseconds: keep those of recent hosts.
        self._creator = lru_cache(maxsize=64)(_creator(settings))

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """The proxy through which `endpoint` connects to *origin*."""
        return self._proxies.proxy_for(origin)

    def endpoint(self, origin: Origin, protocols: tuple[bytes, ...] = ()) -> IStreamClientEndpoint:
        """The endpoint that connects to *origin*; TLS offers *protocols* by ALPN."""
        settings, proxy = self._settings, self.proxy_for(origin)
        endpoint: IStreamClientEndpoint
        if proxy is None:
            endpoint = GuardedEndpoint(
                self._reactor, origin.host, origin.port, settings.addresses, settings.download_timeout
            )
        else:  # which looks the name up: only an address can be checked here
            check_literal_address(origin.host, numeric_address(origin.host), settings.addresses)
            endpoint = ProxyEndpoint(self._reactor, proxy, settings.download_timeout)
            if origin.scheme == "https":
                endpoint = TunnelEndpoint(endpoint, proxy, origin)
        if origin.scheme == "http":
            return endpoint
        return TlsEndpoint(self._reactor, self._creator(origin.host, protocols), endpoint)
