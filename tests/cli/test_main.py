"""The imgforge command, run as its users run it."""

from __future__ import annotations

import hashlib
import hmac
import json
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imgforge import __version__
from imgforge.config import toml_example
from tests.support.cli import imgforge
from tests.support.process import Twistd

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}


class CommandTests(SynchronousTestCase):
    def test_no_command_is_described_by_half_a_sentence(self) -> None:
        for group in ((), ("cache",), ("config",)):
            listed = imgforge(*group, "--help").stdout.partition("Commands:")[2]
            self.assertTrue(listed)
            self.assertNotIn("...", listed)

    def test_version(self) -> None:
        self.assertIn(__version__, imgforge("--version").stdout)

    def test_the_version_needs_no_libvips_no_reactor_and_no_settings(self) -> None:
        program = (
            "import sys; from imgforge.cli import main; main(['--version'], standalone_mode=False); "
            "print([name for name in ('pyvips', 'twisted', 'pydantic') if name in sys.modules])"
        )
        shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        self.assertIn("[]", shown.stdout)

    def test_keygen_makes_a_new_pair_each_time(self) -> None:
        first, second = (dict(line.split("=") for line in imgforge("keygen").stdout.split()) for _ in range(2))
        self.assertEqual([len(bytes.fromhex(value)) for value in first.values()], [32, 32])
        self.assertEqual(list(first), ["IMGFORGE_KEY", "IMGFORGE_SALT"])
        self.assertNotEqual(first, second)

    def test_keygen_writes_a_file_for_its_owner_alone_and_replaces_none_unasked(self) -> None:
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
            self.assertEqual([one.name for one in Path(directory).iterdir()], ["imgforge.env"])
            nowhere = imgforge("keygen", "--file", f"{directory}/no/where")
            self.assertEqual((nowhere.returncode, len(nowhere.stderr.splitlines())), (1, 1))

    def test_config_example_is_a_file_that_the_server_takes(self) -> None:
        shown = imgforge("config", "example").stdout
        self.assertEqual(shown, toml_example())
        unit = imgforge("config", "example", "--unit").stdout
        self.assertIn("EnvironmentFile=-/etc/imgforge/imgforge.env\n", unit)
        self.assertIn(f"ExecStart={Path(sys.executable).with_name('twistd')} ", unit)

    def test_what_sign_signs_verify_finds_good(self) -> None:
        for arguments in (
            ("/w:3/plain/http://x/a.jpg",),
            ("--source", "http://x/ü@.jpg", "--options", "w:3", "-F", "webp"),
        ):
            signed = imgforge("sign", *arguments, **KEYS).stdout.strip()
            self.assertEqual(imgforge("verify", signed, **KEYS).returncode, 0)
            self.assertEqual(imgforge("verify", signed + "x", **KEYS).returncode, 1)

    def test_verify_reads_paths_as_the_server_would(self) -> None:
        rules = {"IMGFORGE_ARGUMENTS_SEPARATOR": "_", "IMGFORGE_PATH_PREFIX": "/images"}
        signed = imgforge("sign", "/w_3/plain/http://x/a.jpg", **KEYS, **rules).stdout.strip()
        self.assertEqual(imgforge("verify", "/images" + signed, **KEYS, **rules).returncode, 0)
        self.assertEqual(imgforge("verify", signed, **KEYS).returncode, 1)

    def test_verify_takes_whole_urls_with_a_prefix_and_a_query_and_those_of_info(self) -> None:
        rules = {"IMGFORGE_PATH_PREFIX": "/images"}
        signed = imgforge("sign", "/w:3/plain/http://x/a.jpg", **KEYS).stdout.strip()
        for url in (
            f"http://127.0.0.1:3000{signed}",
            f"https://cdn.example/images{signed}?v=2",
            f"http://h{signed}#top",
        ):
            result = imgforge("verify", url, **KEYS, **rules)
            self.assertEqual((result.returncode, result.stdout), (0, "the signature is good\n"), result.stderr)
        about = imgforge("sign", "/palette:8/plain/http://x/a.jpg", **KEYS).stdout.strip()
        self.assertEqual(imgforge("verify", f"http://h/info{about}", **KEYS).returncode, 0)

    def test_verify_names_the_mistake_and_no_key(self) -> None:
        digest = hmac.new(KEYS["IMGFORGE_KEY"].encode(), b"/w:3/plain/http://x/a.jpg", hashlib.sha256).hexdigest()
        result = imgforge("verify", f"http://h/{digest}/w:3/plain/http://x/a.jpg", **KEYS)
        self.assertEqual(result.returncode, 1)
        for said in ("key was used as hexadecimal text", "salt was left out", "in hexadecimal"):
            self.assertIn(said, result.stderr)
        for secret in ("aaaa", "bbbb", imgforge("sign", "/w:3/plain/http://x/a.jpg", **KEYS).stdout[1:40]):
            self.assertNotIn(secret, result.stdout + result.stderr)
        other = imgforge("verify", "/AQIDBAUGBwgJCgsM/w:3/plain/http://x/a.jpg", **KEYS)
        self.assertEqual((other.returncode, "none of the usual mistakes" in other.stderr), (1, True))

    def test_verify_tells_a_good_signature_from_a_good_path(self) -> None:
        signed = imgforge("sign", "/wdth:3/plain/http://x/a.jpg", **KEYS).stdout.strip()
        result = imgforge("verify", signed, **KEYS)
        self.assertEqual((result.returncode, "the signature is good, but" in result.stderr), (1, True))

    def test_verify_says_which_of_several_keys_signed(self) -> None:
        both = {name: f"{value},{'cc' * 32}" for name, value in KEYS.items()}
        second = dict.fromkeys(KEYS, "cc" * 32)
        signed = imgforge("sign", "/plain/http://x/a.jpg", **second).stdout.strip()
        self.assertIn("key 2 of 2", imgforge("verify", signed, **both).stdout)

    def test_nothing_is_good_without_keys(self) -> None:
        self.assertEqual(imgforge("verify", "/unsafe/plain/http://x/a.jpg").returncode, 1)

    def test_sign_without_keys_says_how_to_make_them(self) -> None:
        result = imgforge("sign", "/plain/x")
        self.assertEqual((result.returncode, "keygen" in result.stderr), (1, True))

    def test_config_check_gives_a_line_for_each_mistake(self) -> None:
        result = imgforge("config", "check", IMGFORGE_WORKERS="x", IMGFORGE_QUALITY="0")
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 2))
        self.assertEqual(imgforge("config", "check", **KEYS).returncode, 0)

    def test_config_show_masks_secrets(self) -> None:
        shown = json.loads(imgforge("config", "show", **KEYS).stdout)
        self.assertEqual((shown["key"], shown["quality"]), ("***", 80))
        self.assertIn("properties", json.loads(imgforge("config", "--schema").stdout))
        self.assertIn("IMGFORGE_QUALITY", imgforge("config", "reference").stdout)

    def test_health_asks_the_server(self) -> None:
        server = Twistd({"PROCESSES": "1"})
        self.addCleanup(server.clean)
        server.start()
        url = f"http://127.0.0.1:{server.port}"
        self.assertEqual(imgforge("health", "--url", url).returncode, 0)
        self.assertEqual(imgforge("health", IMGFORGE_BIND=f"127.0.0.1:{server.port}").returncode, 0)
        server.stop()
        self.assertEqual(imgforge("health", "--url", url).returncode, 1)

    def test_config_knows_the_mistakes_that_only_the_server_would_find(self) -> None:
        wrong = {"IMGFORGE_PRESETS": "bad=w:x", "IMGFORGE_WATERMARK_PATH": __file__, "IMGFORGE_QUALITY": "0"}
        for command in ("check", "show"):
            result = imgforge("config", command, **wrong)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 3), result.stderr)

    def test_config_check_says_why_the_root_of_local_files_cannot_be_used(self) -> None:
        for path, why in (("/nowhere/at/all", "does not exist"), (__file__, "it is a file")):
            result = imgforge("config", "check", IMGFORGE_LOCAL_FILESYSTEM_ROOT=path)
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"IMGFORGE_LOCAL_FILESYSTEM_ROOT={path!r} must name a readable directory: ", result.stderr)
            self.assertIn(why, result.stderr)

    def test_health_says_in_one_line_why_there_is_no_answer(self) -> None:
        for arguments, bind in (
            (("--url", "nonsense"), ""),
            (("--url", "http://x:999999"), ""),
            ((), "systemd:index=0"),
        ):
            result = imgforge("health", *arguments, IMGFORGE_BIND=bind, IMGFORGE_ALLOW_UNSIGNED="true")
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1), result.stderr)
