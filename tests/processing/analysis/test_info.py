"""/info of pictures with known metadata and pixels."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import numpy as np
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import NotAnImage, RequestTimeout, SourceTooLarge
from imgforge.model import Crop, Gravity, InfoOptions
from imgforge.processing import Cancellation, ProcessingSettings, describe

NOTHING: dict[str, Any] = dict.fromkeys(("size", "format", "dimensions", "exif", "iptc", "xmp"), False)
SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="9000" height="4500">
    <rect width="9000" height="4500" fill="#08f"/></svg>"""


def encoded(picture: Image.Image, name: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def png(pixels: Any) -> bytes:
    return encoded(Image.fromarray(np.asarray(pixels, np.uint8)))


def flat(*colour: int, width: int = 40, height: int = 30) -> bytes:
    return png(np.full((height, width, len(colour)), colour))


def told(source: bytes, **wanted: Any) -> dict[str, Any]:
    """The requested fields alone, after a round trip through JSON."""
    answer: dict[str, Any] = json.loads(
        json.dumps(describe(source, InfoOptions(**NOTHING | wanted), ProcessingSettings()))
    )
    return answer


class HeaderTests(SynchronousTestCase):
    def test_by_default_it_is_size_format_and_dimensions(self) -> None:
        source = encoded(Image.new("RGB", (64, 48)), "JPEG")
        self.assertEqual(
            describe(source, InfoOptions(exif=False), ProcessingSettings(), content_type="image/jpg"),
            {
                "size": len(source),
                "size_bytes": len(source),
                "format": "jpeg",
                "mime_type": "image/jpeg",
                "content_type": "image/jpg",
                "width": 64,
                "height": 48,
                "orientation": 1,
                "channels": 3,
                "has_alpha": False,
                "pages": 1,
            },
        )

    def test_fields_of_the_rust_imgforge_are_added_to_imgproxys(self) -> None:
        """With the names and types of its /info."""
        frames = [Image.new("RGBA", (40, 30), (shade, 9, 9, 90)) for shade in (10, 200)]
        animation = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
        for source, channels, alpha, pages in (
            (png(np.zeros((4, 3))), 1, False, 1),
            (encoded(Image.new("CMYK", (4, 3)), "JPEG"), 4, False, 1),
            (animation, 4, True, 2),
        ):
            got = told(source, size=True, format=True, dimensions=True)
            self.assertEqual((got["channels"], got["has_alpha"], got["pages"]), (channels, alpha, pages))
            self.assertEqual(got["size_bytes"], len(source))
            self.assertIsNone(got["content_type"])  # the origin named none

    def test_dimensions_are_those_after_exif_rotation(self) -> None:
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            source = encoded(Image.new("RGB", (64, 48)), "JPEG", exif=exif)
            width, height = (48, 64) if orientation > 4 else (64, 48)
            got = told(source, dimensions=True)
            self.assertEqual((got["width"], got["height"], got["orientation"]), (width, height, orientation))

    def test_colorspace_bands_and_sample_format(self) -> None:
        wanted = {"colorspace": True, "bands": True, "sample_format": True, "alpha": True}
        for picture, name, kind, bands, sample, alpha in (
            (Image.new("RGB", (9, 9)), "PNG", "srgb", 3, "uchar", False),
            (Image.new("RGBA", (9, 9)), "PNG", "srgb", 4, "uchar", True),
            (Image.new("L", (9, 9)), "PNG", "b-w", 1, "uchar", False),
            (Image.new("I;16", (9, 9)), "PNG", "grey16", 1, "ushort", False),
            (Image.new("CMYK", (9, 9)), "JPEG", "cmyk", 4, "uchar", False),
        ):
            self.assertEqual(
                told(encoded(picture, name), **wanted),
                {"colorspace": kind, "bands": bands, "sample_format": sample, "alpha": alpha},
            )

    def test_pages_are_counted_and_chosen(self) -> None:
        pages = [Image.new("RGB", (20 + 10 * page, 10)) for page in range(3)]
        source = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
        for page, width in ((0, 20), (1, 30), (2, 40), (99, 40)):
            got = told(source, pages_number=True, dimensions=True, page=page)
            self.assertEqual((got["pages_number"], got["width"], got["height"]), (3, width, 10))

    def test_hashsums_are_those_of_the_file(self) -> None:
        source = flat(1, 2, 3)
        kinds = ("md5", "sha1", "sha256", "sha512")
        self.assertEqual(
            told(source, calc_hashsums=kinds),
            {"hashsums": {kind: hashlib.new(kind, source).hexdigest() for kind in kinds}},
        )

    def test_a_source_with_another_hash_is_rejected(self) -> None:
        source = flat(1, 2, 3)
        told(source, hashsum=("md5", hashlib.md5(source).hexdigest()))  # noqa: S324
        self.assertRaises(NotAnImage, told, source, hashsum=("md5", "0" * 32))

    def test_text_is_not_an_image(self) -> None:
        self.assertRaises(NotAnImage, told, b"just words")


class ColourTests(SynchronousTestCase):
    def halves(self, left: tuple[int, ...], right: tuple[int, ...]) -> bytes:
        pixels = np.empty((40, 60, len(left)))
        pixels[:, :15], pixels[:, 15:] = left, right
        return png(pixels)

    def test_the_average_of_a_large_picture(self) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (300, 400, 3)) // [1, 2, 4]
        colour = told(png(pixels), average=True)["average"]
        for name, expected in zip("RGB", pixels.mean((0, 1)), strict=True):
            self.assertApproximates(colour[name], expected, 2)
        self.assertEqual(colour["A"], 255)

    def test_the_average_ignores_fully_transparent_pixels(self) -> None:
        source = self.halves((200, 100, 50, 255), (0, 0, 0, 0))
        self.assertEqual(told(source, average=True)["average"], {"R": 200, "G": 100, "B": 50, "A": 255})
        everything = told(source, average=True, ignore_transparent=False)["average"]
        self.assertEqual(everything, {"R": 50, "G": 25, "B": 13, "A": 64})

    def test_colours_of_grey_and_cmyk_are_in_srgb(self) -> None:
        grey = told(png(np.full((20, 20), 77)), average=True)["average"]
        self.assertEqual(grey, {"R": 77, "G": 77, "B": 77, "A": 255})
        white = encoded(Image.new("CMYK", (20, 20), (0, 0, 0, 0)), "JPEG", quality=100)
        self.assertGreater(min(told(white, average=True)["average"].values()), 250)

    def test_a_palette_of_few_colours_is_exact_and_the_most_frequent_comes_first(self) -> None:
        source = self.halves((10, 20, 30, 255), (200, 100, 0, 128))
        expected = [{"R": 200, "G": 100, "B": 0, "A": 128}, {"R": 10, "G": 20, "B": 30, "A": 255}]
        for most in (2, 16, 256):
            self.assertEqual(told(source, palette=most)["palette"], expected)

    def test_a_palette_covers_the_picture(self) -> None:
        across, down = np.meshgrid(np.linspace(0, 255, 90), np.linspace(0, 255, 90))
        pixels = np.dstack((across, down, 255 - across)).round()
        errors = []
        for most in (4, 32, 256):
            colours = np.array([[one[name] for name in "RGB"] for one in told(png(pixels), palette=most)["palette"]])
            self.assertEqual(len(colours), most)
            errors.append(np.abs(pixels[:, :, None] - colours).max(3).min(2).mean())
        self.assertTrue(errors[0] > errors[1] > errors[2])
        self.assertLess(errors[2], 10)

    def test_dominant_colours_by_class(self) -> None:
        colours = {
            "vibrant": (220, 30, 40),
            "light_vibrant": (120, 200, 250),
            "dark_vibrant": (10, 90, 20),
            "muted": (150, 110, 110),
            "light_muted": (200, 190, 180),
            "dark_muted": (60, 60, 80),
        }
        pixels = np.repeat(np.repeat(np.array([list(colours.values())]), 10, 1), 30, 0)
        named = {name: dict(zip("RGB", colour, strict=True)) for name, colour in colours.items()}
        self.assertEqual(told(png(pixels), dominant_colors=True)["dominant_colors"], named)

    def test_missing_classes_are_left_out_or_built(self) -> None:
        source = flat(220, 30, 40)
        self.assertEqual(
            told(source, dominant_colors=True), {"dominant_colors": {"vibrant": {"R": 220, "G": 30, "B": 40}}}
        )
        built = told(source, dominant_colors=True, build_missed=True)["dominant_colors"]
        self.assertEqual(len(built), 6)
        for one in built.values():
            self.assertGreater(one["R"], max(one["G"], one["B"]))
        sums = [sum(built[name].values()) for name in ("dark_vibrant", "vibrant", "light_vibrant")]
        self.assertEqual(sums, sorted(sums))

    def test_a_colour_represents_one_class_only(self) -> None:
        between = flat(235, 71, 71)  # of a luminance that normal and light colours may have
        self.assertEqual(list(told(between, dominant_colors=True)["dominant_colors"]), ["vibrant"])

    def test_a_transparent_picture_has_no_dominant_colours(self) -> None:
        self.assertEqual(told(flat(9, 9, 9, 0), dominant_colors=True, build_missed=True), {"dominant_colors": {}})


class PixelTests(SynchronousTestCase):
    def test_transparency_depends_on_pixels_not_on_the_alpha_channel(self) -> None:
        opaque = np.full((300, 300, 4), 255)
        spot = opaque.copy()
        spot[299, 123, 3] = 254
        for pixels, expected in ((opaque, False), (spot, True)):
            got = told(png(pixels), alpha=True, check_transparency=True)
            self.assertEqual(got, {"alpha": True, "transparency": expected})
        self.assertEqual(
            told(flat(1, 2, 3), alpha=True, check_transparency=True), {"alpha": False, "transparency": False}
        )

    def test_the_crop_is_placed_by_its_gravity(self) -> None:
        source = flat(1, 2, 3, width=200, height=100)
        for crop, box in (
            (Crop(50, 50), (0.375, 0.25, 0.25, 0.5)),
            (Crop(50, 50, Gravity("nowe")), (0, 0, 0.25, 0.5)),
            (Crop(0.5, 20, Gravity("soea", 10, 5)), (0.45, 0.75, 0.5, 0.2)),
            (Crop(50, 50, Gravity("fp", 1, 0)), (0.75, 0, 0.25, 0.5)),
            (Crop(900, 900), (0, 0, 1, 1)),
        ):
            got = told(source, crop=crop)["crop"]
            for name, expected in zip(("left", "top", "width", "height"), box, strict=True):
                self.assertApproximates(got[name], expected, 0.011, f"{crop} {name}")

    def test_a_smart_crop_is_placed_after_exif_rotation(self) -> None:
        pixels = np.full((100, 200, 3), 128)
        pixels[10:30, 170:190] = (255, 0, 0)
        exif = Image.Exif()
        exif[0x0112] = 6  # rotated, the right end of the stored picture is at the bottom, its top on the right
        source = encoded(Image.fromarray(pixels.astype(np.uint8)), "PNG", exif=exif)
        box = told(source, crop=Crop(40, 40, Gravity("sm")))["crop"]
        self.assertEqual((box["width"], box["height"]), (0.4, 0.2))
        self.assertTrue(box["left"] <= 0.75 <= box["left"] + 0.4, box)
        self.assertTrue(box["top"] <= 0.9 <= box["top"] + 0.2, box)

    def test_a_source_with_too_many_pixels_has_header_fields_only(self) -> None:
        source = flat(1, 2, 3, width=2000, height=1000)
        limited = ProcessingSettings(max_src_resolution=1.5)
        self.assertEqual(describe(source, InfoOptions(), limited)["width"], 2000)
        for wanted in ({"average": True}, {"blurhash_x": 1, "blurhash_y": 1}, {"crop": Crop(1, 1, Gravity("sm"))}):
            with self.assertRaises(SourceTooLarge):
                describe(source, InfoOptions(**wanted), limited)
        describe(source, InfoOptions(average=True, max_src_resolution=2), limited)

    def test_an_svg_of_any_size_is_drawn_small(self) -> None:
        self.assertEqual(told(SVG, average=True)["average"], {"R": 0, "G": 0x88, "B": 255, "A": 255})

    def test_a_line_has_colours_too(self) -> None:
        for name, size in (("JPEG", (5000, 1)), ("WEBP", (1, 5000)), ("PNG", (5000, 2))):
            colour = told(encoded(Image.new("RGB", size, (0, 128, 255)), name), average=True, thumb_hash=True)[
                "average"
            ]
            for channel, expected in (("R", 0), ("G", 128), ("B", 255)):
                self.assertApproximates(colour[channel], expected, 3, name)
        drawing = SVG.replace(b"4500", b"1")
        self.assertEqual(told(drawing, average=True)["average"], {"R": 0, "G": 0x88, "B": 255, "A": 255})

    def test_a_frame_can_be_chosen(self) -> None:
        frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "lime", "blue")]
        source = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        for page, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255))):
            got = told(source, average=True, page=page)["average"]
            self.assertEqual(tuple(got[name] for name in "RGB"), colour)

    def test_cancelled_work_raises_a_timeout(self) -> None:
        cancellation = Cancellation()
        cancellation.cancel()
        with self.assertRaises(RequestTimeout):
            describe(flat(1, 2, 3), InfoOptions(average=True), ProcessingSettings(), cancellation=cancellation)

    def test_a_broken_picture_is_a_client_error(self) -> None:
        whole = png(np.random.default_rng(1).integers(0, 256, (200, 200, 3)))
        self.assertRaises(NotAnImage, told, whole[: len(whole) // 2], average=True)
