"""The operator's HTTP proxies, by the variables that all programs know: HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

As in imgproxy, names in upper case come before those in lower case, and this machine is asked without a proxy.
"""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import unquote, urlsplit

from imgforge.sources.http.wire_url import Origin

__all__ = ["PROXY_VARIABLES", "Proxies", "Proxy", "numeric_address"]

# In upper and lower case.
PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")

_PORT = 80


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and what it is told of who asks."""

    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The credentials, if there are any."""
        return [] if self.authorization is None else [(b"Proxy-Authorization", self.authorization)]


class Proxies:
    """The proxies of *environ*; `ValueError` names a variable that cannot be used, without its value."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        def value_of(name: str) -> str:
            return (environ.get(name) or environ.get(name.lower()) or "").strip()

        self._by_scheme = {
            scheme: _proxy(name, value_of(name)) for scheme, name in (("http", "HTTP_PROXY"), ("https", "HTTPS_PROXY"))
        }
        self._exceptions = _Exceptions(value_of("NO_PROXY").split(","))

    def __str__(self) -> str:
        """The proxies, without their credentials: `http by proxy:3128, https by proxy:3128`; empty for none."""
        named = ((scheme, proxy) for scheme, proxy in self._by_scheme.items() if proxy is not None)
        return ", ".join(f"{scheme} by {proxy.host}:{proxy.port}" for scheme, proxy in named)

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """The proxy through which *origin* is asked; None asks it directly."""
        proxy = self._by_scheme[origin.scheme]
        return None if proxy is None or _is_this_machine(origin.host) or origin in self._exceptions else proxy


class _Exceptions:
    """The origins that NO_PROXY names: *, addresses, networks, and domains with all names below them."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._all = False
        self._networks: list[tuple[IPv4Network | IPv6Network, int | None]] = []
        self._domains: list[tuple[str, int | None]] = []
        for entry in filter(None, (entry.strip().lower() for entry in entries)):
            self._add(entry)

    def _add(self, entry: str) -> None:
        if entry == "*":
            self._all = True
            return
        try:
            self._networks.append((ip_network(entry.strip("[]"), strict=False), None))
            return
        except ValueError:
            pass
        host, colon, digits = entry.rpartition(":")
        port = int(digits) if colon and digits.isascii() and digits.isdigit() else None
        host = entry if port is None else host
        try:
            self._networks.append((ip_network(host.strip("[]")), port))
        except ValueError:
            self._domains.append((host.removeprefix("*").rstrip("."), port))

    def __contains__(self, origin: Origin) -> bool:
        if self._all:
            return True
        address = numeric_address(origin.host)
        if address is not None:
            number = ip_address(address)
            return any(number in network and port in {None, origin.port} for network, port in self._networks)
        host = origin.host.rstrip(".")
        return any(
            port in {None, origin.port} and (host == domain or host.endswith("." + domain.removeprefix(".")))
            for domain, port in self._domains
        )


def numeric_address(host: str) -> str | None:
    """*host* as an address, where it is one in any spelling that a resolver takes without a look-up."""
    host = host.rstrip(".").partition("%")[0]
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _is_this_machine(host: str) -> bool:
    address = numeric_address(host)
    if address is not None:
        number = ip_address(address)
        return number.is_loopback or number.is_unspecified
    name = host.rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _proxy(name: str, value: str) -> Proxy | None:
    if not value:
        return None
    mistake = f"{name} must be http://host:port, with user:password@ before the host where the proxy asks for them"
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or "", parts.port or _PORT
    except ValueError:
        raise ValueError(mistake) from None
    if parts.scheme != "http" or not host or not host.isascii() or parts.query or parts.path not in {"", "/"}:
        raise ValueError(mistake)
    if parts.username is None:
        return Proxy(host, port)
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Proxy(host, port, b"Basic " + b64encode(credentials))
