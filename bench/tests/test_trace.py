"""What `bench/trace.py` is made of: the traffic, the origin, and the memory that a server takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pyvips
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from bench.pictures import draw_photo
from bench.process_usage import MemorySamples, memory_bytes, sample_memory
from bench.slow_origin import NumberedOriginals, add_number
from bench.zipf_traffic import ZipfTraffic, write_photo_originals

# Holds 64 MB in a grandchild that it shares with its own child, then waits.
_LARGE_GRANDCHILD = """
import os, time
if os.fork() == 0:
    held = bytearray(os.urandom(1 << 20)) * 64
    os.fork()
    os.write(1, b"held")
    time.sleep(60)
time.sleep(60)
"""

TRAFFIC = ZipfTraffic(2000, 100, (100, 200), {"webp": 3, "jpg": 1}, 1.0, seed=5)


class TrafficTests(SynchronousTestCase):
    def test_the_same_seed_is_the_same_traffic(self) -> None:
        self.assertEqual(list(TRAFFIC.paths("http://x/")), list(TRAFFIC.paths("http://x/")))

    def test_few_originals_are_asked_for_often(self) -> None:
        paths = list(TRAFFIC.paths("http://x/"))
        counts = [count for _, count in Counter(path.split("/")[-1].split(".")[0] for path in paths).most_common()]
        self.assertEqual(len(paths), 2000)
        # By Zipf's law the first has 19 % of all, the second half of that.
        self.assertApproximates(counts[0] / 2000, 0.193, 0.03)
        self.assertApproximates(counts[0] / counts[1], 2, 0.5)
        self.assertApproximates(sum(path.endswith("webp") for path in paths) / 2000, 0.75, 0.05)
        self.assertIn("/unsafe/rs:fit:200:0/plain/http://x/91.jpg@webp", paths)


class OriginTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pictures = [draw_photo(40, 30, grain=1, quality=80), draw_photo(50, 30, grain=1, quality=80)]
        self.originals = NumberedOriginals(self.clock, self.pictures, 0.03)

    def get(self, *path: bytes) -> DummyRequest:
        request = DummyRequest(list(path))
        request.postpath = list(path)
        request.render(self.originals)
        return request

    def test_originals_come_late_and_have_bytes_of_their_own(self) -> None:
        first, second = self.get(b"run", b"3.jpg"), self.get(b"run", b"5.jpg")
        self.clock.advance(0.029)
        self.assertEqual(first.written, [])
        self.clock.advance(0.002)
        (body,), (other,) = first.written, second.written
        self.assertNotEqual(body, other)
        self.assertEqual((first.finished, pyvips.Image.jpegload_buffer(body).width), (1, 50))
        self.assertEqual(self.get(b"count").written, [b"2"])

    def test_a_client_that_leaves_is_forgotten(self) -> None:
        request = self.get(b"run", b"1.jpg")
        request.processingFailed(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_numbered_picture_has_the_same_pixels(self) -> None:
        picture = self.pictures[0]
        before, after = (pyvips.Image.jpegload_buffer(body).numpy() for body in (picture, add_number(picture, 77)))
        self.assertEqual(before.tobytes(), after.tobytes())

    def test_photos_that_make_no_large_jpeg_make_no_originals(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            photos, directory = Path(root, "photos"), Path(root, "originals")
            photos.mkdir()
            directory.mkdir()
            (photos / "a.jpg").write_bytes(self.pictures[0])
            self.assertEqual(write_photo_originals(photos, directory), 0)
            (photos / "b.jpg").write_bytes(draw_photo(1300, 900, grain=9, quality=90))
            self.assertGreater(write_photo_originals(photos, directory), 0)
            sizes = [path.stat().st_size for path in directory.iterdir()]
            self.assertTrue(all(100_000 <= size <= 1_000_000 for size in sizes), sizes)


class MemoryTests(SynchronousTestCase):
    def test_what_descendants_share_counts_once(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", _LARGE_GRANDCHILD], stdout=subprocess.PIPE, start_new_session=True
        )
        self.addCleanup(os.killpg, process.pid, 9)
        if process.stdout is None:
            self.fail("no pipe")
        with process.stdout:
            self.assertEqual(process.stdout.read(4), b"held")
            self.assertTrue(64 << 20 <= memory_bytes(process.pid) < 120 << 20)

    def test_peak_last_and_slope(self) -> None:
        memory = MemorySamples([(0, 900), (1, 100), (2, 300), (3, 310), (4, 320), (5, 330)])
        self.assertEqual((memory.peak, memory.last), (900, 330))
        self.assertAlmostEqual(memory.slope, 10)

    def test_a_block_is_watched(self) -> None:
        with sample_memory([os.getpid()]) as memory:
            pass
        self.assertGreater(memory.last, 1 << 20)
