"""A small picture does not wait for heavy ones, and these get their turn."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Reply, Twistd, wait_for


class RenderOrderTests(SynchronousTestCase):
    def setUp(self) -> None:
        root = tempfile.TemporaryDirectory()
        self.addCleanup(root.cleanup)
        noise = np.random.default_rng(1).integers(0, 255, (400, 500, 3), dtype=np.uint8)
        Path(root.name, "large.png").write_bytes(encode(Image.fromarray(noise), "PNG"))
        Path(root.name, "small.png").write_bytes(encode(gradient(40, 30), "PNG"))
        self.root = root.name
        self.ended: list[str] = []

    def server(self, **settings: str) -> Twistd:
        server = Twistd(
            {"LOCAL_FILESYSTEM_ROOT": self.root, "TIMEOUT": "120", "AVIF_SPEED": "5", "CACHE_TYPE": "none"} | settings
        )
        self.addCleanup(server.clean)
        return server.start()

    def get(self, server: Twistd, name: str, path: str) -> Reply:
        reply = server.get(path)
        self.ended.append(name)
        return reply

    def assert_order(self, server: Twistd, heavy: int) -> None:
        """A small picture that comes after *heavy* ones, of which one has to wait, is made before any of them."""
        with ThreadPoolExecutor(heavy) as clients:
            asked = [
                clients.submit(
                    self.get, server, "heavy", f"/unsafe/w:500/mb:100000000/cb:{number}/plain/local:///large.png@avif"
                )
                for number in range(heavy)
            ]
            wait_for(
                lambda: (server.metric('image_operations_waiting{operation="process"}') or 0) >= 1,
                "a heavy render that waits",
            )
            small = self.get(server, "small", "/unsafe/w:20/plain/local:///small.png@png")
            self.assertEqual([one.done() for one in asked], [False] * heavy)
            replies = [one.result() for one in asked]
        self.assertEqual([reply.status for reply in (small, *replies)], [200] * (heavy + 1))
        self.assertEqual(self.ended, ["small", *["heavy"] * heavy])
        self.assertEqual(len({reply.body for reply in replies}), 1)

    def test_small_picture_passes_heavy_ones_in_a_process(self) -> None:
        self.assert_order(self.server(PROCESSES="1", WORKERS="2"), 2)

    def test_small_picture_passes_heavy_ones_of_several_processes(self) -> None:
        self.assert_order(self.server(PROCESSES="2", WORKERS="4"), 3)
