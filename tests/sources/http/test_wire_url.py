"""URLs as they go over the wire."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import SourceNotFound
from imgforge.sources.http.wire_url import wire_url


class HostTests(SynchronousTestCase):
    def test_names_of_other_scripts_are_encoded(self) -> None:
        self.assertEqual(wire_url("http://b\xfccher.example/a"), "http://xn--bcher-kva.example/a")
        self.assertEqual(wire_url("http://\uff11\uff10.0.0.1/"), "http://10.0.0.1/")  # and then judged as an address

    def test_a_name_that_is_too_long_is_not_even_encoded(self) -> None:
        with patch("encodings.idna.ToASCII", side_effect=AssertionError("encoded")):
            self.assertRaises(SourceNotFound, wire_url, "http://" + "\u0370" * 16_000 + "/a")
