"""Keys, signatures and configuration: the commands of imgforge.cli.main."""

from __future__ import annotations

import json
import stat
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imgforge import __version__
from imgforge.config import toml_example
from tests.cli.runner import imgforge

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}


class CommandTests(SynchronousTestCase):
    def test_version_is_printed(self) -> None:
        self.assertIn(__version__, imgforge("--version").stdout)

    def test_help_cuts_no_description_short(self) -> None:
        for group in ((), ("cache",), ("config",)):
            listed = imgforge(*group, "--help").stdout.partition("Commands:")[2]
            self.assertTrue(listed)
            self.assertNotIn("...", listed)

    def test_keygen_generates_a_new_pair_each_time(self) -> None:
        first, second = (dict(line.split("=") for line in imgforge("keygen").stdout.split()) for _ in range(2))
        self.assertEqual([len(bytes.fromhex(value)) for value in first.values()], [32, 32])
        self.assertEqual(list(first), ["IMGFORGE_KEY", "IMGFORGE_SALT"])
        self.assertNotEqual(first, second)

    def test_encrypt_without_a_key_says_what_a_key_is(self) -> None:
        refused = imgforge("encrypt", "http://x/a.jpg")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("16, 24 or 32 bytes as hexadecimal digits", refused.stderr)

    def test_keygen_file_is_readable_by_its_owner_only_and_replaced_only_with_force(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "imgforge.env")
            self.assertEqual(imgforge("keygen", "--file", str(path)).returncode, 0)
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
            first = path.read_text()
            self.assertRegex(first, r"\AIMGFORGE_KEY=[0-9a-f]{64}\nIMGFORGE_SALT=[0-9a-f]{64}\n\Z")
            again = imgforge("keygen", "--file", str(path))
            self.assertEqual((again.returncode, path.read_text()), (1, first))
            self.assertIn("--force", again.stderr)
            path.chmod(0o644)
            self.assertEqual(imgforge("keygen", "--file", str(path), "--force").returncode, 0)
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
            self.assertNotEqual(path.read_text(), first)
            self.assertEqual([file.name for file in Path(directory).iterdir()], ["imgforge.env"])
            unwritable = imgforge("keygen", "--file", f"{directory}/no/where")
            self.assertEqual((unwritable.returncode, len(unwritable.stderr.splitlines())), (1, 1))

    def test_config_example_prints_the_settings_file_and_the_systemd_unit(self) -> None:
        shown = imgforge("config", "example").stdout
        self.assertEqual(shown, toml_example())
        unit = imgforge("config", "example", "--unit").stdout
        self.assertIn("EnvironmentFile=-/etc/imgforge/imgforge.env\n", unit)
        self.assertIn(f"ExecStart={Path(sys.executable).with_name('twistd')} ", unit)

    def test_sign_without_keys_names_keygen(self) -> None:
        result = imgforge("sign", "/plain/x")
        self.assertEqual((result.returncode, "keygen" in result.stderr), (1, True))

    def test_config_check_prints_a_line_for_each_mistake(self) -> None:
        result = imgforge("config", "check", IMGFORGE_WORKERS="x", IMGFORGE_QUALITY="0")
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 2))
        self.assertEqual(imgforge("config", "check", **KEYS).returncode, 0)

    def test_config_show_masks_secrets(self) -> None:
        shown = json.loads(imgforge("config", "show", **KEYS).stdout)
        self.assertEqual((shown["key"], shown["quality"]), ("***", 80))
        self.assertIn("properties", json.loads(imgforge("config", "--schema").stdout))
        self.assertIn("IMGFORGE_QUALITY", imgforge("config", "reference").stdout)

    def test_config_finds_the_mistakes_that_the_server_finds_at_its_start(self) -> None:
        wrong = {"IMGFORGE_PRESETS": "bad=w:x", "IMGFORGE_WATERMARK_PATH": __file__, "IMGFORGE_QUALITY": "0"}
        for command in ("check", "show"):
            result = imgforge("config", command, **wrong)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 3), result.stderr)

    def test_config_check_says_why_the_local_filesystem_root_cannot_be_used(self) -> None:
        for path, reason in (("/nowhere/at/all", "does not exist"), (__file__, "it is a file")):
            result = imgforge("config", "check", IMGFORGE_LOCAL_FILESYSTEM_ROOT=path)
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"IMGFORGE_LOCAL_FILESYSTEM_ROOT={path!r} must name a readable directory: ", result.stderr)
            self.assertIn(reason, result.stderr)
