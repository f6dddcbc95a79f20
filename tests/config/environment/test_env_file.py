"""The syntax of environment files: each rule of imgproxy's documents, and what its parser takes beside them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config.environment.env_file import LineMistake, parse_env_file

ENVIRON = {"OTHER": "from outside", "SHADOWED": "outside"}


def value(text: str) -> str:
    return parse_env_file(f"SHADOWED=inside\nVAR={text}\n", ENVIRON)["VAR"]


class SyntaxTests(SynchronousTestCase):
    def test_values(self) -> None:
        for text, expected in (
            ("VAL", "VAL"),
            ('"VAL"', "VAL"),
            ("'VAL'", "VAL"),
            ("  VAL  ", "VAL"),
            ("", ""),
            ('""', ""),
            ("a=b", "a=b"),
            # Variables.
            ("${OTHER}", "from outside"),
            ("$OTHER", "from outside"),
            ('"$OTHER"', "from outside"),
            ('"${OTHER}!"', "from outside!"),
            ("$SHADOWED", "inside"),
            ("$UNKNOWN.", "."),
            ("'$OTHER'", "$OTHER"),
            ("'${OTHER}'", "${OTHER}"),
            ("$lower", "$lower"),
            ("5$", "5$"),
            (r"\$OTHER", "$OTHER"),
            (r'"\$OTHER"', "$OTHER"),
            ("$(date)", "(date)"),
            # Escapes.
            (r'"{\"hello\": \"json\"}"', '{"hello": "json"}'),
            (r'"some\\value"', "some\\value"),
            (r'"some\nvalue\r"', "some\nvalue\r"),
            (r"some\nvalue", r"some\nvalue"),
            (r"'some\nvalue'", r"some\nvalue"),
            # Comments.
            ("VAL # comment", "VAL"),
            ("VAL#comment", "VAL"),
            ('"a # b" # comment', "a # b"),
            ("'a # b' # comment", "a # b"),
            (r'"a \" # b"', 'a " # b'),
            ("it's # here", "it's # here"),
        ):
            self.assertEqual(value(text), expected, text)

    def test_lines(self) -> None:
        text = "\ufeff# comment\n\n   \n  # another\nexport A=1\n  B = 2\r\nC: 3\nA_B.c-1=4\nA=5"
        self.assertEqual(parse_env_file(text, {}), {"A": "5", "B": "2", "C": "3", "A_B.c-1": "4"})

    def test_mistakes_name_the_line_and_nothing_of_it(self) -> None:
        for line in ("hunter2", '{"KEY": "hunter2"}', "=hunter2", "1A=hunter2", "A B=hunter2", "A=hun\0ter2"):
            with self.assertRaises(LineMistake) as caught:
                parse_env_file(f"A=1\n\n{line}\n", {})
            self.assertEqual(str(caught.exception), "line 3 must be NAME=value")

    def test_number_of_lines_is_bounded(self) -> None:
        with self.assertRaises(LineMistake):
            parse_env_file("A=1\n" * 10_001, {})

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=50))
    def test_quoted_texts_come_back(self, text: str) -> None:
        if "'" not in text:
            self.assertEqual(parse_env_file(f"A='{text}'", {}), {"A": text})
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
        self.assertEqual(parse_env_file(f'A="{escaped}"', {}), {"A": text})
