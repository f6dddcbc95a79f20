"""Requests of the public benchmark (bench/public_works.py) and its pictures (bench/public_pictures.py)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyvips
from twisted.trial.unittest import SynchronousTestCase

from bench.public_pictures import draw_photo_like, prepare_pictures
from bench.public_works import WORKS, request_path
from imgforge.urls import UrlParser, UrlSettings

_SOURCE = "http://127.0.0.1:9001/0801.webp"


class RequestTests(SynchronousTestCase):
    """Each server's syntax."""

    def test_thumbor_and_imagor_are_asked_in_their_syntax(self) -> None:
        path = f"/unsafe/fit-in/512x512/filters:format(webp):quality(75)/{_SOURCE}"
        for server in ("thumbor", "imagor", "imagor-1.9", "Thumbor 7.8"):
            self.assertEqual(request_path(server, WORKS[2], _SOURCE), path)

    def test_others_are_asked_in_the_syntax_of_imgproxy_which_is_ours(self) -> None:
        self.assertEqual(request_path("imgproxy", WORKS[2], _SOURCE), request_path("imgforge", WORKS[2], _SOURCE))
        parser = UrlParser(UrlSettings(allow_unsigned=True))
        for work in WORKS:
            request = parser.parse(request_path("imgforge", work, _SOURCE).encode())
            options = request.options
            self.assertEqual(request.source, _SOURCE)
            self.assertEqual((options.width, options.height), (512, 512))
            self.assertEqual((options.format, options.quality), (work.format.replace("jpg", "jpeg"), work.quality))


class PictureTests(SynchronousTestCase):
    """What is drawn, and what is made of PNGs that are there."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)

    def test_drawing_weighs_what_a_photo_does(self) -> None:
        pixels = draw_photo_like(600, 400, seed=1)
        self.assertEqual(pixels.shape, (400, 600, 3))
        body = pyvips.Image.new_from_array(pixels).pngsave_buffer(filter="all")
        self.assertTrue(1.2 < len(body) / (600 * 400) < 2.2, len(body))

    def test_pngs_that_are_there_are_encoded_and_none_is_drawn(self) -> None:
        (self.root / "mine.png").write_bytes(pyvips.Image.black(40, 30, bands=3).pngsave_buffer())
        self.assertEqual(prepare_pictures(self.root, 5, ["jpg", "png", "webp", "avif"]), (["mine"], 0))
        loaders = {
            path.suffix: pyvips.Image.new_from_file(str(path)).get("vips-loader") for path in self.root.iterdir()
        }
        expected = {".jpg": "jpegload", ".png": "pngload", ".webp": "webpload", ".avif": "heifload"}
        self.assertEqual(loaders, expected)
