"""The client of a request: the address of the connection, or the one that a trusted proxy names.

Each proxy appends the address from which it received the request:

    client ──> CDN ──────────────────────> our proxy ─────────────────────────────────> imgforge
               X-Forwarded-For: client     X-Forwarded-For: client, CDN                 connection: our proxy

The list is read from the right. An address is believed if the one to its right, which wrote it, is trusted. The client
is therefore the first address from the right that is not trusted itself; it may have made up everything to its left.
If a trusted proxy writes something that is not an address, the client is `UNKNOWN`, which belongs to no network. So it
is where a request has both X-Forwarded-For and Forwarded, and they name different clients: the proxy may write one of
them, and hand on the other as the client made it up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from twisted.web.server import Request

from imgforge.errors import ClientRefused
from imgforge.web.http.request_headers import joined_header

__all__ = ["FORWARDED", "UNIX", "UNKNOWN", "Clients", "added_by_proxy", "bucket", "names_this_machine"]

FORWARDED = (b"x-forwarded-for", b"forwarded")

# Headers that proxies, load balancers and CDNs add, besides those that begin with x-forwarded-.
_BY_PROXIES = frozenset(
    b"cdn-loop cf-connecting-ip cf-connecting-ipv6 cf-ray client-ip do-connecting-ip fastly-client-ip fly-client-ip "
    b"forwarded forwarded-for true-client-ip via x-amzn-trace-id x-appengine-user-ip x-azure-clientip x-client-ip "
    b"x-cluster-client-ip x-envoy-external-address x-forwarded x-original-forwarded-for x-original-host "
    b"x-proxyuser-ip x-real-ip".split()
)

UNIX = "unix"  # in place of a network: the clients of unix sockets, which have no address
UNKNOWN = "unknown"  # the word of RFC 7239, section 6.2

_REMEMBERED = 4096
_LONGEST_HOP = 64  # bytes of an address with brackets, zone and port

_PORT = re.compile(rb":[0-9]*\Z")
_BRACKETED = re.compile(rb"\[([^\]]*)\](?::[0-9]{1,5})?\Z")
_WITH_PORT = re.compile(rb"([0-9.]+):[0-9]{1,5}\Z")
# One parameter of Forwarded with its delimiter (RFC 7239, section 4); an element may be empty.
_PARAMETER = re.compile(
    rb"[ \t]*+(?:([!#$%&'*+.^_`|~0-9A-Za-z-]++)=([!#$%&'*+.^_`|~0-9A-Za-z-]++|\"(?:[^\"\\]|\\.)*+\"))?+[ \t]*+([;,]|\Z)"
)


_ANOTHER_HOST = (
    "without a key this server answers only to localhost and 127.0.0.1: set IMGFORGE_KEY and IMGFORGE_SALT, "
    "or IMGFORGE_ALLOW_UNSIGNED=true to serve any URL to everybody"
)
_FORWARDED = (
    "a proxy has forwarded this request, and without a key this server serves its own machine only: "
    "set IMGFORGE_KEY and IMGFORGE_SALT, or IMGFORGE_ALLOW_UNSIGNED=true to serve any URL to everybody"
)


class Clients:
    """The operator's rules: *trusted* proxies and *allowed* clients, each a network or `unix`; none allowed means all.

    *direct_only* is for a server without a key, which serves its own machine only. It refuses forwarded requests, as
    anybody may be behind a proxy on this machine, and foreign host names, by which a web page can reach this machine
    through a user's browser (DNS rebinding).
    """

    def __init__(self, trusted: Iterable[str] = (), allowed: Iterable[str] = (), *, direct_only: bool = False) -> None:
        self.direct_only = direct_only
        trusted, allowed = tuple(trusted), tuple(allowed)
        # Whether the address of a connection is a trusted proxy's.
        self.trusts = _membership(trusted)
        self.allows: Callable[[str], bool] = _membership(allowed) if allowed else lambda _: True

    def check(self, request: Request) -> None:
        """Raises `ClientRefused` unless the client of *request* is allowed."""
        if self.direct_only and any(
            added_by_proxy(name.lower()) for name, _ in request.requestHeaders.getAllRawHeaders()
        ):
            raise ClientRefused(_FORWARDED)
        if self.direct_only and not names_this_machine(request.getHeader(b"host") or b""):
            raise ClientRefused(_ANOTHER_HOST)
        if not self.allows(self.of(request)):
            raise ClientRefused("this server does not serve your address")

    def of(self, request: Request) -> str:
        """The client's address, "" over a unix socket; only while the connection of *request* is open."""
        peer: str = request.channel.client  # type: ignore[attr-defined]
        if not self.trusts(peer):
            return peer
        return self.behind(peer, *(joined_header(request, name) for name in FORWARDED))

    def behind(self, peer: str, forwarded_for: bytes, forwarded: bytes) -> str:
        """The client of a request that the trusted proxy *peer* forwards with these headers."""
        if not forwarded:
            return self._named(peer, forwarded_for.split(b",") if forwarded_for else [])
        client = self._named(peer, _hops(forwarded))
        if forwarded_for and client != self._named(peer, forwarded_for.split(b",")):
            return UNKNOWN
        return client

    def _named(self, peer: str, hops: Sequence[bytes]) -> str:
        """The client of a request that came to the trusted proxy *peer* by *hops*."""
        client = peer
        for hop in reversed(hops):
            client = _address(hop.strip(b" \t")[: _LONGEST_HOP + 1])
            if not self.trusts(client):
                break
        return client


def added_by_proxy(name: bytes) -> bool:
    """Whether a header called *name*, in lower case, was added by a proxy."""
    return name in _BY_PROXIES or name.startswith(b"x-forwarded-")


def names_this_machine(host: bytes) -> bool:
    """Whether the Host header's value is empty, localhost, a name below it, or a loopback address."""
    name = _PORT.sub(b"", host).strip(b"[]").lower().decode("latin-1")
    if not name or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def bucket(client: str) -> bytes:
    """The bytes that count as one client: an IPv4 address, or an IPv6 /64, which is one subscriber's."""
    try:
        return ip_address(client).packed[:8]
    except ValueError:
        return client.encode("ascii", "replace")


def plain_address(text: str) -> str:
    """An address in its usual form, IPv4-mapped ones as IPv4; any other text unchanged."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    return str(getattr(address, "ipv4_mapped", None) or address)


def _membership(names: Iterable[str]) -> Callable[[str], bool]:
    """A function that says whether an address, "" for a unix socket, is within one of the networks."""
    networks = [ip_network(name) for name in names if name != UNIX]
    unix = UNIX in names

    @lru_cache(_REMEMBERED)
    def within(client: str) -> bool:
        if not client:
            return unix
        try:
            address: IPv4Address | IPv6Address = ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return within


@lru_cache(_REMEMBERED)
def _address(hop: bytes) -> str:
    """The address in *hop*, with or without brackets and a port; `UNKNOWN` for anything else."""
    wrapped = _BRACKETED.match(hop) or _WITH_PORT.match(hop)
    text = (wrapped[1] if wrapped else hop).decode("latin-1")
    client = plain_address(text)
    try:
        ip_address(client)
    except ValueError:
        return UNKNOWN
    return client


def _hops(forwarded: bytes) -> list[bytes]:
    """The `for` of each element; a single empty hop if the header is malformed.

    The whole header must be well-formed: an unfinished quotation of a client would swallow what the proxy appended.
    """
    if not forwarded:
        return []
    hops, at, end = [b""], 0, b","
    while end:
        found = _PARAMETER.match(forwarded, at)
        if found is None:
            return [b""]
        name, value, end = found.groups()
        if name is not None and name.lower() == b"for":
            hops[-1] = value.strip(b'"')
        if end == b",":
            hops.append(b"")
        at = found.end()
    return hops
