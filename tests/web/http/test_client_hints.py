"""Client hints set the options that the URL leaves open, rounded and within the limits."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from imgforge.model import Hints, ImageRequest
from imgforge.urls import UrlParser, UrlSettings
from imgforge.web import ClientHints
from imgforge.web.http import AppliedHints, hints_in

PARSER = UrlParser(UrlSettings(allow_unsigned=True, presets={"half": "dpr:0.5"}))


def image(options: str = "q:80") -> ImageRequest:
    return PARSER.parse(f"/unsafe/{options}/plain/http://o/a.jpg".encode())


class ClientHintsTests(SynchronousTestCase):
    def applied(self, options: str, longest_side: int = 16384, **headers: str) -> AppliedHints:
        channel: Any = DummyChannel()
        request = Request(channel)
        for name, value in headers.items():
            request.requestHeaders.addRawHeader(name.replace("_", "-").encode(), value.encode())
        return ClientHints(True, longest_side).of(request, image(options))

    def used(self, options: str = "q:80", longest_side: int = 16384, **headers: str) -> Hints:
        return self.applied(options, longest_side, **headers).used

    def test_hints_set_the_options_that_the_url_leaves_open(self) -> None:
        self.assertEqual(self.used(), (0, 0))
        self.assertEqual(self.used(Width="100"), (100, 0))
        self.assertEqual(self.used(DPR="2"), (0, 2))
        self.assertEqual(self.used(Width="100", DPR="2"), (50, 2))
        self.assertEqual(self.used("w:70", Width="100", DPR="2"), (0, 2))
        self.assertEqual(self.used("rs:fit::70", Width="100", DPR="2"), (50, 2))
        self.assertEqual(self.used("dpr:3", Width="100", DPR="2"), (50, 0))
        self.assertEqual(self.used("pr:half", Width="100", DPR="2"), (50, 0))
        self.assertEqual(self.used("w:70/dpr:3", Width="100", DPR="2"), (0, 0))
        self.assertEqual(self.used("w:0", Width="100"), (0, 0))

    def test_newer_header_takes_precedence_if_it_is_valid(self) -> None:
        self.assertEqual(self.used(Width="100", Sec_CH_Width="200", DPR="2", Sec_CH_DPR="1.5"), (133, 1.5))
        self.assertEqual(self.used(Width="100", Sec_CH_Width="x", DPR="2", Sec_CH_DPR="-1"), (50, 2))

    def test_value_that_is_not_a_positive_number_is_ignored(self) -> None:
        for value in ("", "0", "-5", "nan", "inf", "1e3", "0x10", "5 5", "9" * 40):
            self.assertEqual(self.used(Width=value, DPR=value), (0, 0), value)
        self.assertEqual(self.used(Width="100.5"), (0, 0))

    def test_hints_never_exceed_the_longest_side(self) -> None:
        self.assertEqual(self.used(longest_side=500, Width="99999999"), (500, 0))
        self.assertEqual(self.used(DPR="1000"), (0, 8))
        self.assertEqual(self.used("h:200/el:1", longest_side=500, DPR="8"), (0, 2.5))
        self.assertEqual(self.used("w:200/z:2/pd:0:50:0:50", longest_side=1000, DPR="8"), (0, 2))
        self.assertEqual(self.used("w:900/el:1", longest_side=500, DPR="8"), (0, 1))

    def test_vary_has_the_headers_that_may_be_used(self) -> None:
        every = (b"Sec-CH-DPR", b"DPR", b"Sec-CH-Width", b"Width")
        for options, vary in (("q:80", every), ("dpr:2", every), ("w:9", every[:2]), ("w:9/dpr:2", ())):
            self.assertEqual(self.applied(options).vary, vary)
        self.assertEqual(ClientHints().of(Request(DummyChannel()), image()), AppliedHints())

    @given(st.floats(0.001, 1e6), st.integers(1, 10**9))
    def test_hints_are_rounded_up_to_few_values(self, ratio: float, width: int) -> None:
        hints = hints_in(b"%.3f" % ratio, b"", b"%d" % width, b"")
        self.assertEqual((hints.width % 10, hints.dpr * 4 % 1), (0, 0))
        self.assertLessEqual(hints.dpr, 8)
        self.assertGreaterEqual(hints.width, width)

    def test_hints_are_separate_from_the_options_of_the_url(self) -> None:
        self.assertEqual(hints_in(b"2", b"", b"", b""), Hints(0, 2.0))
        self.assertEqual(image().unset, {"width", "dpr"})
