"""Chained pipelines, hashes of sources, styles of SVG sources."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
from typing import Any

import numpy as np
from PIL import Image

from imgforge.demo import draw_sample
from imgforge.errors import BadOption, NotAnImage
from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, process
from imgforge.urls.options import OptionParser
from tests.support.effect_case import EffectCase, flat

RED = flat(255, 0, 0, width=20, height=10)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def pixels(source: bytes, options: str, **watermarks: bytes) -> Any:
    parsed = OptionParser().parse(["f:png", *options.split("/")])
    named = {"": RED} | {f"http://{name}": body for name, body in watermarks.items()}
    rendition = process(source, parsed.processing, ProcessingSettings(), chained=parsed.chained, watermarks=named)
    return np.asarray(Image.open(io.BytesIO(rendition.body)).convert("RGBA"), float)


class ChainTests(EffectCase):
    def test_each_pipeline_works_on_the_result_of_the_one_before(self) -> None:
        source = flat(9, 9, 9, width=400, height=300)
        self.assertEqual(pixels(source, "w:200/-/c:50:40/-/pd:5").shape[:2], (50, 60))
        self.assertEqual(pixels(source, "c:50:40/-/w:25").shape[:2], (20, 25))

    def test_two_watermarks(self) -> None:
        got = pixels(flat(0, 0, 0, width=100, height=80), "wm:1:nowe/-/wm:1:soea")[..., 0]
        self.assertEqual([got[2, 2], got[77, 97], got[2, 97]], [255, 255, 0])

    def test_exif_rotation_is_applied_once(self) -> None:
        image = Image.new("RGB", (40, 20))
        exif = image.getexif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", exif=exif)
        self.assertEqual(pixels(buffer.getvalue(), "w:10/-/pd:1").shape[:2], (22, 12))

    def test_presets_chain_from_where_they_are_used(self) -> None:
        parser = OptionParser(presets={"test": "w:300/h:300/-/w:200/h:200/-/w:100/h:200"})
        parsed = parser.parse(["w:400", "-", "pr:test", "w:500", "-", "w:600"])
        sizes = [(one.width, one.height) for one in (parsed.processing, *parsed.chained)]
        self.assertEqual(sizes, [(400, 0), (500, 300), (600, 200), (100, 200)])

    def test_too_many_pipelines_are_rejected(self) -> None:
        with self.assertRaises(BadOption):
            OptionParser().parse(["-"] * 50)

    def test_transparency_is_kept_until_the_last_pipeline(self) -> None:
        for name in ("png", "jpg"):
            got = pixels(RED, f"f:{name}/pd:10/-/bg:0000ff/-/pd:10")
            self.assert_near(
                got[15, 15], [0, 0, 255, 255], 8
            )  # the first pipeline's padding shows the second's background
            self.assert_near(got[5, 5], [255, 255, 255, 255] if name == "jpg" else [0, 0, 0, 0], 8)

    def test_the_format_fits_the_result_of_all_pipelines(self) -> None:
        source = process(RED, ProcessingOptions(format="webp"), ProcessingSettings()).body
        for options, name in (
            ("w:9", "jpeg"),
            ("w:9/-/pd:1", "png"),
            ("rc:3/-/w:9", "png"),
            ("pd:1/-/bg:f00", "jpeg"),
            ("bg:f00/pd:1/-/ex:1/s:30:30", "png"),
            ("bg:f00/bga:0.5/pd:1/-/w:9", "png"),
        ):
            parsed = OptionParser().parse(options.split("/"))
            made = process(source, parsed.processing, ProcessingSettings(), chained=parsed.chained)
            self.assertEqual(made.format, name, options)

    def test_the_operator_limits_chained_pipelines(self) -> None:
        presets = {"long": "/-/".join(["w:9"] * 5)}
        for pipelines, most in ((1, 1), (3, 3), (0, 100)):
            parser = OptionParser(presets=presets, pipelines=pipelines)
            self.assertEqual(len(parser.parse(["-"] * (most - 1)).chained), most - 1)
            self.assertEqual(len(parser.parse(["pr:long"]).chained), 4)  # presets are not limited
            if pipelines:
                with self.assertRaises(BadOption):
                    parser.parse(["-"] * most)
        with self.assertRaises(BadOption):
            OptionParser(pipelines=0).parse(["-"] * 201)


class SourceTests(EffectCase):
    def test_a_hash_must_match(self) -> None:
        for kind in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(kind, RED).hexdigest()
            pixels(RED, f"hs:{kind}:{digest}")
            with self.assertRaises(NotAnImage):
                pixels(RED, f"hs:{kind}:{'0' * len(digest)}")

    def test_css_styles_a_gzipped_svg(self) -> None:
        packed = gzip.compress(draw_sample("drawing"))
        plain, styled = pixels(packed, "w:100"), pixels(packed, f"w:100/st:{encoded('circle{fill:#00ff00}')}")
        self.assert_near(plain[50, 50], [0xFF, 0xD0, 0x54, 255], 2)
        self.assert_near(styled[50, 50], [0, 255, 0, 255], 2)
