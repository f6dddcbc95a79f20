"""The mix of requests that trace.py sends, and the originals for it (bench/zipf_traffic.py)."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.pictures import draw_photo
from bench.zipf_traffic import ZipfTraffic, write_photo_originals

TRAFFIC = ZipfTraffic(2000, 100, (100, 200), {"webp": 3, "jpg": 1}, 1.0, seed=5)


class ZipfTrafficTests(SynchronousTestCase):
    """2000 requests for 100 originals."""

    def test_same_seed_gives_the_same_requests(self) -> None:
        self.assertEqual(list(TRAFFIC.paths("http://x/")), list(TRAFFIC.paths("http://x/")))

    def test_popularity_of_originals_follows_zipfs_law(self) -> None:
        paths = list(TRAFFIC.paths("http://x/"))
        counts = [count for _, count in Counter(path.split("/")[-1].split(".")[0] for path in paths).most_common()]
        self.assertEqual(len(paths), 2000)
        # By Zipf's law the first original gets 19 % of all requests, the second half as many.
        self.assertApproximates(counts[0] / 2000, 0.193, 0.03)
        self.assertApproximates(counts[0] / counts[1], 2, 0.5)
        self.assertApproximates(sum(path.endswith("webp") for path in paths) / 2000, 0.75, 0.05)
        self.assertIn("/unsafe/rs:fit:200:0/plain/http://x/91.jpg@webp", paths)


class PhotoOriginalsTests(SynchronousTestCase):
    """Originals that are made of photos."""

    def test_only_jpegs_of_100_kb_to_1_mb_become_originals(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            photos, directory = Path(root, "photos"), Path(root, "originals")
            photos.mkdir()
            directory.mkdir()
            (photos / "a.jpg").write_bytes(draw_photo(40, 30, grain=1, quality=80))
            self.assertEqual(write_photo_originals(photos, directory), 0)
            (photos / "b.jpg").write_bytes(draw_photo(1300, 900, grain=9, quality=90))
            self.assertGreater(write_photo_originals(photos, directory), 0)
            sizes = [path.stat().st_size for path in directory.iterdir()]
            self.assertTrue(all(100_000 <= size <= 1_000_000 for size in sizes), sizes)
