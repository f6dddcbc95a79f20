"""The client of a request, behind proxies or not, and which clients are refused."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import RateExceeded
from imgforge.web import ClientRates, Clients, RateLimit, Rates
from imgforge.web.http import bucket, plain_address
from imgforge.web.http.forwarded import UNKNOWN
from tests.support.fast_lane_case import Site, Wire, request

PROXY = "10.0.0.1"
CLIENTS = Clients(["10.0.0.0/8", "2001:db8:1::/48", "unix"])


class BehindTests(SynchronousTestCase):
    def client(self, forwarded_for: bytes = b"", forwarded: bytes = b"") -> str:
        return CLIENTS.behind(PROXY, forwarded_for, forwarded)

    def test_client_is_the_rightmost_address_that_is_not_trusted(self) -> None:
        for header, client in (
            (b"192.0.2.7", "192.0.2.7"),
            (b"203.0.113.1, 192.0.2.7", "192.0.2.7"),
            (b"203.0.113.1,192.0.2.7,\t10.9.9.9", "192.0.2.7"),
            (b"192.0.2.7, 10.2.2.2 , 2001:db8:1::5", "192.0.2.7"),
            (b"10.3.3.3, 10.2.2.2", "10.3.3.3"),
            (b"nonsense, 192.0.2.7", "192.0.2.7"),
            (b"", PROXY),
        ):
            self.assertEqual(self.client(header), client, header)

    def test_addresses_may_have_ports_brackets_and_zones(self) -> None:
        for header, client in (
            (b"192.0.2.7:4711", "192.0.2.7"),
            (b"[2001:DB8::0:7]:4711", "2001:db8::7"),
            (b"[2001:db8::7]", "2001:db8::7"),
            (b"2001:db8::7", "2001:db8::7"),
            (b"fe80::7%eth0", "fe80::7"),
            (b"::ffff:192.0.2.7", "192.0.2.7"),
        ):
            self.assertEqual(self.client(header), client, header)

    def test_malformed_address_of_a_trusted_proxy_is_unknown(self) -> None:
        for header in (b"192.0.2.7, unknown", b"192.0.2.7, _hidden", b"192.0.2.7,", b"1.2.3", b"[::1", b"1" * 9000,
                       b"192.0.2.7, 1.2.3.4:x", b"192.0.2.7, \xb9.2.3.4", b"0x7f.1, 10.2.2.2"):  # fmt: skip
            self.assertEqual(self.client(header), UNKNOWN, header)

    def test_forwarded_is_read_as_well(self) -> None:
        for header, client in (
            (b"for=192.0.2.7", "192.0.2.7"),
            (b"by=x;FOR=192.0.2.7 ;proto=https", "192.0.2.7"),
            (b'for=203.0.113.1, for="192.0.2.7:80";host="a,for=6.6.6.6"', "192.0.2.7"),
            (b'for="[2001:db8::7]:4711", for=10.2.2.2', "2001:db8::7"),
            (b"for=203.0.113.1, for=unknown", UNKNOWN),
            (b"for=203.0.113.1, proto=http", UNKNOWN),
            (b'for=", for=192.0.2.7', UNKNOWN),
            (b'for="203.0.113.1\\", for=192.0.2.7', UNKNOWN),
            (b"for=203.0.113.1 for=192.0.2.7", UNKNOWN),
            (b'for=203.0.113.1;x=", for=192.0.2.7', UNKNOWN),
        ):
            self.assertEqual(self.client(b"", header), client, header)

    def test_headers_that_name_different_clients_name_none(self) -> None:
        for forwarded_for, forwarded, client in (
            (b"192.0.2.7", b"for=203.0.113.1", UNKNOWN),
            (b"192.0.2.7", b"for=192.0.2.7, for=203.0.113.1", UNKNOWN),
            (b"192.0.2.7", b"proto=https", UNKNOWN),
            (b"unknown", b"for=203.0.113.1", UNKNOWN),
            (b"192.0.2.7", b"for=192.0.2.7;proto=https", "192.0.2.7"),
            (b"198.51.100.1, 192.0.2.7, 10.2.2.2", b'for="192.0.2.7:4711"', "192.0.2.7"),
        ):
            self.assertEqual(self.client(forwarded_for, forwarded), client, (forwarded_for, forwarded))

    @given(st.binary(), st.binary())
    def test_client_cannot_change_the_last_hop(self, before: bytes, forwarded: bytes) -> None:
        self.assertEqual(CLIENTS.behind(PROXY, before + b", 192.0.2.7", b""), "192.0.2.7")
        self.assertIn(CLIENTS.behind(PROXY, before + b", 192.0.2.7", forwarded), {"192.0.2.7", UNKNOWN})
        self.assertIn(CLIENTS.behind(PROXY, before, forwarded + b", for=192.0.2.7"), {"192.0.2.7", UNKNOWN})
        self.assertIn(CLIENTS.behind(PROXY, b"", forwarded + b", for=192.0.2.7"), {"192.0.2.7", UNKNOWN})


class NetworkTests(SynchronousTestCase):
    def test_addresses_belong_to_their_networks(self) -> None:
        clients = Clients((), ["192.0.2.0/24", "2001:db8::/32"])
        for client in ("192.0.2.0", "192.0.2.255", "2001:db8::1"):
            self.assertTrue(clients.allows(client), client)
        for client in ("192.0.3.0", "2001:db9::1", "", UNKNOWN, "::c000:200"):
            self.assertFalse(clients.allows(client), client)
        self.assertTrue(Clients((), ["unix"]).allows(""))
        self.assertTrue(Clients().allows(UNKNOWN))
        self.assertFalse(Clients().trusts("127.0.0.1"))

    def test_address_is_normalised(self) -> None:
        self.assertEqual(plain_address("::ffff:192.0.2.7"), "192.0.2.7")
        self.assertEqual(plain_address("fe80:0::1%eth0"), "fe80::1")
        self.assertEqual(plain_address(""), "")

    def test_ipv6_network_of_64_bits_is_one_client(self) -> None:
        self.assertEqual(bucket("2001:db8:0:1::1"), bucket("2001:db8:0:1:ffff::2"))
        self.assertEqual(len({bucket(one) for one in ("2001:db8:0:2::1", "192.0.2.1", "192.0.2.2", "", UNKNOWN)}), 5)


class ConnectionTests(SynchronousTestCase):
    """Requests on connections, with and without the fast lane, and with a proxy in between."""

    def ask(self, site: Site, address: Any, *headers: bytes, target: bytes = b"/image") -> bytes:
        channel = site.site.buildProtocol(None)
        transport = Wire(peerAddress=address)
        channel.makeConnection(transport)
        channel.dataReceived(request(target, *headers))
        return transport.value()[9:12]  # type: ignore[no-any-return]

    def site(self, trusted: list[str], allowed: list[str], *, with_fast_lane: bool) -> Site:
        site = Site(with_fast_lane=with_fast_lane, clients=Clients(trusted, allowed))
        self.ask(site, IPv4Address("TCP", "192.0.2.1", 1))
        site.by_twisted = 0
        site.logged()
        return site

    def test_client_cannot_pass_as_another_by_the_header_that_its_proxy_does_not_write(self) -> None:
        for by_proxy, by_client in (
            (b"Forwarded: for=203.0.113.1", b"X-Forwarded-For: 192.0.2.7"),
            (b"X-Forwarded-For: 203.0.113.1", b"Forwarded: for=192.0.2.7"),
        ):
            for with_fast_lane in (False, True):
                site = self.site(["10.0.0.0/8"], ["192.0.2.0/24"], with_fast_lane=with_fast_lane)
                peer = IPv4Address("TCP", PROXY, 1)
                self.assertEqual(self.ask(site, peer, by_client), b"200")
                self.assertEqual(self.ask(site, peer, by_client, by_proxy), b"403")

    def test_hit_is_refused_to_clients_that_are_not_allowed(self) -> None:
        site = self.site([], ["192.0.2.0/24"], with_fast_lane=True)
        self.assertEqual(self.ask(site, IPv4Address("TCP", "192.0.2.2", 1)), b"200")
        self.assertEqual((site.hits, site.by_twisted), (1, 0))
        self.assertEqual(self.ask(site, IPv4Address("TCP", "203.0.113.1", 1)), b"403")
        self.assertEqual((site.hits, site.by_twisted), (1, 0))
        self.assertEqual(self.ask(site, IPv4Address("TCP", "203.0.113.1", 1), target=b"/health"), b"200")
        # Who is not trusted says nothing of others.
        spoof = b"X-Forwarded-For: 192.0.2.2"
        self.assertEqual(self.ask(site, IPv4Address("TCP", "203.0.113.1", 1), spoof), b"403")

    def test_each_request_behind_a_proxy_has_its_client(self) -> None:
        for with_fast_lane in (True, False):
            site = self.site([f"{PROXY}/32"], ["192.0.2.0/24"], with_fast_lane=with_fast_lane)
            for headers, status in (
                ([b"X-Forwarded-For: 203.0.113.1, 192.0.2.5"], b"200"),
                ([b"X-Forwarded-For: 203.0.113.1", b"x-forwarded-for: 192.0.2.5"], b"200"),
                ([b"X-Forwarded-For: 192.0.2.5", b"x-forwarded-for: 203.0.113.1"], b"403"),
                ([b"Forwarded: for=192.0.2.5"], b"200"),
                ([b"Forwarded: for=203.0.113.1"], b"403"),
                ([], b"403"),
            ):
                self.assertEqual(self.ask(site, IPv4Address("TCP", PROXY, 1), *headers), status, headers)
            clients = sorted(line.client for line in site.logged())
            self.assertEqual(clients, sorted(["192.0.2.5"] * 3 + ["203.0.113.1"] * 2 + [PROXY]))
            self.assertEqual(site.hits, 3 if with_fast_lane else 0)

    def test_unix_socket_may_be_a_trusted_proxy(self) -> None:
        site = self.site(["unix"], ["192.0.2.0/24"], with_fast_lane=True)
        self.assertEqual(self.ask(site, UNIXAddress(None), b"X-Forwarded-For: 192.0.2.5"), b"200")
        self.assertEqual(self.ask(site, UNIXAddress(None), b"X-Forwarded-For: 203.0.113.1"), b"403")
        self.assertEqual(self.ask(site, UNIXAddress(None)), b"403")

    def test_each_client_behind_a_proxy_has_its_own_rate_limit(self) -> None:
        site = Site(with_fast_lane=False, clients=Clients([PROXY]))
        rates = Rates(site.site.resource.clients, ClientRates(2, lambda: 0.0), RateLimit(5, lambda: 0.0))
        site.admit = lambda asked: rates.of(asked)()
        refused: list[str] = []
        for client in (
            b"192.0.2.1",
            b"192.0.2.1",
            b"192.0.2.1",
            b"192.0.2.2",
            b"192.0.2.1",
            b"192.0.2.3",
            b"192.0.2.4",
        ):
            status = self.ask(site, IPv4Address("TCP", PROXY, 1), b"X-Forwarded-For: " + client)
            if status == b"429":
                refused.append(client.decode())
        # What the first is refused costs the others nothing: there are five for all.
        self.assertEqual(refused, ["192.0.2.1", "192.0.2.1"])
        with self.assertRaises(RateExceeded):
            for _ in range(5):
                rates.together.check()
