"""Sources that are rejected as too large, broken or no image; and the limit on a result's bytes."""

from __future__ import annotations

import struct
import sys
import sysconfig
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgforge
from imgforge.errors import (
    ImgforgeError,
    NotAnImage,
    RequestTimeout,
    ResultTooLarge,
    SourceTooLarge,
    UnsupportedFormat,
)
from imgforge.model import Extend, Padding, ProcessingOptions
from imgforge.processing import Cancellation, ProcessingSettings, process, usage
from tests.support.fresh_python import output_of
from tests.support.images import DRAWING, animation, encoded, oriented, see_through, smooth
from tests.support.rendition_case import rendered

PIXELS = 96 * 64 / 1e6
SOURCES = {
    "JPEG": encoded(smooth(), "JPEG"),
    "PNG": encoded(smooth()),
    "GIF": encoded(smooth(), "GIF"),
    "WEBP": encoded(smooth(), "WEBP"),
    "TIFF": encoded(smooth(), "TIFF", compression="tiff_adobe_deflate"),
    "AVIF": encoded(smooth(), "AVIF"),
    "animation": animation([smooth(), 255 - smooth()], (50, 60), 0),
}


@pytest.mark.parametrize("source", list(SOURCES))
def test_the_resolution_of_the_source_is_limited_to_the_pixel(source: str) -> None:
    body = SOURCES[source]
    assert rendered(body, ProcessingSettings(max_src_resolution=PIXELS)).width == 96
    with pytest.raises(SourceTooLarge):
        rendered(body, ProcessingSettings(max_src_resolution=PIXELS - 1e-6))
    with pytest.raises(SourceTooLarge):
        rendered(body, max_src_resolution=PIXELS - 1e-6)
    assert rendered(body, ProcessingSettings(max_src_resolution=1e-6), max_src_resolution=PIXELS).width == 96


def test_a_decompression_bomb_is_rejected_by_its_header() -> None:
    header = struct.pack(">LLBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = b"".join(_chunk(kind, data) for kind, data in ((b"IHDR", header), (b"IDAT", b"no pixels"), (b"IEND", b"")))
    with pytest.raises(SourceTooLarge):
        rendered(b"\x89PNG\r\n\x1a\n" + chunks, width=10)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


# Where the package, its libraries and the process are.
PLACES = sorted(
    {
        str(Path(place).resolve())
        for place in (imgforge.__path__[0], sysconfig.get_path("purelib"), sys.prefix, Path.cwd(), Path.home())
        if Path(place).resolve() != Path("/")
    }
    | {tempfile.gettempdir(), "site-packages", ".py"}
)


def canvases() -> Iterator[tuple[dict[str, Any], int]]:
    """Options for a picture of 96x64, and its longest side under them."""
    yield {}, 96
    yield {"width": 50}, 50
    yield {"width": 300, "enlarge": True}, 300
    yield {"height": 50, "padding": Padding(0, 30, 0, 30)}, 135
    yield {"padding": Padding(40, 0, 40, 0)}, 144
    yield {"width": 10, "height": 200, "extend": Extend(True)}, 200
    yield {"height": 60, "dpr": 2.0, "enlarge": True}, 180
    yield {"min_height": 128}, 192
    yield {"width": 40, "height": 70, "resizing_type": "fill", "rotate": 90, "enlarge": True}, 70


@pytest.mark.parametrize(("options", "side"), list(canvases()))
def test_the_result_is_limited_on_its_final_canvas(options: dict[str, Any], side: int) -> None:
    made = rendered(SOURCES["PNG"], ProcessingSettings(max_result_dimension=side), **options)
    assert max(made.width, made.height) == side
    with pytest.raises(ResultTooLarge):
        rendered(SOURCES["PNG"], ProcessingSettings(max_result_dimension=side - 1), **options)


def test_svg_results_are_limited_too() -> None:
    with pytest.raises(ResultTooLarge):
        rendered(DRAWING, ProcessingSettings(max_result_dimension=100), width=5000)


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("source", list(SOURCES))
def test_a_truncated_source_is_rejected(source: str, share: float) -> None:
    body = SOURCES[source]
    with pytest.raises(ImgforgeError) as raised:
        rendered(body[: int(len(body) * share)])
    assert 400 <= raised.value.status < 500


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.integers(0, 10**6), st.binary(min_size=1, max_size=12))
def test_a_damaged_picture_gives_a_picture_or_one_of_our_errors(source: str, at: int, noise: bytes) -> None:
    body = bytearray(SOURCES[source])
    at %= len(body)
    body[at : at + len(noise)] = noise
    said = ""
    try:
        assert rendered(bytes(body), ProcessingSettings(max_src_resolution=1.0), width=20).width <= 20
    except (NotAnImage, SourceTooLarge, UnsupportedFormat) as error:
        said = error.message
    assert "\n" not in said
    # Nothing of this machine; zlib's or libtiff's own message may have a slash.
    assert not [place for place in PLACES if place in said]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_rejected(body: bytes) -> None:
    with pytest.raises((NotAnImage, UnsupportedFormat)):  # the latter where it begins like a format that is missing
        rendered(body)


def test_cancelled_work_is_not_started() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(RequestTimeout):
        process(SOURCES["JPEG"], ProcessingOptions(width=20), ProcessingSettings(), cancellation=cancellation)


def print_memory_of_a_small_result() -> None:
    """The most bytes that libvips has held."""
    options = {"width": 50, "height": 50, "min_width": 6000, "rotate": 90}
    with suppress(ResultTooLarge):
        rendered(SOURCES["PNG"], ProcessingSettings(max_result_dimension=100), **options)
    print(int(usage()["memory_highwater_bytes"]))


def test_a_small_result_takes_little_memory() -> None:
    """Between scaling and cropping the image has 6000x4000 pixels, 72 MB, of which 50x50 are requested."""
    module = "tests.conformance.test_limits"
    assert int(output_of(f"from {module} import print_memory_of_a_small_result as p; p()")) <= 60e6


HEAVY = encoded(see_through(400, 300)[:, :, :3])


def weight(name: str, quality: int) -> int:
    return len(rendered(HEAVY, format=name, quality=quality).body)


@pytest.mark.parametrize("share", [0.9, 0.6, 0.4, 0.25, 0.01, 1.5])
@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_quality_falls_until_max_bytes_is_met(name: str, share: float) -> None:
    """In the steps of imgproxy 4: to a quarter, a half or three quarters by the excess, down to 10."""
    quality = 90
    allowed = round(weight(name, quality) * share)
    while (size := weight(name, quality)) > allowed and quality > 10:
        factor = 0.25 if size > 3 * allowed else 0.5 if size > 1.5 * allowed else 0.75
        quality = max(1, min(quality - 1, int(quality * factor + 0.5)))
    made = rendered(HEAVY, format=name, quality=90, max_bytes=allowed)
    assert len(made.body) == size
    assert made.format == name


@pytest.mark.parametrize("name", ["png", "gif"])
def test_max_bytes_is_ignored_for_formats_without_quality(name: str) -> None:
    plain = rendered(HEAVY, format=name).body
    assert rendered(HEAVY, format=name, max_bytes=10).body == plain


def test_source_limits_do_not_depend_on_orientation() -> None:
    body = oriented(smooth(), 6, "JPEG")
    assert rendered(body, ProcessingSettings(max_src_resolution=PIXELS)).height == 96
