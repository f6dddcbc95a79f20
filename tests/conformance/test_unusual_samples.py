"""Pictures with unusual samples: linear light, profiled grey, bands beyond the alpha."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import pyvips

from imgforge.model import Color, Colorize, Gradient, Monochrome, Padding, ProcessingOptions, UnsharpOptions, Watermark
from imgforge.processing import ProcessingSettings, process
from tests.support.colour_profiles import GREY, GREY_ALPHA, curved, vips_png
from tests.support.images import Pixels, decoded, encoded, see_through, smooth
from tests.support.rendition_case import alike, rendered

GAMMA = 1.8
LEVEL = 130
SEEN = float(curved(np.array((LEVEL / 255) ** GAMMA)))
GREEN = Color(10, 200, 90)
DOT: Pixels = np.full((8, 8, 4), (250, 20, 40, 255), np.uint8)


def grey_profile() -> bytes:
    """A grey profile in which light is the sample to the power of `GAMMA` (ICC.1:2001, 6.3.1.2)."""
    white = b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in (0.9642, 1.0, 0.8249)))
    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(GAMMA * 256))
    text = b"desc" + bytes(4) + struct.pack(">I", 2) + b"g" + bytes(79)
    tags = ((b"desc", text), (b"wtpt", white), (b"kTRC", curve))
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags:
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content
    header = struct.pack(">I4xI", start + len(data), 0x02100000) + b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28)
    return header + white[8:] + bytes(48) + table + data


def grey(alpha: int | None = None, *, deep: bool = False) -> bytes:
    """A uniform picture of `LEVEL` in that profile's space."""
    pixels = np.full((40, 60, 1), LEVEL, np.uint8)
    if alpha is not None:
        pixels = np.dstack([pixels, np.full((40, 60, 1), alpha, np.uint8)])
    samples = pixels.astype(np.uint16) * 257 if deep else pixels
    image = pyvips.Image.new_from_array(samples).copy(interpretation="grey16" if deep else "b-w")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", grey_profile())
    return bytes(image.pngsave_buffer())


def made(source: bytes, **options: Any) -> Pixels:
    asked = ProcessingOptions(**{"format": "png", **options})
    body = process(source, asked, ProcessingSettings(), watermarks={"": encoded(DOT)}).body
    image = pyvips.Image.new_from_buffer(body, "")  # Pillow does not scale deep grey
    image.remove("icc-profile-data")
    image = image.colourspace("srgb").cast("uchar")
    pixels: Pixels = (image if image.hasalpha() else image.bandjoin(255)).numpy()
    return pixels


COLOURING: dict[str, dict[str, Any]] = {
    "nothing": {},
    "blur": {"blur": 2.0},
    "pixelate": {"pixelate": 5},
    "contrast": {"contrast": 1.0, "saturation": 0.0},
    "monochrome": {"monochrome": Monochrome(0.0001, Color(200, 10, 10))},
    "colorize": {"colorize": Colorize(0.001, Color(0, 0, 0))},
    "gradient": {"gradient": Gradient(0.001, Color(0, 0, 0))},
    "unsharp mask": {"unsharp_masking": UnsharpOptions("always", 1.0, 24.0)},
    "a coloured watermark": {"watermark": Watermark(1, "nowe")},
    "a profile": {"color_profile": "srgb"},
    "a coloured padding": {"padding": Padding(2, 2, 2, 2), "background": GREEN},
}


@pytest.mark.parametrize("what", list(COLOURING))
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("strip", [False, True])
def test_profiled_grey_keeps_its_brightness_when_it_becomes_rgb(what: str, deep: bool, strip: bool) -> None:
    got = made(grey(deep=deep), strip_color_profile=strip, preserve_hdr=deep, **COLOURING[what])
    if what == "nothing" and not strip:
        assert got[20, 30].tolist() == [LEVEL, LEVEL, LEVEL, 255]
    else:
        assert np.abs(got[20, 30].astype(int) - [SEEN, SEEN, SEEN, 255]).max() <= 2


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("strip", [False, True])
def test_transparent_grey_is_flattened_on_the_background(deep: bool, strip: bool) -> None:
    options = {"background": GREEN, "padding": Padding(4, 4, 4, 4), "strip_color_profile": strip, "preserve_hdr": deep}
    got = made(grey(102, deep=deep), **options).astype(int)
    wanted = [SEEN * 0.4 + below * 0.6 for below in (10, 200, 90)]
    assert np.abs(got[20, 30] - [*wanted, 255]).max() <= 2
    assert got[0, 0].tolist() == [10, 200, 90, 255]


def test_grey_that_became_rgb_has_no_grey_profile() -> None:
    body = rendered(grey(102), background=GREEN, strip_color_profile=False).body
    assert b"iCCP" not in body


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("profiled", [False, True])
def test_floating_point_samples_are_linear_light(bands: int, profiled: bool) -> None:
    """Grey and colours, as Pillow and libvips write them; a profile does not apply to linear light."""
    light = {1: GREY, 2: GREY_ALPHA, 3: smooth(), 4: see_through()}[bands].reshape(64, 96, bands) / np.float32(255)
    wanted = curved(light)
    if bands in {2, 4}:
        wanted[:, :, -1] = light[:, :, -1] * 255
    image = pyvips.Image.new_from_array(light).copy(interpretation="b-w" if bands < 3 else "scrgb")
    if profiled:
        profile = grey_profile() if bands < 3 else bytes(pyvips.Operation.call("profile_load", "p3"))
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    bodies = [bytes(image.tiffsave_buffer())]
    if bands == 1 and not profiled:
        bodies.append(encoded(light[:, :, 0], "TIFF"))
    for body in bodies:
        alike(decoded(rendered(body).body).reshape(64, 96, bands), wanted, mean=0.6, most=2)
        deep = pyvips.Image.new_from_buffer(rendered(body, preserve_hdr=True).body, "")
        assert deep.format == "ushort"
        alike(deep.numpy().reshape(64, 96, bands) / 257, wanted, mean=0.6, most=2)


@pytest.mark.parametrize("surplus", [1, 3])
@pytest.mark.parametrize("bands", [2, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"format": "jpeg", "quality": 98},
        {"blur": 2.0},
        {"background": GREEN},
        {"watermark": Watermark(0.5, "ce")},
        {"width": 40},
    ],
    ids=lambda options: next(iter(options)),
)
def test_bands_beyond_the_alpha_are_dropped(bands: int, surplus: int, options: dict[str, Any]) -> None:
    """Photoshop writes spot colours and saved selections so."""
    pixels = GREY_ALPHA if bands == 2 else see_through()
    kind = "b-w" if bands == 2 else "srgb"
    more = np.dstack([pixels, *[GREY[::-1]] * surplus])
    source = bytes(pyvips.Image.new_from_array(more).copy(interpretation=kind).tiffsave_buffer())
    alike(made(source, **options), made(vips_png(pixels, kind), **options), mean=0, most=1)
