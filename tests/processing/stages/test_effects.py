"""Effects, encoder options and pages, by pixels that follow from their definitions."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from imgforge.demo import draw_sample
from imgforge.model import AutoQuality, Unsharp
from tests.support.effect_case import EffectCase, flat, made, pixels, png

LUMA = np.array([0.2126, 0.7152, 0.0722])


class ColourTests(EffectCase):
    def first(self, options: str, *colour: int) -> Any:
        return pixels(flat(*colour), options)[0, 0]

    def test_brightness_adds_and_clips(self) -> None:
        self.assert_near(self.first("br:50", 10, 100, 230), [60, 150, 255, 255])
        self.assert_near(self.first("br:-50", 10, 100, 230), [0, 50, 180, 255])

    def test_contrast_scales_around_the_middle(self) -> None:
        self.assert_near(self.first("co:2", 100, 128, 200), [72, 128, 255, 255], 0)
        self.assert_near(self.first("co:0", 100, 127, 200), [128, 128, 128, 255], 0)

    def test_saturation_of_zero_is_the_luminance(self) -> None:
        grey = LUMA @ [200, 100, 50]
        self.assert_near(self.first("sa:0", 200, 100, 50), [grey, grey, grey, 255])
        self.assert_near(self.first("a:0:1:0", 200, 100, 50), [grey, grey, grey, 255])

    def test_monochrome_by_default_is_grey_and_keeps_black_and_white(self) -> None:
        grey = LUMA @ [200, 100, 50]
        self.assert_near(self.first("mc:1", 200, 100, 50), [grey, grey, grey, 255])
        for level in (0, 255):
            self.assert_near(self.first("mc:1:ff0000", level, level, level), [level, level, level, 255])
        tinted = self.first("mc:1:ff0000", 128, 128, 128)
        self.assertGreater(tinted[0], tinted[1] + 50)

    def test_duotone_maps_dark_and_light(self) -> None:
        self.assert_near(self.first("dt:1:102030:f0e0d0", 0, 0, 0), [0x10, 0x20, 0x30, 255])
        self.assert_near(self.first("dt:1:102030:f0e0d0", 255, 255, 255), [0xF0, 0xE0, 0xD0, 255])
        self.assert_near(self.first("dt:0.5:000:fff", 200, 200, 200), [200, 200, 200, 255])

    def test_alpha_is_unchanged(self) -> None:
        for options in ("br:50", "co:2", "sa:0", "mc:1", "dt:1", "gr:1:f00", "col:0.5:0f0:1"):
            self.assertEqual(self.first(options, 10, 20, 30, 77)[3], 77, options)

    def test_a_grey_picture_becomes_rgb_where_needed(self) -> None:
        source = png(np.full((10, 10), 100))
        self.assert_near(pixels(source, "col:1:00ff00")[0, 0], [0, 255, 0, 255])


class OverlayTests(EffectCase):
    def test_colorize_mixes(self) -> None:
        self.assert_near(pixels(flat(100, 0, 200), "col:0.25:ff0000")[3, 3], [139, 0, 150, 255])

    def test_colorize_covers_transparent_pixels_unless_alpha_is_kept(self) -> None:
        source = flat(10, 20, 30, 0)
        self.assert_near(pixels(source, "col:0.5:ff0000")[0, 0], [255, 0, 0, 128])
        self.assertEqual(pixels(source, "col:0.5:ff0000:1")[0, 0][3], 0)

    def test_a_gradient_grows_along_its_direction(self) -> None:
        white = flat(255, 255, 255, width=100, height=100)
        for direction, first, last in (
            ("down", (0, 50), (99, 50)),
            ("up", (99, 50), (0, 50)),
            ("right", (50, 0), (50, 99)),
            ("left", (50, 99), (50, 0)),
            ("90", (50, 99), (50, 0)),
        ):
            got = pixels(white, f"gr:1:000:{direction}")
            self.assert_near(got[first][0], 254, 2)
            self.assert_near(got[last][0], 1, 2)
            self.assert_near(got[50, 50][0], 127, 3)

    def test_a_gradients_start_and_stop(self) -> None:
        got = pixels(flat(255, 255, 255, width=10, height=100), "gr:1:000:down:0.25:0.75")
        self.assert_near(got[:25, 0, 0], np.full(25, 255))
        self.assert_near(got[75:, 0, 0], np.zeros(25))

    def test_round_corners_are_transparent_and_the_rest_is_not(self) -> None:
        got = pixels(flat(9, 9, 9, width=60, height=40), "rc:10")[..., 3]
        for y, x in ((0, 0), (0, 59), (39, 0), (39, 59)):
            self.assertEqual(got[y, x], 0)
        self.assertEqual([got[0, 30], got[20, 0], got[20, 30], got[3, 10]], [255] * 4)
        circle = pixels(flat(9, 9, 9, width=40, height=40), "rc:max")[..., 3]
        self.assert_near(circle.sum() / 255, np.pi * 20**2, 15)

    def test_round_corners_get_the_background_where_the_format_has_no_alpha(self) -> None:
        self.assert_near(pixels(flat(9, 9, 9), "rc:10/bg:ff0000")[0, 0], [255, 0, 0, 255])

    def test_a_translucent_background(self) -> None:
        self.assert_near(pixels(flat(0, 0, 0, 0), "bg:ff0000/bga:0.5")[0, 0], [255, 0, 0, 128])
        self.assert_near(pixels(flat(0, 0, 0, 255), "bg:ff0000/bga:0.5")[0, 0], [0, 0, 0, 255])


class BlurTests(EffectCase):
    def setUp(self) -> None:
        columns = np.where(np.arange(100)[None, :, None] % 10 < 5, 0, 255)
        self.stripes = np.broadcast_to(columns, (80, 100, 3))

    def contrast(self, part: Any) -> float:
        return float(part.std())

    def test_only_the_areas_are_blurred(self) -> None:
        got = pixels(png(self.stripes), "ba:8:0.5:0.5:0.5:0.5")[..., 0]
        self.assertLess(self.contrast(got[50:70, 60:90]), 30)
        self.assert_near(got[:40, :], self.stripes[:40, :, 0], 0)

    def test_areas_follow_the_exif_orientation(self) -> None:
        image = Image.fromarray(np.ascontiguousarray(self.stripes, np.uint8))
        exif = image.getexif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        image.save(buffer, "PNG", exif=exif)
        got = pixels(buffer.getvalue(), "ba:8:0.5:0:0.5:0.5")[..., 0]
        self.assertEqual(got.shape, (100, 80))
        self.assertLess(self.contrast(got[10:40, 50:70]), 30)
        self.assertGreater(self.contrast(got[10:40, 5:30]), 100)

    def test_a_progressive_blur_grows(self) -> None:
        got = pixels(png(self.stripes), "pbl:8:down")[..., 0]
        bands = [self.contrast(got[row : row + 4, 30:70]) for row in (0, 15, 30, 76)]
        self.assertEqual(bands, sorted(bands, reverse=True))
        self.assertLess(bands[-1], 10)

    def test_the_unsharp_mask_is_its_kernel(self) -> None:
        edge = np.zeros((20, 20, 3)) + np.where(np.arange(20)[None, :, None] < 10, 100, 150)
        got = pixels(png(edge), "ush:always:1:24")[10, :, 0]
        self.assert_near(got[9], 100 - 50 * 3 / 24)
        self.assert_near(got[10], 150 + 50 * 3 / 24)
        self.assert_near(pixels(png(edge), "ush:auto")[10, 9, 0], 100)


class EncoderTests(EffectCase):
    def setUp(self) -> None:
        self.photo = draw_sample("landscape")

    def size(self, options: str) -> int:
        return len(made(self.photo, options).body)

    def test_progressive_and_unsubsampled_jpeg(self) -> None:
        body = made(self.photo, "w:200/f:jpg/jpgo:1:1").body
        image: Any = Image.open(io.BytesIO(body))
        self.assertTrue(image.info.get("progressive"))
        self.assertEqual([layer[1:3] for layer in image.layer], [(1, 1)] * 3)

    def test_lossless_webp_is_exact(self) -> None:
        for option in ("lossless", "1"):
            got = np.asarray(
                Image.open(io.BytesIO(made(self.photo, f"w:60/f:webp/webpo:{option}").body)).convert("RGB")
            )
            self.assert_near(got, pixels(self.photo, "w:60")[..., :3], 0)

    def test_png_with_a_palette(self) -> None:
        image = Image.open(io.BytesIO(made(self.photo, "w:60/pngo:0:1:16").body))
        self.assertEqual(image.mode, "P")
        self.assertLessEqual(len(image.getcolors() or ()), 16)

    def test_autoquality_by_size_comes_close_from_below(self) -> None:
        for target in (3000, 6000):
            size = self.size(f"w:300/f:jpg/aq:size:{target}:5:95")
            self.assertLessEqual(size, target)
            self.assertGreater(size, target * 0.6)

    def test_autoquality_by_similarity_uses_more_bytes_for_more_similarity(self) -> None:
        sizes = [self.size(f"w:300/f:jpg/aq:dssim:{target}:10:95:0") for target in (0.05, 0.01, 0.002)]
        self.assertEqual(sizes, sorted(sizes))
        self.assertLess(sizes[0], sizes[-1])

    def test_autoquality_of_a_url_overrides_only_its_own_fields(self) -> None:
        operator = AutoQuality("size", 4000, 5, 95)
        for option, target in (("aq:", 4000), ("aq::2500", 2500), ("w:300", 4000)):
            size = len(made(self.photo, f"w:300/f:jpg/{option}", autoquality=operator).body)
            self.assertLessEqual(size, target, option)
            self.assertGreater(size, target * 0.6, option)
        plain = made(self.photo, "w:300/f:jpg").body
        self.assertEqual(made(self.photo, "w:300/f:jpg/aq:none", autoquality=operator).body, plain)

    def test_autoquality_has_bounds_by_format_unless_the_url_sets_others(self) -> None:
        operator = AutoQuality("size", 10, 5, 95, format_min={"jpeg": 60})
        for option, least in (("aq:", 60), ("aq:size:10:30", 30)):
            body = made(self.photo, f"w:300/f:jpg/{option}", autoquality=operator).body
            self.assertEqual(body, made(self.photo, f"w:300/f:jpg/q:{least}").body)
        webp = made(self.photo, "w:300/f:webp", autoquality=operator).body
        self.assertEqual(webp, made(self.photo, "w:300/f:webp/q:5").body)

    def test_autoquality_is_off_for_large_results(self) -> None:
        operator = AutoQuality("size", 10, 5, 95, max_resolution=0.01)
        self.assertEqual(
            made(self.photo, "w:300/f:jpg", autoquality=operator).body, made(self.photo, "w:300/f:jpg").body
        )
        self.assertEqual(
            made(self.photo, "w:60/f:jpg", autoquality=operator).body, made(self.photo, "w:60/f:jpg/q:5").body
        )

    def test_unsharp_masking_of_a_url_overrides_only_its_own_fields(self) -> None:
        always = Unsharp("always", 1, 10)
        self.assertEqual(
            made(self.photo, "w:60/ush:::24", unsharp_masking=always).body,
            made(self.photo, "w:60/ush:always:1:24").body,
        )

    def test_dpi_is_written(self) -> None:
        image = Image.open(io.BytesIO(made(self.photo, "w:60/f:jpg/dpi:300").body))
        self.assert_near(image.info["dpi"], (300, 300), 1)
        for options, settings, wanted in (("w:60", {}, 72), ("w:60", {"strip_metadata_dpi": 150.0}, 150)):
            image = Image.open(io.BytesIO(made(self.photo, f"{options}/f:jpg", **settings).body))
            self.assert_near(image.info["dpi"], (wanted, wanted), 1)


class PageTests(EffectCase):
    def setUp(self) -> None:
        frames = [Image.new("RGB", (20, 10), (0, 40 * index, 0)) for index in range(5)]
        buffer = io.BytesIO()
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0)
        self.animation = buffer.getvalue()

    def test_a_page_is_taken(self) -> None:
        self.assert_near(pixels(self.animation, "pg:3")[5, 5], [0, 120, 0, 255], 3)
        self.assert_near(pixels(self.animation, "pg:99")[5, 5], [0, 160, 0, 255], 3)

    def test_several_pages_are_stacked(self) -> None:
        got = pixels(self.animation, "pg:1/pgs:3")
        self.assertEqual(got.shape, (30, 20, 4))
        self.assert_near(got[[5, 15, 25], 5, 1], [40, 80, 120], 3)

    def test_disable_animation_renders_a_still(self) -> None:
        for options, count in (("maf:10", 5), ("maf:10/da:1", 1)):
            image: Any = Image.open(io.BytesIO(made(self.animation, f"f:gif/{options}").body))
            self.assertEqual(getattr(image, "n_frames", 1), count)


class CropRatioTests(EffectCase):
    def size(self, options: str) -> tuple[int, int]:
        rendition = made(flat(1, 2, 3, width=400, height=300), options)
        return rendition.width, rendition.height

    def test_the_crop_is_reduced_or_enlarged_to_the_ratio(self) -> None:
        self.assertEqual(self.size("c:200:100/car:1"), (100, 100))
        self.assertEqual(self.size("c:200:100/car:1:1"), (200, 200))
        self.assertEqual(self.size("car:1"), (300, 300))
        self.assertEqual(self.size("car:2"), (400, 200))
        self.assertEqual(self.size("c:300:300/car:2:1"), (400, 200))
