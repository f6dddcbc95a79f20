"""`imgforge process`: what the server would answer, in files."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge, imgforge_reading
from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd, wait_for


class ProcessCase(SynchronousTestCase):
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.picture = encode(gradient(64, 48), "PNG")
        for name in ("in/a.png", "in/sub/b.png"):
            self.write(name, self.picture)

    def write(self, name: str, body: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return path

    def processed(self, *arguments: str, **settings: str) -> dict[str, Any]:
        result = imgforge("process", *arguments, **settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        report: dict[str, Any] = json.loads(result.stdout)
        return report

    def refused(self, *arguments: str, **settings: str) -> str:
        result = imgforge("process", *arguments, **settings)
        self.assertNotEqual(result.returncode, 0)
        return result.stderr

    def files(self, below: str) -> list[str]:
        root = self.root / below
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


class PixelTests(ProcessCase):
    def test_results_are_those_of_the_server_byte_for_byte(self) -> None:
        mark = self.write("mark.png", encode(gradient(16, 16), "PNG"))
        configuration = self.write(
            "imgforge.toml",
            f'presets = "small=rs:fill:30:20/q:60"\nwatermark_path = "{mark}"\nauto_webp = true\n'
            f'local_filesystem_root = "{self.root}"\nallow_unsigned = true\n'.encode(),
        )
        origin = Origin({"/mark.png": mark.read_bytes()})
        self.addCleanup(origin.close)
        loopback = {"IMGFORGE_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"}
        server = Twistd(
            {"PROCESSES": "1"}, ("--config", str(configuration)), loopback | {"IMGFORGE_CACHE_TYPE": "none"}
        )
        self.addCleanup(server.clean)
        server.start()
        remote = f"wmu:{_base64(origin.url('/mark.png'))}"
        for options, extension, accept in (
            ("pr:small", "jpg", ""),
            ("rs:fit:40:40/wm:0.5:ce/sh:0.5", "png", ""),
            ("w:20/-/h:9/wm:1/" + remote, "webp", ""),
            ("w:25", "", "image/webp"),
            ("raw:1", "", ""),
        ):
            for file in ("in/a.png", "in/sub/b.png"):
                path = f"/unsafe/{options}/plain/local:///{file}{f'@{extension}' if extension else ''}"
                reply = server.get(path, {"Accept": accept})
                self.assertEqual(reply.status, 200, reply.body)
                out = self.root / "out" / f"result{f'.{extension}' if extension else ''}"
                arguments = (options, str(self.root / file), str(out))
                report = self.processed("--force", "--accept", accept, "-c", str(configuration), *arguments, **loopback)
                self.assertEqual(out.read_bytes(), reply.body, options)
                self.assertEqual((report["made"], report["bytes_out"]), (1, len(reply.body)))

    def test_limits_of_the_settings_hold(self) -> None:
        out = str(self.root / "o.png")
        source = str(self.root / "in/a.png")
        self.assertIn("megapixels", self.refused("w:10", source, out, IMGFORGE_MAX_SRC_RESOLUTION="0.001"))
        self.assertIn("more than 50 bytes", self.refused("w:10", source, out, IMGFORGE_MAX_SRC_FILE_SIZE="50"))
        self.assertIn("IMGFORGE_ALLOW_SECURITY_OPTIONS", self.refused("msr:9", source, out))
        self.assertIn("has expired", self.refused("exp:1000", source, out))
        self.assertFalse(os.path.lexists(out))

    def test_time_limit_of_the_settings_stops_a_file(self) -> None:
        options = "rs:fit:6000:6000/el:1/bl:90"
        text = self.refused(options, str(self.root / "in/a.png"), str(self.root / "o.png"), IMGFORGE_TIMEOUT="1")
        self.assertIn("it took longer than 1 seconds (IMGFORGE_TIMEOUT)", text)

    def test_time_limit_of_the_settings_ends_the_wait_for_a_watermark(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/mark.png"
            source = str(self.root / "in/a.png")
            settings = {"IMGFORGE_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "IMGFORGE_TIMEOUT": "0.3"}
            line = self.refused(f"wm:1/wmu:{_base64(url)}", source, str(self.root / "out.png"), **settings)
        self.assertIn("the watermark cannot be fetched: it takes longer than 0.3 seconds", line)

    def test_options_are_refused_as_in_a_url(self) -> None:
        source, out = str(self.root / "in/a.png"), str(self.root / "o.png")
        self.assertIn("'thumb' is not an option", self.refused("thumb/w:3", source, out))
        self.assertIn("wdith", self.refused("wdith:3", source, out))
        self.assertIn("unknown preset", self.refused("pr:none", source, out))
        self.assertEqual(
            self.processed("thumb", source, out, IMGFORGE_ONLY_PRESETS="1", IMGFORGE_PRESETS="thumb=w:9")["made"], 1
        )


class NameTests(ProcessCase):
    def test_directory_is_processed_into_the_same_directories(self) -> None:
        self.write("in/.hidden.png", self.picture)
        self.write("in/notes.txt", b"text")
        out = self.root / "out"
        self.assertEqual(self.processed("w:9/f:jpg", str(self.root / "in"), str(out))["made"], 2)
        self.assertEqual(self.files("out"), ["a.jpg", "sub/b.jpg"])
        umask = os.umask(0)
        os.umask(umask)
        self.assertEqual(stat.S_IMODE((out / "a.jpg").stat().st_mode), 0o666 & ~umask)

    def test_results_below_the_directory_are_not_its_files_the_next_time(self) -> None:
        for _ in range(2):
            pattern = str(self.root / "in/small/{dir}/{name}.png")
            self.assertEqual(self.processed("--force", "w:9", str(self.root / "in"), pattern)["made"], 2)
        self.assertEqual(self.files("in/small"), ["a.png", "sub/b.png"])

    def test_pattern_has_the_size_and_the_format_of_the_result(self) -> None:
        glob = str(self.root / "in/**/*.png")
        self.processed("w:32", glob, str(self.root / "out/{name}-{width}x{height}.{ext}"))
        self.assertEqual(self.files("out"), ["a-32x24.png", "b-32x24.png"])

    def test_pattern_that_would_mix_files_up_is_refused(self) -> None:
        folder = str(self.root / "in")
        self.assertIn("one name", self.refused("w:9", folder, str(self.root / "{width}.png")))
        self.assertIn("{number}", self.refused("w:9", folder, str(self.root / "{number}-{name}.png")))
        for ending in ("doc", "best"):
            line = self.refused("w:9", folder, str(self.root / f"{{name}}.{ending}"))
            self.assertIn(f"OUT ends with .{ending}, and the formats are jpg, ", line)
            self.assertNotIn(", best", line)
        self.assertIn("no such file", self.refused("w:9", str(self.root / "no*"), str(self.root / "out/")))
        self.assertIn("'': there is no such file", self.refused("w:9", "", str(self.root / "out/")))
        self.assertIn("OUT is empty", self.refused("w:9", folder, ""))
        for options, told in (
            ("wdith:3", "unknown option 'wdith'"),
            ("w:x", "option 'w:x'"),
            ("thumb", "is not an option"),
        ):
            misused = imgforge("process", options, folder, str(self.root / "out/"))
            self.assertEqual((misused.returncode, misused.stdout), (2, ""))
            self.assertIn(told, misused.stderr)
        self.write("in/sub/a.png", self.picture)
        shown = imgforge("process", "w:9", folder, str(self.root / "out/{name}.png"))
        self.assertEqual((shown.returncode, len(shown.stderr.splitlines())), (1, 1))
        self.assertIn("use {dir}", shown.stderr)
        report = json.loads(shown.stdout)
        self.assertEqual((report["made"], report["failed"]), (2, 1))

    def test_standard_input_becomes_standard_output(self) -> None:
        result = subprocess.run(
            [sys.executable, "-c", "from imgforge.cli import main; main()", "process", "w:9/f:webp", "-", "-"],
            input=self.picture,
            capture_output=True,
            check=True,
            timeout=60,
        )
        self.processed("w:9", str(self.root / "in/a.png"), str(self.root / "o.webp"))
        self.assertEqual(result.stdout, (self.root / "o.webp").read_bytes())
        self.assertEqual(imgforge_reading(b"", "process", "w:9", "-", str(self.root / "out/")).returncode, 1)

    def test_standard_input_may_take_longer_than_a_file_and_a_signal_ends_the_wait(self) -> None:
        command = [sys.executable, "-c", "from imgforge.cli import main; main()", "process", "w:9/f:webp", "-", "-"]
        environment = os.environ | {"IMGFORGE_TIMEOUT": "3"}
        slow = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        with slow, subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as silent:
            assert slow.stdin is not None
            slow.stdin.write(self.picture[:100])
            slow.stdin.flush()
            time.sleep(4.0)  # longer than the time limit
            wait_for(lambda: _catches(silent, signal.SIGTERM), "the command to wait for its input")
            silent.terminate()
            self.assertEqual(silent.wait(60), 128 + signal.SIGTERM)
            made, _ = slow.communicate(self.picture[100:], 60)
        self.assertEqual((slow.returncode, made[:4]), (0, b"RIFF"))

    def test_files_of_one_name_are_told_of_where_results_exist_already(self) -> None:
        self.write("d/x.jpg", self.picture)
        self.write("d/x.png", self.picture)
        arguments = ("w:9/f:webp", str(self.root / "d"), str(self.root / "out/{name}.webp"))
        for option in ((), ("--skip-existing",)):
            shown = imgforge("process", *option, *arguments)
            self.assertEqual((shown.returncode, json.loads(shown.stdout)["failed"]), (1, 1), shown.stderr)


class WritingTests(ProcessCase):
    def test_existing_files_are_replaced_only_with_force(self) -> None:
        source, out = str(self.root / "in/a.png"), self.write("o.png", b"mine")
        self.assertIn("--force", self.refused("w:9", source, str(out)))
        self.assertEqual(self.processed("--skip-existing", "w:9", source, str(out))["skipped"], 1)
        self.assertEqual(out.read_bytes(), b"mine")
        self.assertEqual(self.processed("--force", "w:9", source, str(out))["made"], 1)
        self.assertNotEqual(out.read_bytes(), b"mine")

    def test_failures_are_a_line_each_and_the_others_are_made(self) -> None:
        self.write("in/text.png", b"no image")
        self.write("in/\x1b[2J\n.png", b"no image")
        self.write("in/cut.jpg", b"\xff\xd8\xff\xe0")
        result = imgforge("process", "w:9", str(self.root / "in"), str(self.root / "out/"))
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 3), result.stderr)
        self.assertNotIn("\x1b", result.stderr)
        self.assertIn(str(self.root / "in/text.png") + ": ", result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual((report["made"], report["failed"]), (2, 3))
        self.assertEqual(self.files("out"), ["a.png", "sub/b.png"])

    def test_failed_write_leaves_nothing(self) -> None:
        self.write("file", b"")
        self.assertIn(
            "Not a directory", self.refused("w:9", str(self.root / "in/a.png"), str(self.root / "file/o.png"))
        )
        self.assertEqual(self.files("."), ["file", "in/a.png", "in/sub/b.png"])

    def test_interrupt_stops_libvips_and_leaves_whole_files_only(self) -> None:
        for number in range(24):
            self.write(f"many/{number:02}.png", self.picture)
        command = [sys.executable, "-c", "from imgforge.cli import main; main()", "process", "-j", "2"]
        arguments = ["rs:fit:1500:1500/el:1/bl:20/f:jpg", str(self.root / "many"), str(self.root / "out/")]
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            wait_for(lambda: (self.root / "out").exists() and self.files("out"), "the first file")
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 128 + signal.SIGINT, errors)
        report = json.loads(output)
        self.assertEqual((report["interrupted"], report["failed"]), (True, 0))
        self.assertLess(report["made"], 24)
        self.assertEqual(len(self.files("out")), report["made"])
        self.assertIn(b"--skip-existing goes on", errors)
        self.assertNotIn("partial", " ".join(self.files("out")))


def _catches(process: subprocess.Popen[bytes], number: int) -> bool:
    """Whether *process* handles the signal *number*."""
    status = Path("/proc", str(process.pid), "status").read_text("ascii")
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) & 1 << number - 1)


def _base64(text: str) -> str:
    import base64

    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
