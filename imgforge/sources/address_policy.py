"""Which addresses the server may connect to (protection against server-side request forgery).

The decision is made on the numeric address that is connected to, after name resolution: neither an unusual spelling of
an address nor a name that resolves differently the next time (DNS rebinding) gets around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["EVERY_ADDRESS", "AddressPolicy", "address_class"]

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


# For what the operator, and no URL, has named.
EVERY_ADDRESS = AddressPolicy(allow_loopback=True, allow_link_local=True, allow_private=True)
