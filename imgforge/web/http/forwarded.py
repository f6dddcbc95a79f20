"""Who a request comes from: the address of the connection, or what a proxy says that the operator trusts.

Each proxy on the way writes down, behind what it was told, whom it had the request from:

    client ──> CDN ──────────────────────> our proxy ─────────────────────────────────> we
               X-Forwarded-For: client     X-Forwarded-For: client, CDN                 connection: our proxy

Read from the right, an address counts as long as the one behind it, which wrote it, is trusted. So the client is the
first from the right that is not trusted itself; whatever stands left of it that one may have made up. Where a trusted
proxy says nothing that is an address, the client is `UNKNOWN`, and belongs to no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from twisted.web.server import Request

from imgforge.errors import ClientRefused
from imgforge.web.http.request_headers import joined_header

__all__ = ["FORWARDED", "UNIX", "UNKNOWN", "Clients", "bucket", "names_this_machine", "tells_of_a_proxy"]

FORWARDED = (b"x-forwarded-for", b"forwarded")  # the first that a request has is read

# Besides what begins with x-forwarded-: what proxies, load balancers and CDNs add.
_BY_PROXIES = frozenset(
    b"cdn-loop cf-connecting-ip cf-connecting-ipv6 cf-ray client-ip do-connecting-ip fastly-client-ip fly-client-ip "
    b"forwarded forwarded-for true-client-ip via x-amzn-trace-id x-appengine-user-ip x-azure-clientip x-client-ip "
    b"x-cluster-client-ip x-envoy-external-address x-forwarded x-original-forwarded-for x-original-host "
    b"x-proxyuser-ip x-real-ip".split()
)

UNIX = "unix"  # among networks: the clients of unix sockets, which have no address
UNKNOWN = "unknown"  # as RFC 7239 has it

_REMEMBERED = 4096
_LONGEST_HOP = 64  # of an address with brackets, zone and port

_PORT = re.compile(rb":[0-9]*\Z")
_BRACKETED = re.compile(rb"\[([^\]]*)\](?::[0-9]{1,5})?\Z")
_WITH_PORT = re.compile(rb"([0-9.]+):[0-9]{1,5}\Z")
# One parameter of Forwarded, and what ends it (RFC 7239, section 4); an element may be empty.
_PARAMETER = re.compile(
    rb"[ \t]*+(?:([!#$%&'*+.^_`|~0-9A-Za-z-]++)=([!#$%&'*+.^_`|~0-9A-Za-z-]++|\"(?:[^\"\\]|\\.)*+\"))?+[ \t]*+([;,]|\Z)"
)


_ANOTHER_HOST = (
    "without a key this server serves its own machine only, as localhost or 127.0.0.1: set IMGFORGE_KEY and "
    "IMGFORGE_SALT, or IMGFORGE_ALLOW_UNSIGNED=true to serve anybody anything"
)
_FORWARDED = (
    "a proxy has forwarded this request, and without a key this server serves its own machine only: "
    "set IMGFORGE_KEY and IMGFORGE_SALT, or IMGFORGE_ALLOW_UNSIGNED=true to serve anybody anything"
)


class Clients:
    """The operator's rules: *trusted* proxies, and the clients that are *allowed*, all where there are none.

    Both are networks, or the word `unix`. *direct_only*: what a proxy forwards is refused, for without a key only this
    machine is served, and everybody may be behind a proxy on it. So is another host's name, by which a web page reaches
    this machine from its user's browser (DNS rebinding).
    """

    def __init__(self, trusted: Iterable[str] = (), allowed: Iterable[str] = (), *, direct_only: bool = False) -> None:
        self.direct_only = direct_only
        trusted, allowed = tuple(trusted), tuple(allowed)
        # Of a connection's address: whether what it says of others is believed.
        self.trusts = _membership(trusted)
        self.allows: Callable[[str], bool] = _membership(allowed) if allowed else lambda _: True

    def check(self, request: Request) -> None:
        """Raise `ClientRefused` unless the client of *request* is answered."""
        if self.direct_only and any(
            tells_of_a_proxy(name.lower()) for name, _ in request.requestHeaders.getAllRawHeaders()
        ):
            raise ClientRefused(_FORWARDED)
        if self.direct_only and not names_this_machine(request.getHeader(b"host") or b""):
            raise ClientRefused(_ANOTHER_HOST)
        if not self.allows(self.of(request)):
            raise ClientRefused("this server does not serve your address")

    def of(self, request: Request) -> str:
        """The address that *request* comes from, while its connection stands; "" over a unix socket."""
        peer: str = request.channel.client  # type: ignore[attr-defined]
        if not self.trusts(peer):
            return peer
        told = (joined_header(request, name) for name in FORWARDED)
        return self.behind(peer, *told)

    def behind(self, peer: str, forwarded_for: bytes, forwarded: bytes) -> str:
        """The address that a request comes from that the trusted *peer* hands on, with these headers."""
        client = peer
        hops = forwarded_for.split(b",") if forwarded_for else _hops(forwarded)
        for hop in reversed(hops):
            client = _address(hop.strip(b" \t")[: _LONGEST_HOP + 1])
            if not self.trusts(client):
                break
        return client


def tells_of_a_proxy(name: bytes) -> bool:
    """Whether a header of that *name*, in lower case, comes from who forwards requests of others."""
    return name in _BY_PROXIES or name.startswith(b"x-forwarded-")


def names_this_machine(host: bytes) -> bool:
    """Whether the Host header's value is localhost, a name below it, or an address of loopback; or nothing."""
    name = _PORT.sub(b"", host).strip(b"[]").lower().decode("latin-1")
    if not name or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def bucket(client: str) -> bytes:
    """What is counted as one client: an IPv4 address, or an IPv6 network of 64 bits, which one subscriber has."""
    try:
        return ip_address(client).packed[:8]
    except ValueError:
        return client.encode("ascii", "replace")


def plain_address(text: str) -> str:
    """An address in its usual form, and IPv4 as such over an IPv6 socket; other texts are as they are."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    return str(getattr(address, "ipv4_mapped", None) or address)


def _membership(names: Iterable[str]) -> Callable[[str], bool]:
    """Whether an address, "" for a unix socket, is within one of these networks."""
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
    """The address in what a proxy wrote, with or without brackets and a port; `UNKNOWN` for anything else."""
    within = _BRACKETED.match(hop) or _WITH_PORT.match(hop)
    text = (within[1] if within else hop).decode("latin-1")
    client = plain_address(text)
    try:
        ip_address(client)
    except ValueError:
        return UNKNOWN
    return client


def _hops(forwarded: bytes) -> list[bytes]:
    """The `for` of each element; one that is no address for all that cannot be read.

    It is read whole: a client that leaves a quotation open would else swallow what the proxy wrote behind it.
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
