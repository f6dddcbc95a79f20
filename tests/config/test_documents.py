"""What is generated from the code is up to date."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import Settings, load_settings, markdown_reference, toml_example

ROOT = Path(__file__).parents[2]

# What a number of a description may count: one of these stands in each description of a setting that is a number.
UNITS = re.compile(
    r"\b(seconds|bytes|pixels|megapixels|percent|bits|dots per inch|number|fraction|factor|distance)\b", re.IGNORECASE
)


class DocumentTests(SynchronousTestCase):
    def test_generated_files_are_what_the_generator_writes(self) -> None:
        generated = runpy.run_path(str(ROOT / "docs" / "generate.py"))["generated"]()
        for path, content in generated.items():
            self.assertEqual(path.read_text("utf-8"), content, f"{path.name} is out of date: tox run -e docs")

    def test_the_example_has_every_setting_with_its_default(self) -> None:
        lines = [
            line.removeprefix("# ") for line in toml_example().splitlines() if " = " in line and line.startswith("# ")
        ]
        values = tomllib.loads("\n".join(lines))
        self.assertEqual(set(values), set(Settings.fields))

    def test_the_example_changes_nothing(self) -> None:
        self.assertEqual(load_settings(str(ROOT / "etc" / "imgforge.toml"), {}), load_settings(None, {}))

    def test_every_description_is_a_sentence_of_its_own(self) -> None:
        for name, field in Settings.fields.items():
            self.assertRegex(field.description or "", r"\A[A-Z].*\.\Z", name)
            self.assertGreater(len((field.description or "").split()), 5, name)
            # Such a word would stand for something in another description.
            self.assertNotRegex(field.description or "", r"\b(likewise|of it\.|they are,)", name)

    def test_every_number_has_its_unit(self) -> None:
        numbers = {name: field for name, field in Settings.fields.items() if field.annotation in {int, float}}
        self.assertGreater(len(numbers), 50)
        for name, field in numbers.items():
            self.assertRegex(field.description or "", UNITS, name)

    def test_a_number_that_means_something_else_at_0_says_so(self) -> None:
        """Where 0 is allowed although there is no unit of which there might be none."""
        scales = {"webp_effort", "avif_speed", "watermark_opacity", "autoquality_allowed_error"}
        without = {"cache_control_swr", "ttl"}  # none of these seconds is what 0 says
        for name, field in Settings.fields.items():
            if field.bounds.ge == 0 and name not in scales | without:
                self.assertRegex(field.description or "", r"\b0 \w+", name)

    def test_the_references_tell_the_allowed_values(self) -> None:
        example, table = toml_example(), markdown_reference()
        for said in ("whole number from 1 to 32", "number above 0 to 86400", "true, false", "memory, disk, hybrid"):
            self.assertIn(f"| {said} |" if "memory" not in said else f"| empty, {said} |", table)
            self.assertIn(said, example)
        self.assertLessEqual(max(map(len, (line for line in example.splitlines() if " = " not in line))), 120)
