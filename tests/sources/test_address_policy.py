"""The classes of addresses, in any notation, and the policy on them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources import AddressPolicy, address_class

CLASSES = {
    "loopback": """127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 ::1 :: ::ffff:127.0.0.1 ::127.0.0.1 64:ff9b::7f00:1
        2002:7f00:1::""",
    "link-local": """169.254.169.254 224.0.0.1 239.1.1.1 255.255.255.255 fe80::1 fe80::1%eth0 ff02::1
        ::ffff:169.254.169.254""",
    "private": """10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 198.18.0.1 192.0.2.1 203.0.113.9 fd00::1
        2001:db8::1 64:ff9b::a00:1 240.0.0.1""",
    "public": "8.8.8.8 172.32.0.1 100.128.0.1 2606:4700::1111 ::ffff:8.8.8.8",
}


class AddressTests(SynchronousTestCase):
    def test_each_address_has_its_class(self) -> None:
        for kind, addresses in CLASSES.items():
            for address in addresses.split():
                self.assertEqual(address_class(address), kind, address)

    @given(st.ip_addresses(v=4))
    def test_an_embedded_address_has_the_class_of_the_inner_one(self, address: object) -> None:
        inner = address_class(str(address))
        self.assertEqual(address_class(f"::ffff:{address}"), inner)
        self.assertEqual(address_class(f"64:ff9b::{address}"), inner)

    def test_the_defaults_are_those_of_imgproxy(self) -> None:
        policy = AddressPolicy()
        allowed = [kind for kind in CLASSES if policy.allows(kind)]
        self.assertEqual(allowed, ["private", "public"])

    def test_each_class_has_a_switch(self) -> None:
        self.assertTrue(AddressPolicy(allow_loopback=True).allows("loopback"))
        self.assertTrue(AddressPolicy(allow_link_local=True).allows("link-local"))
        self.assertFalse(AddressPolicy(allow_private=False).allows("private"))
