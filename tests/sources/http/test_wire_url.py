"""URLs as they go over the wire."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import SourceNotFound
from imgforge.sources.http.wire_url import wire_url


class EscapeTests(SynchronousTestCase):
    def test_what_is_escaped_stays_as_it_is(self) -> None:
        for url in ("http://a.test/a%2fb//c/../d-e_f~?sig=%7E%2B+x&y=[1]", "http://a.test/?a=b:c@d!$,;'()*/"):
            self.assertEqual(wire_url(url), url)

    def test_what_is_not_is_escaped(self) -> None:
        self.assertEqual(wire_url('http://a.test/100%/\xfc b"?50%2'), "http://a.test/100%25/%C3%BC%20b%22?50%252")


class HostTests(SynchronousTestCase):
    def test_names_of_other_scripts_are_encoded(self) -> None:
        self.assertEqual(wire_url("http://b\xfccher.example/a"), "http://xn--bcher-kva.example/a")
        self.assertEqual(wire_url("http://\uff11\uff10.0.0.1/"), "http://10.0.0.1/")  # and then judged as an address

    def test_a_name_that_is_too_long_is_not_even_encoded(self) -> None:
        with patch("encodings.idna.ToASCII", side_effect=AssertionError("encoded")):
            self.assertRaises(SourceNotFound, wire_url, "http://" + "\u0370" * 16_000 + "/a")
