"""A source of somebody else's, put beside the server as its documentation says."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live._pictures import decode, encode, gradient
from tests.live._process import ROOT, Twistd

PLUGIN = """
from io import BytesIO

from PIL import Image
from twisted.internet.defer import succeed
from twisted.plugin import IPlugin
from zope.interface import implementer

from imgforge.interfaces import ISource, ISourceFactory
from imgforge.model import SourceImage


@implementer(ISource)
class Plain:
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

PICTURE = encode(gradient(16, 12), "PNG")


class PluginTests(SynchronousTestCase):
    def test_a_plugin_serves_a_scheme_of_its_own_in_all_workers(self) -> None:
        beside = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(beside.cleanup)
        plugins = Path(beside.name, "twisted", "plugins")
        plugins.mkdir(parents=True)
        (plugins / "colours.py").write_text(PLUGIN)
        path = os.pathsep.join([beside.name, str(ROOT)])
        server = Twistd({"ALLOW_UNSIGNED": "true", "PROCESSES": "2"}, environment={"PYTHONPATH": path})
        self.addCleanup(server.clean)
        server.start()
        for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
            reply = server.get(f"/unsafe/w:4/plain/colour://{name}@png")
            self.assertEqual(reply.status, 200, reply.body)
            picture = decode(reply.body)
            self.assertEqual(picture.size, (4, 3))
            self.assertEqual(picture.convert("RGB").getpixel((2, 1)), colour)
        self.assertEqual(server.stop(), 0)


class TutorialTests(SynchronousTestCase):
    """docs/plugins.md, taken at its word."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        self.beside, self.archives = Path(scratch.name, "plugins"), Path(scratch.name, "archives")
        module = self.beside / "twisted" / "plugins" / "imgforge_zip.py"
        module.parent.mkdir(parents=True)
        self.archives.mkdir()
        text = (ROOT / "docs" / "plugins.md").read_text("utf-8")
        (code,) = re.findall(r"<!-- example: [^\n]*-->\n\n```python\n(.*?)```", text, re.DOTALL)
        module.write_text(code)
        with zipfile.ZipFile(self.archives / "holidays.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("by the sea/beach.png", PICTURE)
            archive.writestr("bomb.png", bytes(2_000_000))
        (self.archives / "broken.zip").write_bytes(b"PK nothing")

    def server(self, *arguments: str, **settings: str) -> Twistd:
        path = os.pathsep.join([str(self.beside), str(ROOT)])
        server = Twistd(
            {"ALLOW_UNSIGNED": "true", "PROCESSES": "2", **settings}, arguments, environment={"PYTHONPATH": path}
        )
        self.addCleanup(server.clean)
        return server

    def test_its_example_serves_pictures_out_of_archives(self) -> None:
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

    def test_a_setting_that_it_does_not_have_ends_the_start(self) -> None:
        config = self.archives / "imgforge.toml"
        config.write_text('[plugin.zip]\nlargest_steam = 5\n[plugin.tar]\nroot = "/"\n')
        server = self.server("--config", str(config), PLUGIN_ZIP_ROOT=str(self.archives))
        with self.assertRaises(AssertionError):
            server.start()
        said = server.output()
        for line in (
            "IMGFORGE_PLUGIN_ZIP_LARGEST_STEAM is no setting of the plugin 'zip'; "
            "did you mean IMGFORGE_PLUGIN_ZIP_LARGEST_STREAM?",
            "there is no plugin 'tar': there are zip",
        ):
            self.assertIn(line, said)
        self.assertNotIn("Traceback", said)

    def test_the_environment_wins_over_the_file_key_by_key(self) -> None:
        config = self.archives / "imgforge.toml"
        config.write_text('[plugin.zip]\nroot = "/nowhere"\nlargest_stream = 10\n')
        server = self.server("--config", str(config), PLUGIN_ZIP_ROOT=str(self.archives)).start()
        path = "plain/zip://holidays/by%20the%20sea/beach.png"
        self.assertEqual(server.get(f"/unsafe/w:4/{path}@png").status, 200)
        self.assertEqual(server.get(f"/unsafe/raw:1/{path}").status, 422)
