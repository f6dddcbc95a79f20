"""`imgforge doctor` on this machine, with real origins, a real server, and a broken configuration."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge
from tests.support.loopback_server import LoopbackServer, QuietHandler
from tests.support.pictures import encode, gradient
from tests.support.process import ROOT, Origin, free_port, twistd

LOOPBACK = {"IMGFORGE_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"}


class DoctorCase(SynchronousTestCase):
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)

    def findings(self, *arguments: str, **settings: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
        """The exit status, and level and text of the findings by their checks."""
        base = {"IMGFORGE_BIND": f"127.0.0.1:{free_port()}", "IMGFORGE_CACHE_TYPE": "none"}
        result = imgforge("doctor", "--json", *arguments, **base | settings)
        shown = json.loads(result.stdout)
        found: dict[str, list[tuple[str, str]]] = {}
        for one in shown["checks"]:
            found.setdefault(one["check"], []).append((one["level"], f"{one['text']}; {one['cure']}"))
        levels = [level for several in found.values() for level, _ in several]
        self.assertEqual(
            [shown[level] for level in ("ok", "warn", "fail")], [levels.count(x) for x in ("ok", "warn", "fail")]
        )
        self.assertEqual(result.returncode, int(not shown["good"]))
        return result.returncode, found

    def finding(self, check: str, *arguments: str, **settings: str) -> tuple[str, str]:
        """Level and text of the last finding of *check*."""
        return self.findings(*arguments, **settings)[1][check][-1]


class MachineTests(DoctorCase):
    def test_sound_machine_has_a_line_for_each_check(self) -> None:
        settings = {"IMGFORGE_BIND": f"127.0.0.1:{free_port()}", "IMGFORGE_CACHE_TYPE": "none"}
        result = imgforge("doctor", **settings)
        self.assertEqual(result.returncode, 0, result.stdout)
        lines = result.stdout.splitlines()
        self.assertTrue(all(line.startswith(("ok    ", "warn  ")) for line in lines), lines)
        checks = {line[6:].partition(": ")[0] for line in lines}
        names = {"imgforge", "libvips", "formats", "fonts", "settings", "processes", "memory", "descriptors"}
        self.assertLessEqual(names | {"cache directory"}, checks)
        strict = imgforge("doctor", "--strict", **settings, IMGFORGE_ALLOW_UNSIGNED="1")
        self.assertEqual(strict.returncode, 1)

    def test_cache_directory_must_be_writable(self) -> None:
        settings = {"IMGFORGE_CACHE_TYPE": "disk", "IMGFORGE_CACHE_DISK_PATH": str(self.root / "cache")}
        level, text = self.finding("cache directory", **settings)
        self.assertEqual((level, str(self.root / "cache") in text, "are free" in text), ("ok", True, True))
        self.assertEqual(os.listdir(self.root / "cache"), [])
        huge = {"IMGFORGE_CACHE_DISK_MAX_BYTES": str(1 << 60)}
        self.assertEqual(self.finding("cache directory", **settings, **huge)[0], "warn")
        (self.root / "file").write_text("")
        settings["IMGFORGE_CACHE_DISK_PATH"] = str(self.root / "file")
        level, text = self.finding("cache directory", **settings)
        self.assertEqual((level, "cannot be written" in text), ("fail", True))

    def test_limits_are_compared_with_the_machine(self) -> None:
        level, text = self.finding("memory", IMGFORGE_SOURCE_MEMORY_MAX_BYTES=str(1 << 50))
        self.assertEqual((level, "1024.0 TiB" in text or "more than is usable" in text), ("warn", True))
        level, text = self.finding("descriptors", IMGFORGE_MAX_CLIENTS="4000000000")
        self.assertEqual((level, "LimitNOFILE" in text), ("warn", True))

    def test_port_is_free_or_has_a_server_or_another_program(self) -> None:
        port = free_port()
        self.assertEqual(self.finding(f"port http://127.0.0.1:{port}", IMGFORGE_BIND=f"127.0.0.1:{port}")[0], "ok")
        with twistd(PROCESSES="1") as server:
            level, text = self.finding(f"port http://127.0.0.1:{server.port}", IMGFORGE_BIND=f"127.0.0.1:{server.port}")
        self.assertEqual((level, "answers /health with 200" in text), ("ok", True))
        with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as other:
            Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
            port = other.server_address[1]
            self.patch(os, "strerror", lambda _number: "Address in use")  # as musl, Alpine's C library, has it
            level, text = self.finding(f"port http://127.0.0.1:{port}", IMGFORGE_BIND=f"127.0.0.1:{port}")
            other.shutdown()
        self.assertEqual((level, "another program" in text), ("fail", True))


class InstallationTests(DoctorCase):
    def checks_in_process(self) -> list[dict[str, Any]]:
        """The findings of a process in which the modules and packages in `root` come before all others."""
        result = subprocess.run(
            [sys.executable, "-c", "from imgforge.cli import main; main()", "doctor", "--json"],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join([str(self.root), str(ROOT), *sys.path])},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertTrue(result.stdout, result.stderr)
        checks: list[dict[str, Any]] = json.loads(result.stdout)["checks"]
        return checks

    def test_libvips_that_cannot_be_loaded_is_a_finding_and_the_other_checks_go_on(self) -> None:
        (self.root / "pyvips.py").write_text("raise OSError('libvips.so.42: cannot open shared object file')\n")
        levels = {one["check"]: (one["level"], one["text"]) for one in self.checks_in_process()}
        self.assertEqual(levels["libvips"][0], "fail")
        self.assertIn("libvips.so.42", levels["libvips"][1])
        self.assertEqual(levels["descriptors"][0], "ok")

    def test_extras_are_those_of_the_package(self) -> None:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        lines = ["Metadata-Version: 2.1", "Name: twisted-imgforge", "Version: 1"]
        lines += [f"Requires-Dist: {one}; extra == '{name}'" for name, several in extras.items() for one in several]
        lines.append("Requires-Dist: no-such-library>=3; extra == 'absent'")
        information = self.root / "twisted_imgforge-1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("\n".join(lines) + "\n")
        checks = self.checks_in_process()
        shown = {one["check"][6:]: one for one in checks if one["check"].startswith("extra ")}
        developers = {"tests", "lint", "types", "mutation"}
        self.assertEqual(set(shown), {*extras, "absent"} - developers)
        self.assertIn("botocore 1.", shown["s3"]["text"])
        self.assertEqual(shown["absent"]["text"], "is not installed")
        self.assertIn(f"{sys.executable} -m pip install 'no-such-library>=3'", shown["absent"]["cure"])

    def test_mistakes_of_the_settings_are_a_line_each(self) -> None:
        status, found = self.findings(IMGFORGE_QUALITY="0", IMGFORGE_TIMEOUT="x")
        self.assertEqual((status, [level for level, _ in found["settings"]]), (1, ["fail", "fail"]))
        self.assertIn("IMGFORGE_QUALITY='0'", found["settings"][0][1] + found["settings"][1][1])
        self.assertIn("libvips", found)

    def test_mistakes_that_parts_find_do_not_keep_the_other_checks_from_going_on(self) -> None:
        status, found = self.findings(IMGFORGE_PRESETS="bad=w:x", IMGFORGE_WATERMARK_PATH="/no/where")
        self.assertEqual((status, [level for level, _ in found["settings"]][:2]), (1, ["fail", "fail"]))
        self.assertEqual(found["descriptors"][0][0], "ok")


class ReachTests(DoctorCase):
    def test_origin_is_fetched_as_the_server_would(self) -> None:
        origin = Origin({"/a.png": encode(gradient(8, 8), "PNG")})
        self.addCleanup(origin.close)
        name, url = f"origin http://{origin.host}", origin.url("/a.png")
        status, found = self.findings("--origin", url, **LOOPBACK)
        self.assertEqual((status, found[name][0][0], "bytes in" in found[name][0][1]), (0, "ok", True))
        self.assertEqual(found["clock"][0][0], "ok")
        for settings, message in (
            ({}, "IMGFORGE_ALLOW_LOOPBACK_SOURCE_ADDRESSES"),
            ({**LOOPBACK, "IMGFORGE_ALLOWED_SOURCES": "http://other/"}, "not among those"),
            ({**LOOPBACK, "IMGFORGE_MAX_SRC_FILE_SIZE": "5"}, "more than 5"),
        ):
            level, text = self.finding(name, "--origin", url, **settings)
            self.assertEqual((level, message in text), ("fail", True), text)
        self.assertEqual(self.finding(name, "--origin", origin.url("/none"), **LOOPBACK)[0], "fail")
        # A prefix that the settings allow need not be an image.
        self.assertEqual(self.finding(name, **LOOPBACK, IMGFORGE_ALLOWED_SOURCES=origin.url("/"))[0], "ok")

    def test_unreachable_origin_fails_and_shows_no_password(self) -> None:
        port = free_port()
        status, found = self.findings("-o", f"http://127.0.0.1:{port}/a.png?token=s3cret", **LOOPBACK)
        level, text = found[f"origin http://127.0.0.1:{port}"][0]
        self.assertEqual((status, level, "refused" in text), (1, "fail", True), text)
        self.assertNotIn("s3cret", str(found))

    def test_clock_that_differs_by_years_fails(self) -> None:
        class Handler(QuietHandler):
            def do_GET(self) -> None:
                self.send_response_only(200)
                self.send_header("Date", "Wed, 01 Jan 2020 00:00:00 GMT")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        origin = LoopbackServer(Handler)
        self.addCleanup(origin.close)
        level, text = self.finding("clock", "--origin", f"http://{origin.host}/a.png", **LOOPBACK)
        self.assertEqual((level, "timedatectl" in text), ("fail", True))

    def test_store_is_told_of_once(self) -> None:
        store = {"IMGFORGE_USE_GCS": "1", "IMGFORGE_GCS_ENDPOINT": "http://127.0.0.1:9"}
        self.assertEqual(self.finding("stores", **store)[0], "ok")
        status, found = self.findings(**store, IMGFORGE_GCS_KEY="no JSON")
        self.assertEqual((status, "stores" in found), (1, False))
        self.assertEqual(["GCS_KEY" in text for level, text in found["settings"] if level == "fail"], [True])

    def test_queue_of_a_directory_answers(self) -> None:
        settings = {"IMGFORGE_CACHE_TYPE": "disk", "IMGFORGE_CACHE_DISK_PATH": str(self.root / "cache")}
        settings |= {"IMGFORGE_QUEUE_PATH": str(self.root / "queue"), "IMGFORGE_ALLOW_UNSIGNED": "1"}
        self.assertIn("does not exist", self.finding("queue", **settings)[1])
        self.assertFalse((self.root / "queue").exists())
        self.assertEqual(imgforge("render", "add", "/unsafe/w:1/plain/http://a/b", **settings).returncode, 0)
        self.assertEqual(self.finding("queue", **settings), ("ok", "answers: 1 pending, 0 failed; "))

    def test_redis_that_does_not_answer_fails(self) -> None:
        url = f"redis://:s3cret@127.0.0.1:{free_port()}"
        status, found = self.findings(
            IMGFORGE_CACHE_USE="redis", IMGFORGE_CACHE_REDIS_URL=url, IMGFORGE_ALLOW_UNSIGNED="1"
        )
        self.assertEqual((status, found["shared cache redis"][0][0]), (1, "fail"))
        self.assertNotIn("s3cret", str(found))
