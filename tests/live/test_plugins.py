"""A source of somebody else's, put beside the server as its documentation says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live._pictures import decode
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
