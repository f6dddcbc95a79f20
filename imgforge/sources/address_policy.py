"""Which addresses the server may connect to (protection against server-side request forgery).

The decision is made on the numeric address that is connected to, after name resolution: neither an unusual spelling of
an address nor a name that resolves differently the next time (DNS rebinding) gets around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.errors import SourceRefused
from imgforge.interfaces import IServerReactor
from imgforge.observability import keeping_request_id

__all__ = ["AddressPolicy", "GuardedEndpoint", "address_class"]

Address = IPv4Address | IPv6Address

# The first network that contains an address names its class; other addresses are public. RFC 6890 and successors.
_CLASSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loopback", ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128")),
    ("link-local", ("169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8")),
    (
        "private",
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "fc00::/7",
            "fec0::/10",
            "100.64.0.0/10",  # carrier-grade NAT
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation
            "198.51.100.0/24",
            "203.0.113.0/24",
            "2001:db8::/32",
            "3fff::/20",
            "198.18.0.0/15",  # benchmarks
            "2001:2::/48",
            "240.0.0.0/4",
            "100::/64",  # discard
            "100:0:0:1::/64",
            "192.88.99.0/24",  # relays of 6to4
            "2001:10::/28",  # ORCHID
            "2001:20::/28",
            "5f00::/16",  # segment routing
            "64:ff9b:1::/48",  # NAT64 of this network alone
        ),
    ),
)
_NETWORKS: tuple[tuple[str, IPv4Network | IPv6Network], ...] = tuple(
    (name, IPv6Network(network) if ":" in network else IPv4Network(network))
    for name, networks in _CLASSES
    for network in networks
)
# IPv6 networks whose last four bytes are an IPv4 address: NAT64, the translated and the deprecated compatible form.
_EMBEDDING = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")))
# Here an operator may have put it around the ninth byte (RFC 6052, section 2.2).
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")


def _embedded(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses inside an IPv6 one, however they are embedded."""
    if isinstance(address, IPv4Address):
        return []
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    number = int(address)
    if number > 1 and any(address in network for network in _EMBEDDING):
        inner.append(IPv4Address(number & 0xFFFFFFFF))
    if address in _LOCAL_NAT64:
        inner.append(IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF))
    return [embedded for embedded in inner if embedded is not None]


def address_class(text: str) -> str:
    """loopback, link-local, private or public; *text* is a numeric address, with or without a zone.

    An IPv6 address that embeds an IPv4 one has the stricter class of the two.
    """
    address = ip_address(text.partition("%")[0])
    addresses = [address, *_embedded(address)]
    return next((name for name, network in _NETWORKS if any(each in network for each in addresses)), "public")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which classes of addresses are allowed; named after the settings IMGFORGE_ALLOW_..._SOURCE_ADDRESSES."""

    allow_loopback: bool = False
    allow_link_local: bool = False
    allow_private: bool = True

    def allows(self, kind: str) -> bool:
        """Whether the server may connect to addresses of the class *kind*; public ones always."""
        refused = {
            "loopback": not self.allow_loopback,
            "link-local": not self.allow_link_local,
            "private": not self.allow_private,
        }
        return not refused.get(kind, False)


@dataclass(slots=True)
class _Decisions:
    """The decisions about the addresses of one look-up."""

    allowed: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)  # class and address


@implementer(IResolutionReceiver)
class _Filter:
    """Passes on the addresses that the policy allows, and records each decision."""

    def __init__(self, receiver: IResolutionReceiver, policy: AddressPolicy, decisions: _Decisions) -> None:
        self._receiver = receiver
        self._policy = policy
        self._decisions = decisions

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        text: str = address.host  # type: ignore[attr-defined]
        kind = address_class(text)
        if self._policy.allows(kind):
            self._decisions.allowed += 1
            self._receiver.addressResolved(address)
        else:
            self._decisions.refused.append((kind, text))

    def resolutionComplete(self) -> None:
        self._receiver.resolutionComplete()


@implementer(IHostnameResolver)
class _GuardedResolver:
    def __init__(self, resolver: IHostnameResolver, policy: AddressPolicy, decisions: _Decisions) -> None:
        self._resolver = resolver
        self._policy = policy
        self._decisions = decisions

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        receiver = _Filter(resolutionReceiver, self._policy, self._decisions)
        return self._resolver.resolveHostName(receiver, hostName, portNumber, addressTypes, transportSemantics)


@implementer(IReactorPluggableNameResolver, IReactorTCP, IReactorTime)
class _GuardedReactor:
    """The reactor with a resolver that returns allowed addresses only; HostnameEndpoint connects to those."""

    def __init__(self, reactor: IServerReactor, policy: AddressPolicy, decisions: _Decisions) -> None:
        self._reactor = reactor
        self.nameResolver = _GuardedResolver(reactor.nameResolver, policy, decisions)

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        raise NotImplementedError("the resolver of the address policy cannot be replaced")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


@implementer(IStreamClientEndpoint)
class GuardedEndpoint:
    """Connects to a host by name or address, trying only the addresses that *policy* allows.

    Fails with `SourceRefused` where it allows none. The message names the class but not the address, with which a
    client could map an internal network; the log has both.
    """

    log = Logger()

    def __init__(self, reactor: IServerReactor, host: str, port: int, policy: AddressPolicy, timeout: float) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._policy = policy
        self._timeout = timeout

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """Connect; see `IStreamClientEndpoint`."""
        decisions = _Decisions()
        guarded: Any = _GuardedReactor(self._reactor, self._policy, decisions)
        endpoint = HostnameEndpoint(guarded, self._host, self._port, timeout=self._timeout)
        return endpoint.connect(protocolFactory).addErrback(keeping_request_id(self._explain), decisions)

    def _explain(self, failure: Failure, decisions: _Decisions) -> Failure:
        if decisions.allowed or not decisions.refused:
            return failure
        kind, address = decisions.refused[0]
        setting = f"IMGFORGE_ALLOW_{kind.upper().replace('-', '_')}_SOURCE_ADDRESSES"
        self.log.info(
            "refused to connect to {host}: {address} is a {kind} address ({setting})",
            host=self._host,
            address=address,
            kind=kind,
            setting=setting,
        )
        raise SourceRefused(f"the source's address is {kind}, which this server refuses ({setting})")
