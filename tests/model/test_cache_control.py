"""Directives of Cache-Control, and their bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import CacheControl, delta_seconds


def names(text: str) -> list[str]:
    return [name for name, _, _ in CacheControl.parse(text).directives]


class ParsingTests(SynchronousTestCase):
    def test_directives_are_found_by_their_whole_name(self) -> None:
        for text, wanted in (
            ("", []),
            ("Public , MAX-AGE=5", ["public", "max-age"]),
            ("x-private-tier=1", ["x-private-tier"]),
            ("no-storex, xno-cache", ["no-storex", "xno-cache"]),
            ('x="private, no-store", max-age=5', ["x", "max-age"]),
            (r'x="a\", no-store", max-age=5', ["x", "max-age"]),
            ('private="set-cookie, x", max-age=5', ["private", "max-age"]),
            ("max-age = 5", ["max-age"]),
            ("two words, max-age=5,, ;", ["max-age"]),
        ):
            self.assertEqual(names(text), wanted, text)

    def test_after_an_unclosed_quote_every_comma_separates(self) -> None:
        self.assertEqual(names('x="a, no-store, max-age=5'), ["no-store", "max-age"])

    def test_values_are_unquoted_and_the_first_of_a_name_applies(self) -> None:
        said = CacheControl.parse(r'max-age="5", max-age=9, x="a\"b"')
        self.assertEqual((said.value("max-age"), said.value("x"), said.value("y")), ("5", 'a"b', None))

    def test_directives_that_forbid_reuse(self) -> None:
        for text, forbids in (("private", True), ("No-Store", True), ("no-cache", True), ("x-private-tier=1", False),
                              ('x="no-store"', False), ("public", False)):  # fmt: skip
            self.assertEqual(CacheControl.parse(text).forbids, forbids, text)

    def test_seconds_are_digits(self) -> None:
        for text, wanted in (
            ("5", 5),
            ("0", 0),
            ("-1", None),
            ("", None),
            ("5s", None),
            ("\u0665", None),
            ("9" * 500, None),
        ):
            self.assertEqual(delta_seconds(text), wanted, text)

    @given(st.text('"\\,= aprivte-no1x', max_size=40))
    def test_any_text_parses_to_itself_again(self, text: str) -> None:
        said = CacheControl.parse(text)
        self.assertEqual(CacheControl.parse(str(said)).forbids, said.forbids)


class BoundTests(SynchronousTestCase):
    def bounded(self, text: str, left: int = 60, age: int = 0) -> str:
        return str(CacheControl.parse(text).within(left, age, 1000))

    def test_every_lifetime_is_bounded(self) -> None:
        for text, wanted in (
            ("private, max-age=31536000", "private, max-age=60"),
            ("private, max-age=5", "private, max-age=5"),
            ('max-age=100, s-maxage="7000", max-age=200', "max-age=60, s-maxage=60, max-age=60"),
            ("max-age=nonsense", "max-age=0"),
            ("public", "max-age=60, public"),
            ("s-maxage=5", "max-age=60, s-maxage=5"),
            ("no-store", "no-store"),
            ("no-cache, must-revalidate", "no-cache, must-revalidate"),
            ("max-age=50, stale-while-revalidate=500, stale-if-error=5", "max-age=50, stale-while-revalidate=10, stale-if-error=5"),  # noqa: E501
            ("max-age=5000, stale-while-revalidate=500", "max-age=60, stale-while-revalidate=0"),
        ):  # fmt: skip
            self.assertEqual(self.bounded(text), wanted, text)

    def test_age_shortens_lifetimes(self) -> None:
        self.assertEqual(self.bounded("max-age=100", age=70), "max-age=30")
        self.assertEqual(self.bounded("max-age=100", age=700), "max-age=0")

    @given(st.text('"\\,=0123456789max-ges no', max_size=60), st.integers(0, 1000))
    def test_no_lifetime_exceeds_the_bound(self, text: str, left: int) -> None:
        for name, value, _ in CacheControl.parse(str(CacheControl.parse(text).within(left))).directives:
            if name in {"max-age", "s-maxage"}:
                self.assertLessEqual(int(value), left)
