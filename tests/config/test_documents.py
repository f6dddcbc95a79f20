"""What is generated from the code is up to date."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import Settings, load_settings, toml_example

ROOT = Path(__file__).parents[2]


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
        self.assertEqual(set(values), set(Settings.model_fields))

    def test_the_example_changes_nothing(self) -> None:
        self.assertEqual(load_settings(str(ROOT / "etc" / "imgforge.toml"), {}), load_settings(None, {}))
