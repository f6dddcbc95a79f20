"""Errors suggest the probable name, and quote the client's URL."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import BadOption, BadPath
from imgforge.urls import BY_NAME, INFO_OPTIONS, UrlParser, UrlSettings

PARSER = UrlParser(
    UrlSettings(allow_unsigned=True, presets={"thumbnail": "w:1"}, info_presets={"colours": "avg:1"}),
)


class SuggestionTests(SynchronousTestCase):
    def message(self, path: str) -> str:
        parse = PARSER.parse_info if path.startswith("/info/") else PARSER.parse
        with self.assertRaises((BadOption, BadPath)) as caught:
            parse(path.encode())
        return str(caught.exception.message)

    def test_a_source_without_plain_gets_a_hint(self) -> None:
        for source in ("http://x/a.jpg", "https:/x/a.jpg", "http%3A%2F%2Fx%2Fa.jpg", "local:///a.png", "gopher://x/a"):
            for before in ("/unsafe/", "/unsafe/w:3/", "/info/unsafe/", "/info/unsafe/p:3/"):
                self.assertIn("a source URL needs plain/ before it", self.message(before + source))

    def test_a_misspelt_option_gets_a_suggestion(self) -> None:
        for wrong, right in (
            ("widht:3", "width"),
            ("WIDTH:3", "width"),
            ("min_widht:3", "min_width"),
            ("prest:a", "preset"),
        ):
            self.assertIn(f"did you mean {right!r}?", self.message(f"/unsafe/{wrong}/plain/http://x/a"))
        self.assertIn("did you mean 'palette'?", self.message("/info/unsafe/palete:3/plain/http://x/a"))

    def test_every_option_name_is_suggested_for_a_missing_letter(self) -> None:
        for path, names in (("/unsafe", list(BY_NAME)), ("/info/unsafe", [option.name for option in INFO_OPTIONS])):
            known = {*BY_NAME} if path == "/unsafe" else {n for one in INFO_OPTIONS for n in (one.name, *one.aliases)}
            for name in (one for one in names if len(one) > 5):
                wrong = name[:3] + name[4:]
                if wrong not in known:
                    self.assertIn("did you mean ", self.message(f"{path}/{wrong}:1/plain/http://x/a"), name)

    def test_a_misspelt_preset_or_format_gets_a_suggestion(self) -> None:
        self.assertIn("did you mean 'thumbnail'?", self.message("/unsafe/pr:thumbnial/plain/http://x/a"))
        self.assertIn("did you mean 'colours'?", self.message("/info/unsafe/pr:colors/plain/http://x/a"))
        self.assertIn("did you mean 'webp'?", self.message("/unsafe/plain/http://x/a@wepb"))
        self.assertIn("did you mean 'png'?", self.message("/unsafe/plain/http://x/a@PNG"))

    def test_an_unlike_name_gets_no_suggestion(self) -> None:
        for path in ("/unsafe/qqqqq:3/plain/http://x/a", f"/unsafe/{'width' * 5000}:3"[:16000] + ":3/plain/http://x/a"):
            self.assertNotIn("did you mean", self.message(path))

    def test_the_operators_lists_get_the_same_suggestions(self) -> None:
        with self.assertRaisesRegex(ValueError, "did you mean 'width'"):
            UrlParser(UrlSettings(allowed_processing_options=frozenset({"widht"})))
        with self.assertRaisesRegex(ValueError, "did you mean 'palette'"):
            UrlParser(UrlSettings(allowed_info_options=frozenset({"palete"})))
        with self.assertRaisesRegex(ValueError, "did you mean 'width'"):
            UrlParser(UrlSettings(presets={"a": "widht:3"}))

    def test_options_are_quoted_as_sent(self) -> None:
        for sent in ("wdth%3A3", "w%3Aten", "rs%3Afill:x%20y", "wm:2%2C5"):
            self.assertIn(repr(sent), self.message(f"/unsafe/{sent}/plain/http://x/a"))
        self.assertIn("'p%3Aten'", self.message("/info/unsafe/p%3Aten/plain/http://x/a"))
        self.assertNotIn("x y'", self.message("/unsafe/rs%3Afill:x%20y/plain/http://x/a").partition(": ")[0])
