"""Plugins on Python's path of the real server: broken ones, one that serves a scheme, and that of the documentation."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.loopback_server import DEADLINE
from tests.support.pictures import decode, encode, gradient
from tests.support.process import ROOT, Origin, Twistd, wait_for

PLUGIN = """
from io import BytesIO

from PIL import Image
from twisted.internet.defer import succeed
from twisted.plugin import IPlugin
from zope.interface import implementer

from imgforge.interfaces import ISource, ISourceFactory
from imgforge.model import SourceImage


@implementer(ISource)
class Plain:  # of before: it calls `reserve` `room` and has no `close`
    def fetch(self, url, limit, headers, room=None):
        buffer = BytesIO()
        Image.new("RGB", (8, 6), url.partition("://")[2]).save(buffer, "PNG")
        return succeed(SourceImage(buffer.getvalue()))


@implementer(IPlugin, ISourceFactory)
class Factory:
    schemes = ("colour",)

    def make(self, reactor, settings):
        return Plain()


factory = Factory()
"""


def documented() -> dict[str, str]:
    """The code in docs/plugins.md that tests run, by its names there."""
    text = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    return dict(re.findall(r"<!-- (\w+): run by [^\n]*-->\n\n```python\n(.*?)```", text, re.DOTALL))


PICTURE = encode(gradient(16, 12), "PNG")


# Plugins that cannot be used, and the line that the server ends with.
BROKEN = {
    PLUGIN.replace(
        '("colour",)', '"zip"'
    ): "colours.factory: schemes must be a tuple of names, as in ('zip',): it is 'zip'",
    PLUGIN.replace('("colour",)', '("Colour",)'): "colours.factory: 'Colour' is no URL scheme",
    PLUGIN.replace('("colour",)', "()"): "colours.factory: schemes is empty",
    PLUGIN.replace("def make(", "def build("): "colours.factory: it is no ISourceFactory",
    "import nonsense_of_imgforge": "colours cannot be imported: ModuleNotFoundError: No module named 'nonsense_of_",
    "imgforge = (": "colours cannot be imported: SyntaxError",
}
# Waits in the process that checks the settings only: twistd imports all plugins, before the server is made.
SLOW = """
import sys
import time
from pathlib import Path

here = Path(__file__).parent
while "start_checks" in sys.argv[0] and (here / "wait").exists():
    (here / "waits").touch()
    time.sleep(0.02)
"""
RAISING = PLUGIN.replace("return Plain()", "raise ValueError('no token')")


class PluginCase(SynchronousTestCase):
    def setUp(self) -> None:
        beside = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(beside.cleanup)
        self.plugins = Path(beside.name, "twisted", "plugins")
        self.plugins.mkdir(parents=True)
        self.environment = {"PYTHONPATH": os.pathsep.join([beside.name, str(ROOT)])}

    def server(self, **settings: str) -> Twistd:
        made = Twistd({"ALLOW_UNSIGNED": "true", "PROCESSES": "2", **settings}, environment=self.environment)
        self.addCleanup(made.clean)
        return made

    def ended(self, server: Twistd) -> str:
        """The whole output of *server*, whose start fails."""
        server.launch()
        wait_for(lambda: server.ended, "the end of a start that fails")
        self.assertEqual(server.process and server.process.returncode, 1)
        return server.output()


class BrokenPluginTests(PluginCase):
    def test_a_broken_plugin_ends_the_start_with_a_line_that_names_it(self) -> None:
        for text, fault in BROKEN.items():
            (self.plugins / "colours.py").write_text(text)
            # Python takes compiled code for that of a file of the same length that was written in the same second.
            shutil.rmtree(self.plugins / "__pycache__", ignore_errors=True)
            lines = [line for line in self.ended(self.server()).splitlines() if line.startswith("imgforge: ")]
            self.assertEqual(len(lines), 1, lines)
            self.assertTrue(lines[0].startswith(f"imgforge: the plugin twisted.plugins.{fault}"), lines)

    def test_config_check_reports_a_broken_plugin(self) -> None:
        (self.plugins / "colours.py").write_text("import nonsense_of_imgforge")
        command = [sys.executable, "-c", "from imgforge.cli import main; main()", "config", "check"]
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, check=False, timeout=DEADLINE
        )
        self.assertEqual(done.returncode, 1)
        self.assertEqual(
            done.stderr,
            "imgforge: the plugin twisted.plugins.colours cannot be imported: "
            "ModuleNotFoundError: No module named 'nonsense_of_imgforge'\n",
        )

    def test_a_broken_plugin_of_another_product_is_a_warning(self) -> None:
        (self.plugins / "other.py").write_text("import nonsense_of_another_product")
        server = self.server().start()
        server.assert_logged("the plugin twisted.plugins.other cannot be imported: ModuleNotFoundError")
        self.assertEqual(server.stop(), 0)

    def test_a_plugin_that_is_slow_at_a_reload_does_not_stop_the_supervisor(self) -> None:
        (self.plugins / "slow.py").write_text(SLOW)
        metrics = self.server()  # never started: the address of the supervisor's own listener
        server = self.server(PROMETHEUS_BIND=f"127.0.0.1:{metrics.port}").start()
        (self.plugins / "wait").touch()
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        wait_for((self.plugins / "waits").exists, "the import of the plugin")
        self.assertEqual(metrics.get("/metrics").status, 200)
        (self.plugins / "wait").unlink()  # after 20 s the reload would be refused
        server.assert_logged("the new configuration is in use")

    def test_a_hangup_while_a_plugin_is_checked_at_the_start_does_not_end_the_server(self) -> None:
        (self.plugins / "slow.py").write_text(SLOW)
        (self.plugins / "wait").touch()
        server = self.server()
        server.launch()
        wait_for((self.plugins / "waits").exists, "the import of the plugin")
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        (self.plugins / "wait").unlink()
        wait_for(lambda: server.ended or server.answers(), "the server's first answer")
        self.assertFalse(server.ended, (server.process.returncode, server.output()))

    def test_a_scheme_of_two_plugins_is_a_warning(self) -> None:
        for name in ("one", "two"):
            (self.plugins / f"{name}.py").write_text(PLUGIN)
        server = self.server(PROCESSES="1").start()
        server.assert_logged("colour:// is served by the first of several plugins: twisted.plugins.one.fact")


class FailedStartTests(PluginCase):
    """A factory that raises fails in the workers: the server ends and logs why."""

    def setUp(self) -> None:
        super().setUp()
        (self.plugins / "colours.py").write_text(RAISING)

    def check(self, processes: int) -> None:
        events = [
            json.loads(line)
            for line in self.ended(self.server(PROCESSES=str(processes), LOG_FORMAT="json")).splitlines()
        ]
        self.assertEqual(events[-1]["level"] if processes == 1 else "critical", "critical")
        last = next(event for event in reversed(events) if event["level"] == "critical")
        self.assertEqual(
            last["message"],
            "imgforge cannot start: PluginError: the plugin twisted.plugins.colours.factory cannot make its source: "
            "ValueError: no token",
        )
        tracebacks = [event["traceback"] for event in events if "traceback" in event]
        self.assertEqual(len(tracebacks), 1)
        self.assertIn("colours.py", tracebacks[0])
        self.assertFalse(any("listening" in event["message"] for event in events))

    def test_several_processes_give_up_after_three_tries_each(self) -> None:
        self.check(2)

    def test_one_process_gives_up_at_once(self) -> None:
        self.check(1)

    def test_a_failed_start_in_the_background_leaves_no_pid_file(self) -> None:
        for processes in ("1", "2"):
            server = self.server(PROCESSES=processes)
            pidfile = Path(server.scratch.name, "imgforge.pid")
            server.options = (f"--pidfile={pidfile}",)
            self.ended(server)
            self.assertFalse(pidfile.exists())


class PluginTests(PluginCase):
    def test_a_plugin_serves_a_scheme_of_its_own_in_all_workers(self) -> None:
        (self.plugins / "colours.py").write_text(PLUGIN)
        server = self.server().start()
        for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
            reply = server.get(f"/unsafe/w:4/plain/colour://{name}@png")
            self.assertEqual(reply.status, 200, reply.body)
            picture = decode(reply.body)
            self.assertEqual(picture.size, (4, 3))
            self.assertEqual(picture.convert("RGB").getpixel((2, 1)), colour)
        self.assertEqual(server.stop(), 0)


class TutorialTests(SynchronousTestCase):
    """The plugin of docs/plugins.md, and its test."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        self.beside, self.archives = Path(scratch.name, "plugins"), Path(scratch.name, "archives")
        module = self.beside / "twisted" / "plugins" / "imgforge_zip.py"
        module.parent.mkdir(parents=True)
        self.archives.mkdir()
        code = documented()
        module.write_text(code["example"])
        (self.beside / "test_imgforge_zip.py").write_text(code["test"])
        with zipfile.ZipFile(self.archives / "holidays.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("by the sea/beach.png", PICTURE)
            archive.writestr("bomb.png", bytes(2_000_000))
        (self.archives / "broken.zip").write_bytes(b"PK nothing")

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": os.pathsep.join([str(self.beside), str(ROOT)])}

    def server(self, *arguments: str, **settings: str) -> Twistd:
        server = Twistd(
            {"ALLOW_UNSIGNED": "true", "PROCESSES": "2", **settings}, arguments, environment=self.environment
        )
        self.addCleanup(server.clean)
        return server

    def test_its_own_test_passes(self) -> None:
        command = [sys.executable, "-m", "twisted.trial", "test_imgforge_zip"]
        done = subprocess.run(
            command,
            cwd=self.beside,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Ran 4 tests", done.stdout)

    def test_the_plugin_serves_pictures_out_of_archives(self) -> None:
        server = self.server(PLUGIN_ZIP_ROOT=str(self.archives), MAX_SRC_FILE_SIZE="1000000").start()
        for options, path, status in (
            ("w:4", "holidays/by%20the%20sea/beach.png@png", 200),
            ("raw:1", "holidays/by%20the%20sea/beach.png", 200),
            ("w:4", "holidays/nothing.png", 404),
            ("w:4", "nothing/beach.png", 404),
            ("w:4", "../holidays/beach.png", 404),
            ("w:4", "broken/beach.png", 502),
            ("w:4", "holidays/bomb.png", 422),
        ):
            reply = server.get(f"/unsafe/{options}/plain/zip://{path}")
            self.assertEqual(reply.status, status, (path, reply.body))
            self.assertNotIn(str(self.archives).encode(), reply.body)
            if options == "w:4" and status == 200:
                self.assertEqual(decode(reply.body).width, 4)
            elif status == 200:
                self.assertEqual(reply.body, PICTURE)
        self.assertEqual(server.stop(), 0)

    def test_an_unknown_setting_of_a_plugin_ends_the_start(self) -> None:
        config = self.archives / "imgforge.toml"
        config.write_text('[plugin.zip]\nlargest_steam = 5\n[plugin.tar]\nroot = "/"\n')
        server = self.server("--config", str(config), PLUGIN_ZIP_ROOT=str(self.archives))
        with self.assertRaises(AssertionError):
            server.start()
        output = server.output()
        for line in (
            "IMGFORGE_PLUGIN_ZIP_LARGEST_STEAM is no setting of the plugin 'zip'; "
            "did you mean IMGFORGE_PLUGIN_ZIP_LARGEST_STREAM?",
            "there is no plugin 'tar': there are zip",
        ):
            self.assertIn(line, output)
        self.assertNotIn("Traceback", output)

    def test_the_environment_wins_over_the_file_key_by_key(self) -> None:
        config = self.archives / "imgforge.toml"
        config.write_text('[plugin.zip]\nroot = "/nowhere"\nlargest_stream = 10\n')
        server = self.server("--config", str(config), PLUGIN_ZIP_ROOT=str(self.archives)).start()
        path = "plain/zip://holidays/by%20the%20sea/beach.png"
        self.assertEqual(server.get(f"/unsafe/w:4/{path}@png").status, 200)
        self.assertEqual(server.get(f"/unsafe/raw:1/{path}").status, 422)


TIER = """
import os

from twisted.plugin import IPlugin
from zope.interface import implementer

from imgforge.interfaces import IConfiguredCacheTierFactory
from imgforge.testing import FaultyTier


class Tier(FaultyTier):
    def __init__(self, control):
        super().__init__("faulty")
        self.control = control

    def _do(self, name, work):
        with open(self.control + ".calls", "a") as calls:
            print(name, file=calls)
        self.hangs = os.path.exists(self.control + ".hangs") and name in open(self.control + ".hangs").read().split()
        return super()._do(name, work)


@implementer(IPlugin, IConfiguredCacheTierFactory)
class Factory:
    name = "faulty"
    settings = {"control": ""}

    def make(self, reactor, settings):
        return Tier(settings.plugin["control"])


factory = Factory()
"""

BROKEN_TIERS = {
    TIER.replace('name = "faulty"', 'name = "redis"'): "faulty.factory: the name 'redis' is that of a tier of imgforge",
    TIER.replace('name = "faulty"', 'name = "fau-lty"'): "faulty.factory: name must be lower-case letters and digits",
    TIER.replace("def make(", "def build("): "faulty.factory: it is no ICacheTierFactory",
}


class FaultyTierTests(PluginCase):
    """A server whose shared cache hangs, or refuses writes, when the test says so."""

    def setUp(self) -> None:
        super().setUp()
        (self.plugins / "faulty.py").write_text(TIER)
        self.control = str(self.plugins / "control")
        self.origin = Origin({f"/{number}.png": PICTURE for number in range(40)})
        self.addCleanup(self.origin.close)

    def faulty(self, **settings: str) -> Twistd:
        shared = {"CACHE_USE": "faulty", "PLUGIN_FAULTY_CONTROL": self.control, "PROCESSES": "1"}
        return self.server(ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", **shared, **settings)

    def hang(self, *names: str) -> None:
        """Have the calls of these *names* hang."""
        Path(f"{self.control}.hangs").write_text(" ".join(names))

    def calls(self) -> list[str]:
        return Path(f"{self.control}.calls").read_text().split()

    def state(self, server: Twistd, number: int) -> str:
        reply = server.get(f"/unsafe/w:4/plain/{self.origin.url(f'/{number}.png')}@png")
        self.assertEqual(reply.status, 200, reply.body)
        return reply.headers["cache-status"]

    def test_a_tier_that_hangs_costs_one_look_up_and_is_used_once_it_is_back(self) -> None:
        everything = ("start", "get", "size_of", "put", "remove", "lease", "purge", "close")
        self.hang(*everything)
        server = self.faulty().start()
        for number in range(21):
            self.assertIn("MISS", self.state(server, number))
        # The first look-up, or none where the start was found to hang first; the rest are probes that nobody waits for.
        self.assertLessEqual(self.calls().count("get"), 1)
        self.assertEqual(set(self.calls()) - {"start", "get", "size_of"}, set())
        self.assertGreaterEqual(server.metric('cache_faults_total{cache_type="faulty",fault="slow"}') or 0, 1)
        server.assert_logged("the faulty cache does not answer in time")
        self.hang()
        wait_for(lambda: "the faulty cache answers again, and is used" in server.output(), "the tier to be used again")
        self.state(server, 30)
        wait_for(lambda: "HIT faulty" in self.state(server, 30), "a hit in the tier")
        self.assertEqual(server.stop(), 0)

    def test_a_write_that_hangs_keeps_no_answer_and_can_be_read(self) -> None:
        self.hang("put")
        server = self.faulty(CACHE_SHARED_TIMEOUT="10").start()  # a busy machine is no hung cache
        for number in range(10):
            self.assertIn("MISS", self.state(server, number))
        self.assertIn("HIT faulty", self.state(server, 9))
        self.assertLessEqual(self.calls().count("put"), 4 + 10)
        server.stop()

    def test_a_broken_tier_ends_the_start_with_a_line_that_names_it(self) -> None:
        for text, fault in BROKEN_TIERS.items():
            (self.plugins / "faulty.py").write_text(text)
            shutil.rmtree(self.plugins / "__pycache__", ignore_errors=True)
            lines = [line for line in self.ended(self.faulty()).splitlines() if line.startswith("imgforge: ")]
            self.assertTrue(lines[0].startswith(f"imgforge: the plugin twisted.plugins.{fault}"), lines)

    def test_a_cache_that_there_is_not_ends_the_start_with_those_that_there_are(self) -> None:
        lines = self.ended(self.server(CACHE_USE="faulti")).splitlines()
        self.assertEqual(
            lines,
            [
                "imgforge: IMGFORGE_CACHE_USE='faulti' must be one of fs, redis, s3, gcs, abs, swift, faulty; "
                "did you mean faulty?"
            ],
        )


class TierTutorialTests(PluginCase):
    """The cache tier of docs/plugins.md, and its test."""

    def setUp(self) -> None:
        super().setUp()
        self.beside = self.plugins.parents[1]
        (self.plugins / "imgforge_sqlite.py").write_text(documented()["tier"])
        (self.beside / "test_imgforge_sqlite.py").write_text(documented()["tier_test"])

    def test_its_own_test_passes(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "twisted.trial", "test_imgforge_sqlite"],
            cwd=self.beside,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Ran 2 tests", done.stdout)

    def test_two_servers_share_what_either_makes_and_purges(self) -> None:
        origin = Origin({"/a.png": PICTURE})
        self.addCleanup(origin.close)
        path, token = f"/unsafe/w:4/plain/{origin.url('/a.png')}@png", {"Authorization": "Bearer purge"}
        shared = {"CACHE_USE": "sqlite", "PLUGIN_SQLITE_PATH": str(self.beside / "results.sqlite"), "PROCESSES": "1"}
        shared |= {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PURGE_SECRET": "purge", "CACHE_SHARED_TIMEOUT": "10"}
        first, second = (self.server(**shared, CACHE_TYPE=own).start() for own in ("memory", "none"))
        made = first.get(path)
        cached = {"Cache-Control": "only-if-cached"}
        wait_for(lambda: second.get(path, cached).status == 200, "a hit of the other server")
        shared_hit = second.get(path)
        self.assertIn("HIT sqlite", shared_hit.headers["cache-status"])
        self.assertEqual((shared_hit.body, len(origin.requests)), (made.body, 1))
        origin.files["/a.png"] = encode(gradient(12, 16), "PNG")
        purge = json.dumps({"prefix": origin.url("/")}).encode()
        self.assertEqual(second.get("/cache/purge", token, "POST", purge).status, 200)
        wait_for(lambda: first.get(path).body != made.body, "the other server to learn of the purge")
        self.assertEqual(second.get(path).body, first.get(path).body)
