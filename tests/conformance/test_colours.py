"""Results of grey, 16-bit, CMYK, palette and profiled pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from imgforge.model import Color, Extend, Padding
from imgforge.processing import ProcessingSettings
from tests.support.colour_profiles import GREY, GREY_ALPHA, p3_as_srgb, vips_png
from tests.support.images import Pixels, decoded, encoded, see_through, smooth
from tests.support.rendition_case import alike, rendered

DEEP: Pixels = GREY.astype(np.uint16) * 257


def palette(colours: int = 4) -> bytes:
    """Vertical bars of as many colours, in a palette PNG of that depth."""
    bars = np.repeat(np.arange(colours, dtype=np.uint8), 80 // colours)
    image = Image.fromarray(np.tile(bars, (60, 1)), "P")
    image.putpalette([value for index in range(colours) for value in (index * 60 % 256, 255 - index * 6, 40)])
    output = io.BytesIO()
    image.save(output, "PNG", bits={2: 1, 4: 2, 16: 4}.get(colours, 8))
    return output.getvalue()


def wide(pixels: Pixels, file_format: str = "PNG") -> bytes:
    """*pixels* as numbers of Display P3, with its profile."""
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", pyvips.Operation.call("profile_load", "p3"))
    return bytes(image.pngsave_buffer() if file_format == "PNG" else image.webpsave_buffer(lossless=True))


@dataclass(frozen=True, slots=True)
class Kind:
    """A source, options, and the mode and pixels that Pillow must find in the answer."""

    name: str
    source: Callable[[], bytes]
    options: dict[str, Any]
    mode: str
    pixels: Pixels
    mean: float = 0.0
    most: float = 1.0


def over(pixels: Pixels, colour: int) -> Pixels:
    """Two bands (grey, alpha) on a background."""
    alpha = pixels[:, :, 1] / 255.0
    return np.rint(pixels[:, :, 0] * alpha + colour * (1 - alpha))


def on(colour: tuple[int, int, int]) -> Pixels:
    alpha = see_through()[:, :, 3:] / 255.0
    return np.rint(see_through()[:, :, :3] * alpha + np.array(colour) * (1 - alpha))


RGB_OF_GREY = np.dstack([GREY] * 3)
KINDS = (
    Kind("grey stays grey", lambda: encoded(GREY), {}, "L", GREY),
    Kind("grey jpeg stays grey", lambda: encoded(GREY, "JPEG", quality=98), {}, "L", GREY, 1, 5),
    Kind("grey to jpeg", lambda: encoded(GREY), {"format": "jpeg", "quality": 98}, "L", GREY, 1, 5),
    Kind("grey to webp", lambda: encoded(GREY), {"format": "webp", "quality": 98}, "RGB", RGB_OF_GREY, 3, 12),
    Kind("grey with alpha", lambda: vips_png(GREY_ALPHA, "b-w"), {}, "LA", GREY_ALPHA),
    Kind(
        "on a grey", lambda: vips_png(GREY_ALPHA, "b-w"), {"background": Color(9, 9, 9)}, "L", over(GREY_ALPHA, 9), 0.6
    ),
    Kind(
        "to jpeg on white",
        lambda: vips_png(GREY_ALPHA, "b-w"),
        {"format": "jpeg", "quality": 98},
        "L",
        over(GREY_ALPHA, 255),
        1,
        5,
    ),
    Kind("deep grey", lambda: vips_png(DEEP[:, :, None], "grey16"), {}, "L", GREY),
    Kind("deep", lambda: vips_png(smooth().astype(np.uint16) * 257, "rgb16"), {}, "RGB", smooth()),
    Kind(
        "deep with alpha", lambda: vips_png(see_through().astype(np.uint16) * 257, "rgb16"), {}, "RGBA", see_through()
    ),
    Kind("alpha stays", lambda: encoded(see_through()), {}, "RGBA", see_through()),
    Kind(
        "alpha on a colour",
        lambda: encoded(see_through()),
        {"background": Color(200, 30, 60)},
        "RGB",
        on((200, 30, 60)),
        0.6,
    ),
    Kind(
        "alpha to jpeg",
        lambda: encoded(see_through()),
        {"format": "jpeg", "quality": 98},
        "RGB",
        on((255, 255, 255)),
        1.5,
        12,
    ),
    Kind("lossless webp", lambda: encoded(see_through(), "WEBP", lossless=True, exact=True), {}, "RGBA", see_through()),
    Kind("tiff", lambda: encoded(smooth(), "TIFF"), {}, "RGB", smooth()),
    Kind(
        "deflated tiff",
        lambda: encoded(see_through(), "TIFF", compression="tiff_adobe_deflate"),
        {},
        "RGBA",
        see_through(),
    ),
    Kind("to tiff", lambda: encoded(smooth()), {"format": "tiff"}, "RGB", smooth()),
    Kind("wide gamut", lambda: wide(smooth()), {}, "RGB", p3_as_srgb(smooth()), 0.6, 3),
    Kind("wide gamut kept", lambda: wide(smooth()), {"strip_color_profile": False}, "RGB", smooth()),
    Kind("wide gamut in webp", lambda: wide(smooth(), "WEBP"), {}, "RGB", p3_as_srgb(smooth()), 0.6, 3),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_mode_and_pixels(kind: Kind) -> None:
    body = rendered(kind.source(), **kind.options).body
    assert Image.open(io.BytesIO(body)).mode == kind.mode
    alike(decoded(body), kind.pixels, mean=kind.mean, most=kind.most)


@pytest.mark.parametrize("name", ["png", "tiff"])
def test_16_bits_are_kept_with_preserve_hdr(name: str) -> None:
    deep = smooth().astype(np.uint16) * 257 ^ 0x5A
    body = rendered(vips_png(deep, "rgb16"), format=name, preserve_hdr=True).body
    image = pyvips.Image.new_from_buffer(body, "")
    assert image.format == "ushort"
    assert (image.numpy() == deep).all()


@pytest.mark.parametrize("name", ["jpeg", "webp", "gif"])
def test_8_bit_formats_have_8_bits(name: str) -> None:
    body = rendered(vips_png(smooth().astype(np.uint16) * 257, "rgb16"), format=name, preserve_hdr=True).body
    assert pyvips.Image.new_from_buffer(body, "").format == "uchar"


@pytest.mark.parametrize("name", ["png", "tiff"])
def test_16_bit_grey_is_kept_with_preserve_hdr(name: str) -> None:
    deep = GREY.astype(np.uint16) * 257 ^ 0x5A
    image = pyvips.Image.new_from_buffer(
        rendered(vips_png(deep[:, :, None], "grey16"), format=name, preserve_hdr=True).body, ""
    )
    assert (image.bands, image.format) == (1, "ushort")
    assert (image.numpy() == deep).all()


def test_avif_keeps_as_many_bits_as_it_can() -> None:
    deep = smooth().astype(np.uint16) * 257
    body = rendered(vips_png(deep, "rgb16"), format="avif", preserve_hdr=True, quality=95).body
    image = pyvips.Image.new_from_buffer(body, "")
    assert image.format == "ushort"
    assert image.get("bits-per-sample") > 8
    assert np.abs(image.numpy().astype(int) - deep).mean() < 2 * 257


def test_a_wide_gamut_keeps_16_bits_in_srgb() -> None:
    image = pyvips.Image.new_from_array(smooth().astype(np.uint16) * 257).copy(interpretation="rgb16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", pyvips.Operation.call("profile_load", "p3"))
    made = pyvips.Image.new_from_buffer(rendered(bytes(image.pngsave_buffer()), preserve_hdr=True).body, "")
    assert made.format == "ushort"
    # LittleCMS interpolates 16 bits in a table, which is some way off where a colour is out of the gamut.
    alike(made.numpy() / 257, p3_as_srgb(smooth()), mean=0.6, most=12)


@pytest.mark.parametrize("width", [96, 48, 200])
def test_a_wide_gamut_is_the_same_in_every_size(width: int) -> None:
    flat = np.full((64, 96, 3), (40, 200, 90), np.uint8)
    made = decoded(rendered(wide(flat), width=width, enlarge=True).body)
    alike(made, np.broadcast_to(p3_as_srgb(flat)[:1, :1], made.shape), mean=1, most=2)


@pytest.mark.parametrize(("linear", "level"), [(False, 128), (True, 188)])
@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("deep", [False, True])
def test_linear_colorspace_averages_light(linear: bool, level: int, bands: int, deep: bool) -> None:
    """Half the pixels black, half white: half the light is 188 in sRGB (IEC 61966-2-1), half the numbers 128."""
    board = np.where(np.indices((64, 64)).sum(axis=0)[:, :, None] % 2, 255, 0).repeat(bands, axis=2).astype(np.uint8)
    board[:, :, 3:] = 255
    pixels = board.astype(np.uint16) * 257 if deep else board
    kind = ("grey16" if deep else "b-w") if bands == 1 else ("rgb16" if deep else "srgb")
    settings = ProcessingSettings(use_linear_colorspace=linear)
    made = rendered(vips_png(pixels, kind), settings, width=16, preserve_hdr=True)
    got = pyvips.Image.new_from_buffer(made.body, "").numpy().reshape(16, 16, bands) / (257 if deep else 1)
    inner = got[2:-2, 2:-2, : min(bands, 3)]
    assert np.abs(inner - level).max() <= 2


def test_enlarging_in_linear_light_keeps_even_colours() -> None:
    flat = np.full((20, 30, 3), (40, 130, 220), np.uint8)
    settings = ProcessingSettings(use_linear_colorspace=True)
    made = decoded(rendered(encoded(flat), settings, width=70, enlarge=True).body)
    alike(made, np.broadcast_to(flat[:1, :1], made.shape), mean=0.5, most=1)


@pytest.mark.parametrize("embedded", [False, True])
def test_cmyk_becomes_srgb(embedded: bool) -> None:
    """By the profile of the file or by libvips' own; LittleCMS itself is the reference."""
    profile = bytes(pyvips.Operation.call("profile_load", "cmyk"))
    y, x = np.mgrid[0:64, 0:96]
    ink = np.dstack([x * 2, y * 3, (x + y) % 200, y]).astype(np.uint8)
    body = inked(ink, profile if embedded else None)
    wanted = in_srgb(Image.open(io.BytesIO(body)), profile)
    alike(decoded(rendered(body, format="png").body, "RGB"), np.asarray(wanted), mean=2.5, most=40)


def inked(pixels: Pixels, profile: bytes | None = None) -> bytes:
    output = io.BytesIO()
    Image.fromarray(pixels, "CMYK").save(output, "JPEG", quality=95, subsampling=0, icc_profile=profile)
    return output.getvalue()


@pytest.mark.parametrize("name", ["jpeg", "tiff", "png", "webp"])
@pytest.mark.parametrize("width", [0, 48])
def test_cmyk_with_its_profile_looks_the_same(name: str, width: int) -> None:
    """CMYK where the format supports it, else sRGB without a CMYK profile."""
    profile = bytes(pyvips.Operation.call("profile_load", "cmyk"))
    y, x = np.mgrid[0:64, 0:96]
    ink = np.dstack([40 + x, 30 + y * 2, 60 + (x + y) // 2, y // 2]).astype(np.uint8)
    body = inked(ink, profile)
    made = Image.open(io.BytesIO(rendered(body, format=name, strip_color_profile=False, quality=95, width=width).body))
    inks = name in {"jpeg", "tiff"}
    assert made.mode == ("CMYK" if inks else "RGB")
    assert made.info.get("icc_profile") == (profile if inks else None)
    wanted = in_srgb(Image.open(io.BytesIO(body)), profile).resize(made.size, Image.Resampling.BOX)
    alike(np.asarray(in_srgb(made, profile) if inks else made), np.asarray(wanted), mean=2.5, most=14)


def in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """*picture*, which is CMYK, converted by LittleCMS itself."""
    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    made = ImageCms.profileToProfile(picture, own, srgb, ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB")
    assert made is not None
    return made


@pytest.mark.parametrize("colours", [2, 4, 16, 40])
def test_a_palette_stays_one_of_its_depth(colours: int) -> None:
    source = palette(colours)
    body = rendered(source).body
    assert body[25] == 3  # PNG colour type of IHDR: palette
    assert body[24] == source[24]  # its bit depth
    alike(decoded(body, "RGB"), decoded(source, "RGB"), mean=0, most=2)


def test_a_palette_with_transparency_keeps_it() -> None:
    image = Image.open(io.BytesIO(palette(4)))
    output = io.BytesIO()
    image.save(output, "PNG", transparency=0)
    made = decoded(rendered(output.getvalue()).body, "RGBA")
    assert (made[:, :20, 3] == 0).all()
    assert (made[:, 20:, 3] == 255).all()


@pytest.mark.parametrize("options", [{"padding": Padding(2, 2, 2, 2)}, {"width": 99, "extend": Extend(True)}])
def test_grey_gets_alpha_where_the_canvas_grows(options: dict[str, Any]) -> None:
    body = rendered(encoded(GREY), **options).body
    assert Image.open(io.BytesIO(body)).mode == "LA"


def test_grey_becomes_rgb_on_a_coloured_background() -> None:
    made = decoded(rendered(encoded(GREY), padding=Padding(4, 4, 4, 4), background=Color(250, 0, 10)).body)
    assert made[0, 0].tolist() == [250, 0, 10]
    alike(made[4:-4, 4:-4], RGB_OF_GREY, mean=0, most=1)


@pytest.mark.parametrize(("strip", "has"), [(True, False), (False, True)])
def test_the_profile_is_stripped_or_kept(strip: bool, has: bool) -> None:
    for name in ("png", "jpeg", "webp", "tiff"):
        body = rendered(wide(smooth()), format=name, strip_color_profile=strip).body
        assert ("icc_profile" in Image.open(io.BytesIO(body)).info) is has, name


def test_an_srgb_profile_changes_no_pixel() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = decoded(rendered(encoded(smooth(), icc_profile=profile)).body)
    alike(made, smooth(), mean=0.4, most=1)


def test_invisible_colours_do_not_bleed_when_resized() -> None:
    half = np.zeros((64, 64, 4), np.uint8)
    half[:, :32] = (10, 200, 30, 255)
    half[:, 32:] = (255, 0, 0, 0)
    made = decoded(rendered(encoded(half), width=15).body).astype(int)
    seen = made[made[:, :, 3] > 20]
    assert (abs(seen[:, :3] - (10, 200, 30)) <= 20).all()
