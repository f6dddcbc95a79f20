"""What the table says of arguments, for forms, is what the parser takes."""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import BadOption
from imgforge.urls import OPTIONS, ArgumentKind, Option
from imgforge.urls.options import OptionParser

BASE64 = base64.urlsafe_b64encode(b"https://example.com/a.png").decode().rstrip("=")
# Values that other arguments need before them, and after them.
NEEDED = {("hashsum", "hashsum"): ["md5"], ("filename", "encoded"): [BASE64]}
FOLLOWED_BY = {"fp": ["0.5", "0.5"], **{name: ["abcdef"] for name in ("md5", "sha1", "sha256", "sha512")}}

# Choices that also take the Rust imgforge's yes or no: any other text is a no.
LENIENT = {"compression", "subsample"}


def text_of(value: float) -> str:
    return f"{value:f}".rstrip("0").rstrip(".")


def good(kind: ArgumentKind) -> list[str]:
    """Values that an argument of *kind* takes, those at its bounds among them."""
    examples = {"boolean": ["0", "1"], "color": ["abc", "a0b1c2"], "base64": [BASE64], "text": ["abcdef"]}
    if kind.kind in examples:
        return examples[kind.kind]
    bounds = [value for value in (kind.low, kind.high) if value is not None]
    if kind.above:
        bounds = [(kind.low or 0) + 0.001]
    return [*kind.choices, *map(text_of, bounds)] or ["1"]


def bad(kind: ArgumentKind) -> list[str]:
    """Values just beyond its bounds, and of another kind."""
    values = [] if kind.kind in {"boolean", "text"} else ["!"]
    if kind.low is not None:
        values.append(text_of(kind.low if kind.above else kind.low - 1))
    if kind.high is not None:
        values.append(text_of(kind.high + 1))
    return values


def spelt(option: Option, place: int, value: str) -> str:
    """The option with *value* as its argument number *place*, good values before it, and what it needs after it."""
    name, _ = option.arguments.kinds[place]
    before = NEEDED.get((option.name, name), [good(kind)[0] for _, kind in option.arguments.kinds[:place]])
    after = FOLLOWED_BY.get(value, [])
    if option.arguments.repeated and place >= len(option.arguments.kinds) - option.arguments.repeated:
        # All arguments of a repetition are given together.
        first = len(option.arguments.kinds) - option.arguments.repeated
        group = [good(kind)[0] for _, kind in option.arguments.kinds[first:]]
        group[place - first] = value
        return ":".join([option.name, *[""] * first, *group])
    return ":".join([option.name, *before, value, *after])


class ArgumentKindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parser = OptionParser(security=True)

    def test_every_option_but_the_absent_ones_has_its_arguments(self) -> None:
        for option in OPTIONS:
            with self.subTest(option=option.name):
                count = len(option.arguments.kinds)
                self.assertEqual(count > 0, option.kind != "absent")
                self.assertLessEqual(count, option.max_arguments)

    def test_parser_takes_the_values_that_the_kinds_name(self) -> None:
        for option in OPTIONS:
            for place, (name, kind) in enumerate(option.arguments.kinds):
                for value in good(kind):
                    text = spelt(option, place, value)
                    with self.subTest(option=text, argument=name):
                        self.parser.parse([text])

    def test_parser_refuses_what_lies_beyond_them(self) -> None:
        refused = 0
        for option in OPTIONS:
            for place, (name, kind) in enumerate(option.arguments.kinds):
                for value in [] if name in LENIENT else bad(kind):
                    with self.subTest(option=spelt(option, place, value), argument=name):
                        self.assertRaises(BadOption, self.parser.parse, [spelt(option, place, value)])
                        refused += 1
        self.assertGreater(refused, 100)

    def test_parsing_leaves_no_kind_behind(self) -> None:
        from imgforge.urls.options import argument_kinds

        before = len(argument_kinds._KINDS)
        for angle in range(50):
            self.parser.parse([f"gr:0.5:abc:{angle}", f"rc:{angle}"])
        self.assertEqual(len(argument_kinds._KINDS), before)
