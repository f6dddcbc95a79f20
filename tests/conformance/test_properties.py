"""Any options: layout and pixels follow the rules, and only imgforge's errors are raised."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from imgforge.errors import ImgforgeError
from imgforge.model import (
    AutoQualityOptions,
    AvifOptions,
    BlurAreas,
    Color,
    Colorize,
    Crop,
    Duotone,
    Extend,
    Gradient,
    Gravity,
    JpegOptions,
    Monochrome,
    Padding,
    PngOptions,
    ProcessingOptions,
    ProgressiveBlur,
    Size,
    Trim,
    UnsharpOptions,
    Watermark,
    WebpOptions,
)
from imgforge.processing import FORMATS, ProcessingSettings, detect_format, process
from tests.support.geometry import layout
from tests.support.images import DRAWING, animation, encoded, oriented, see_through, smooth
from tests.support.rendition_case import Case, check, rendered

SIDES = st.integers(40, 120)
ASKED = st.one_of(st.just(0), st.integers(8, 160))
OFFSETS = st.sampled_from((0.0, 0.0, 1.0, -2.0, 5.0, 0.125, -0.0625))
EDGES = st.builds(Gravity, st.sampled_from(("no", "so", "ea", "we", "noea", "nowe", "soea", "sowe")), OFFSETS, OFFSETS)
# A gravity that is centred on an axis, or a focus point, may be one pixel off where rotation reverses the axis.
CORNERS = st.builds(Gravity, st.sampled_from(("noea", "nowe", "soea", "sowe")), OFFSETS, OFFSETS)
FACTORS = st.sampled_from((0.5, 0.75, 1.0, 1.0, 1.5, 2.0))
CROP_SIDES = st.one_of(st.just(0.0), st.sampled_from((0.5, 0.75)), st.integers(16, 120).map(float))
SPACE = st.integers(0, 12)
COLOURS = st.builds(Color, *[st.integers(0, 255)] * 3)

LAYOUTS = st.fixed_dictionaries(
    {
        "resizing_type": st.sampled_from(("fit", "fill", "fill-down", "force", "auto")),
        "width": ASKED,
        "height": ASKED,
        "min_width": st.one_of(st.just(0), ASKED),
        "min_height": st.one_of(st.just(0), ASKED),
        "zoom_x": FACTORS,
        "zoom_y": FACTORS,
        "dpr": FACTORS,
        "enlarge": st.booleans(),
        "gravity": CORNERS,
        "extend": st.builds(Extend, st.booleans(), EDGES),
        "extend_aspect_ratio": st.builds(Extend, st.booleans(), EDGES),
        "crop": st.none() | st.builds(Crop, CROP_SIDES, CROP_SIDES, st.none() | CORNERS),
        "padding": st.none() | st.builds(Padding, SPACE, SPACE, SPACE, SPACE),
        "rotate": st.sampled_from((0, 90, 180, 270)),
        "flip_horizontal": st.booleans(),
        "flip_vertical": st.booleans(),
        "auto_rotate": st.sampled_from((None, True, False)),
        "background": st.none() | COLOURS,
    }
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SIDES, SIDES, LAYOUTS, st.integers(1, 8))
def test_size_position_and_pixels_follow_the_rules(
    width: int, height: int, options: dict[str, object], orientation: int
) -> None:
    obeyed = orientation if options["auto_rotate"] is not False else 1
    swapped = (obeyed >= 5) != (options["rotate"] in (90, 270))
    sizes = layout(*((height, width) if swapped else (width, height)), ProcessingOptions(**options))  # type: ignore[arg-type]
    assume(not sizes.ambiguous)
    assume(min(sizes.scaled) >= 8)
    check(Case("drawn", options, (width, height), orientation), slack=0.5)


def moving(file_format: str) -> bytes:
    more = [Image.fromarray(255 - smooth(40, 30))]
    return encoded(smooth(40, 30), file_format, save_all=True, append_images=more, duration=60)


SOURCES = (
    encoded(smooth()),
    encoded(smooth()[:, :, 0].copy()),
    encoded(see_through()),
    encoded(smooth(), "PNG", "P"),
    encoded(smooth(), "PNG", "1"),
    encoded(smooth()[:, :, 0].astype(np.uint16) * 257),
    encoded(smooth(), "JPEG", "CMYK"),
    encoded(smooth(), "JPEG", "L"),
    encoded(smooth(), "GIF"),
    encoded(see_through(), "WEBP"),
    encoded(smooth(1, 1)),
    encoded(see_through(1, 90)),
    encoded(smooth(90, 2), "JPEG"),
    oriented(smooth(40, 30), 7, "JPEG"),
    encoded(smooth(40, 30), "AVIF"),
    encoded(smooth(40, 30), "BMP"),
    encoded(see_through(40, 30), "ICO", sizes=[(40, 30)]),
    rendered(encoded(see_through(40, 30)), format="heic").body,
    rendered(encoded(see_through(40, 30)), format="jxl").body,
    moving("PNG"),
    moving("AVIF"),
    animation([smooth(20, 16), 255 - smooth(20, 16)], (50, 60), 2),
    DRAWING,
)
ANY_SIZE = st.sampled_from((0, 1, 2, 7, 50, 97, 300, 10**6))
ANY_PART = st.sampled_from((0.0, 0.001, 0.5, 1.0, 9.9, 1e6))
ANY_LEAST = st.sampled_from((0, 0, 1, 50, 200))
ANY_FACTOR = st.sampled_from((0.1, 0.5, 1.0, 1.0, 1.0, 2.0, 9.5))
ANY_OFFSET = st.sampled_from((0.0, 0.5, -0.5, 1.0, -1.0, 30.0, -1e6, 1e6))
ANY_GRAVITY = st.one_of(
    st.builds(Gravity, st.sampled_from(("no", "so", "ea", "we", "noea", "sowe", "ce")), ANY_OFFSET, ANY_OFFSET),
    st.builds(Gravity, st.just("fp"), *[st.sampled_from((0.0, 0.3, 1.0))] * 2),
    st.just(Gravity("sm")),
)
ANY_MARK = st.builds(
    Watermark,
    st.sampled_from((0.0, 0.5, 1.0)),
    st.sampled_from(("ce", "no", "soea", "re", "ch")),
    ANY_OFFSET,
    ANY_OFFSET,
    st.sampled_from((0.0, 0.001, 0.5, 1.0, 3.0)),
)
ANY_ANGLE = st.sampled_from((0.0, 0.0, 45.0, -90.0, 359.9, 360000.0))
ANY_WEIGHT = st.sampled_from((None, 0.001, 1.0, 1e6))
ANY_SIGMA = st.sampled_from((0.0, 0.0, 0.01, 1.5, 30.0, 1e6))
SHARES = st.sampled_from((0.0, 0.0, 0.25, 1.0))
ANY_OPTIONS: dict[str, Any] = {
    "resizing_type": st.sampled_from(("fit", "fill", "fill-down", "force", "auto")),
    "resizing_algorithm": st.sampled_from(("nearest", "linear", "cubic", "lanczos2", "lanczos3")),
    "width": ANY_SIZE,
    "height": ANY_SIZE,
    "min_width": ANY_LEAST,
    "min_height": ANY_LEAST,
    "zoom_x": ANY_FACTOR,
    "zoom_y": ANY_FACTOR,
    "dpr": ANY_FACTOR,
    "enlarge": st.booleans(),
    "extend": st.builds(Extend, st.booleans(), EDGES),
    "extend_aspect_ratio": st.builds(Extend, st.booleans(), EDGES),
    "gravity": ANY_GRAVITY,
    "crop": st.none()
    | st.builds(Crop, *[st.sampled_from((0.0, 0.001, 0.5, 1.0, 9.9, 1e6))] * 2, st.none() | ANY_GRAVITY),
    "crop_aspect_ratio": st.sampled_from((0.0, 0.1, 1.0, 10.0)),
    "crop_aspect_ratio_enlarge": st.booleans(),
    "trim": st.none() | st.builds(Trim, st.sampled_from((0.0, 10.0, 1e3)), st.none() | COLOURS, *[st.booleans()] * 2),
    "padding": st.none() | st.builds(Padding, *[st.sampled_from((0, 1, 40, 10**6))] * 4),
    "rotate": st.sampled_from((0, 90, 180, 270)),
    "flip_horizontal": st.booleans(),
    "flip_vertical": st.booleans(),
    "auto_rotate": st.sampled_from((None, True, False)),
    "background": st.none() | COLOURS,
    "background_alpha": st.sampled_from((0.0, 0.5, 1.0)),
    "brightness": st.sampled_from((-255, 0, 40, 255)),
    "contrast": st.sampled_from((0.0, 1.0, 50.0)),
    "saturation": st.sampled_from((0.0, 1.0, 50.0)),
    "monochrome": st.builds(Monochrome, SHARES, COLOURS),
    "duotone": st.builds(Duotone, SHARES, COLOURS, COLOURS),
    "colorize": st.builds(Colorize, SHARES, COLOURS, st.booleans()),
    "gradient": st.builds(Gradient, SHARES, COLOURS, ANY_ANGLE, SHARES, SHARES),
    "unsharp_masking": st.builds(UnsharpOptions, st.sampled_from((None, "auto", "none", "always")), *[ANY_WEIGHT] * 2),
    "blur_areas": st.builds(BlurAreas, ANY_SIGMA, st.tuples(st.tuples(*[SHARES] * 4))),
    "progressive_blur": st.builds(ProgressiveBlur, ANY_SIGMA, ANY_ANGLE, SHARES, SHARES),
    "round": st.sampled_from((0.0, 0.5, 12.0, 1e6, math.inf)),
    "blur": ANY_SIGMA,
    "sharpen": st.sampled_from((0.0, 0.01, 1.5, 9.0)),
    "pixelate": st.sampled_from((0, 1, 2, 50, 10**6)),
    "watermark": st.none() | ANY_MARK,
    "watermark_text": st.sampled_from(("", "", "text", "<b>bold</b>", "<broken")),
    "watermark_size": st.builds(Size, *[st.sampled_from((0, 1, 30, 10**6))] * 2),
    "watermark_rotate": ANY_ANGLE,
    "watermark_shadow": ANY_SIGMA,
    "style": st.sampled_from(("", "rect{fill:red}", "</style>")),
    "color_profile": st.sampled_from(("", "", "srgb", "cmyk", "p3", "../p3", "absent")),
    "jpeg_options": st.builds(JpegOptions, *[st.sampled_from((None, True, False))] * 5, st.sampled_from((None, 0, 8))),
    "png_options": st.builds(PngOptions, *[st.sampled_from((None, True, False))] * 2, st.sampled_from((None, 2, 256))),
    "webp_options": st.builds(
        WebpOptions, st.sampled_from((None, "lossless", "near_lossless")), st.booleans(), st.sampled_from((None, "x"))
    ),
    "avif_options": st.builds(AvifOptions, st.sampled_from((None, "on", "off"))),
    "autoquality": st.builds(
        AutoQualityOptions, st.sampled_from((None, None, "size", "dssim")), ANY_WEIGHT, *[st.sampled_from((1, 99))] * 2
    ),
    "skip_processing": st.sampled_from(((), ("png",), ("svg", "jpeg"))),
    "keep_copyright": st.booleans(),
    "enforce_thumbnail": st.booleans(),
    "disable_animation": st.booleans(),
    "quality": st.sampled_from((0, 1, 50, 100)),
    "format": st.sampled_from((None, *sorted(FORMATS))),
    "max_bytes": st.sampled_from((0, 0, 1, 600)),
    "dpi": st.sampled_from((0.0, 1.0, 300.0)),
    "page": st.sampled_from((0, 1, 99)),
    "pages": st.sampled_from((1, 2, 99)),
    "preserve_hdr": st.booleans(),
    "strip_metadata": st.booleans(),
    "strip_color_profile": st.booleans(),
}
ANYTHING = st.builds(ProcessingOptions, **ANY_OPTIONS)
# Options that change no pixels: limits and hashes, which have tests of their own.
SAID_ELSEWHERE = {
    "format_quality",
    "hashsum",
    "watermark_url",
    "max_src_resolution",
    "max_src_file_size",
    "max_animation_frames",
    "max_animation_frame_resolution",
    "max_result_dimension",
}
LIMITS = ProcessingSettings(max_result_dimension=400, max_animation_frames=4)
MARK = {"": encoded(see_through(9, 7))}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SOURCES),
    ANYTHING,
    st.lists(ANYTHING, max_size=1),
    st.sampled_from(((), ("webp",), ("avif", "webp"))),
)
def test_only_imgforge_errors_are_raised(
    source: bytes, options: ProcessingOptions, chained: list[ProcessingOptions], accepted: tuple[str, ...]
) -> None:
    with suppress(ImgforgeError):  # `test_limits` checks their messages
        made = process(source, options, LIMITS, chained=chained, accepted=accepted, watermarks=MARK)
        assert detect_format(made.body) == made.format
        assert 1 <= min(made.width, made.height) <= max(made.width, made.height) <= 400


@pytest.mark.parametrize("field", [one.name for one in fields(ProcessingOptions)])
def test_every_option_is_drawn(field: str) -> None:
    assert (field in ANY_OPTIONS) is not (field in SAID_ELSEWHERE)
