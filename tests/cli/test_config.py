"""`imgforge config`: where settings come from, and the reference for programs."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import Settings
from tests.cli.runner import imgforge


class ConfigCommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.presets = Path(directory.name, "presets")
        self.presets.write_text("small=w:20\n")
        self.file = Path(directory.name, "imgforge.toml")
        self.file.write_text(f'quality = 70\ntimeout = 9\nsecret = "s3cret"\npresets_path = "{self.presets}"\n')

    def shown(self, *arguments: str, **environment: str) -> dict[str, Any]:
        result = imgforge("config", "show", "--config", str(self.file), *arguments, **environment)
        self.assertEqual((result.returncode, "s3cret" in result.stdout), (0, False), result.stderr)
        shown: dict[str, Any] = json.loads(result.stdout)
        return shown

    def test_show_tells_where_each_value_was_set(self) -> None:
        shown = self.shown("--where", IMGFORGE_TIMEOUT="8", IMGFORGE_ENABLE_WEBP_DETECTION="1")
        self.assertEqual(set(shown), set(Settings.fields))
        expected = {
            "quality": (70, f"in {self.file}"),
            "timeout": (8, "in the environment"),
            "auto_webp": (True, "in the environment, as IMGFORGE_ENABLE_WEBP_DETECTION"),
            "presets": ({"small": "w:20"}, "in the file of IMGFORGE_PRESETS_PATH"),
            "secret": ("***", f"in {self.file}"),
            "max_animation_frames": (64, "default of a server that is tried out"),
            "workers": (0, "default"),
        }
        self.assertEqual({name: (shown[name]["value"], shown[name]["where"]) for name in expected}, expected)

    def test_show_tells_of_a_file_of_variables(self) -> None:
        variables = self.file.with_name("variables.env")
        variables.write_text("IMGFORGE_WORKERS=3\n")
        shown = self.shown("--where", IMGFORGE_ENV_LOCAL_FILE_PATH=str(variables))
        self.assertEqual(shown["workers"], {"value": 3, "where": f"in {variables}"})

    def test_show_of_the_changed_leaves_defaults_out(self) -> None:
        shown = self.shown("--changed", IMGFORGE_ALLOW_UNSIGNED="1")
        changed = {"allow_unsigned": True, "presets": {"small": "w:20"}, "presets_path": str(self.presets)}
        self.assertEqual(shown, {"quality": 70, "timeout": 9, "secret": "***"} | changed)

    def test_show_of_names_has_those_alone(self) -> None:
        self.assertEqual(self.shown("IMGFORGE_QUALITY", "secret"), {"quality": 70, "secret": "***"})
        refused = imgforge("config", "show", "qualty")
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertIn("did you mean quality?", refused.stderr)

    def test_strict_check_fails_on_a_risk(self) -> None:
        for arguments, status in (((), 0), (("--strict",), 1)):
            result = imgforge("config", "check", *arguments, IMGFORGE_ALLOW_UNSIGNED="1")
            self.assertEqual((result.returncode, "IMGFORGE_ALLOW_UNSIGNED: " in result.stderr), (status, True))

    def test_reference_as_json_has_every_setting(self) -> None:
        rows = json.loads(imgforge("config", "reference", "--format", "json").stdout)
        self.assertEqual([row["key"] for row in rows], list(Settings.fields))
        quality = next(row for row in rows if row["key"] == "quality")
        self.assertEqual((quality["variable"], quality["default"]), ("IMGFORGE_QUALITY", 80))
        self.assertIn("from 1 to 100", quality["allowed"])
