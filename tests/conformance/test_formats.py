"""The format of a result, with and without an extension, and the picture in each format."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
import pyvips
from PIL import Image

from imgforge.errors import NotAnImage, UnsupportedFormat
from imgforge.model import Color, Extend, Padding, ProcessingOptions
from imgforge.processing import FORMATS, ProcessingSettings, capabilities, detect_format, process
from tests.support.images import DRAWING, decoded, encoded, see_through, smooth
from tests.support.rendition_case import alike, rendered


def avif() -> bytes:
    image = pyvips.Image.new_from_array(smooth()).copy(interpretation="srgb")
    return bytes(image.heifsave_buffer(Q=90, compression="av1", effort=1))


SOURCES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(smooth(), "JPEG", quality=95, subsampling=0),
    "png": lambda: encoded(smooth()),
    "png with alpha": lambda: encoded(see_through()),
    "gif": lambda: encoded(smooth(), "GIF"),
    "webp": lambda: encoded(smooth(), "WEBP", lossless=True),
    "webp with alpha": lambda: encoded(see_through(), "WEBP", lossless=True),
    "avif": avif,
    "tiff": lambda: encoded(smooth(), "TIFF"),
    "tiff with alpha": lambda: encoded(see_through(), "TIFF"),
}
TARGETS = ("jpeg", "png", "gif", "webp", "avif", "tiff")


@dataclass(frozen=True, slots=True)
class Fallback:
    """A URL without an extension, and the format of its result."""

    source: str
    wanted: str
    options: dict[str, Any] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    default: str = "source"


PADDED = {"padding": Padding(1, 1, 1, 1)}
EXTENDED = {"extend": Extend(True), "width": 100, "height": 100}
WHITE = {"background": Color(255, 255, 255)}
FALLBACKS = (
    Fallback("jpeg", "jpeg"),
    Fallback("png", "png"),
    Fallback("png with alpha", "png"),
    Fallback("gif", "gif"),
    Fallback("webp", "jpeg"),
    Fallback("avif", "jpeg"),
    Fallback("tiff", "jpeg"),
    Fallback("webp with alpha", "png"),
    Fallback("tiff with alpha", "png"),
    Fallback("webp with alpha", "jpeg", WHITE),
    Fallback("webp", "png", PADDED),
    Fallback("webp", "jpeg", {"padding": Padding()}),
    Fallback("avif", "png", EXTENDED),
    Fallback("tiff", "jpeg", PADDED | WHITE),
    Fallback("webp with alpha", "png", {"background": Color(9, 9, 9), "background_alpha": 0.5}),
    Fallback("jpeg", "jpeg", PADDED),
    Fallback("jpeg", "jpeg", EXTENDED),
    Fallback("jpeg", "webp", {}, ("webp",)),
    Fallback("jpeg", "avif", {}, ("avif", "webp")),
    Fallback("png", "webp", {}, ("webp", "avif")),
    Fallback("jpeg", "png", {"format": "png"}),
    Fallback("jpeg", "webp", {"format": "png"}, ("webp",)),
    Fallback("jpeg", "webp", {"format": "png", "skip_processing": ("jpeg",)}, ("webp",)),
    Fallback("jpeg", "jpeg", {"format": "jpeg", "skip_processing": ("jpeg",)}, ("webp",)),
    Fallback("jpeg", "webp", {}, (), "webp"),
    Fallback("gif", "png", {}, (), "png"),
    Fallback("png", "webp", {}, ("webp",), "jpeg"),
    Fallback("jpeg", "gif", {"format": "gif"}, (), "webp"),
)


@pytest.mark.parametrize("case", FALLBACKS, ids=lambda case: f"{case.source}-{case.wanted}")
def test_the_format_without_extension(case: Fallback) -> None:
    settings = ProcessingSettings(default_format=case.default)
    source = SOURCES[case.source]()
    rendition = process(source, ProcessingOptions(**case.options), settings, accepted=case.accepted)
    assert rendition.format == case.wanted
    assert rendition.content_type == FORMATS[case.wanted].mime_type
    assert detect_format(rendition.body) == case.wanted
    assert rendition.source_format == case.source.partition(" ")[0]
    assert (rendition.source_width, rendition.source_height, rendition.source_bytes) == (96, 64, len(source))


@pytest.mark.parametrize(("source", "target"), list(product(SOURCES, TARGETS)))
def test_from_each_format_to_each(source: str, target: str) -> None:
    rendition = rendered(SOURCES[source](), format=target, quality=95)
    assert detect_format(rendition.body) == target
    assert (rendition.width, rendition.height) == (96, 64)
    got = decoded(rendition.body, "RGBA")
    has_alpha = "alpha" in source and target not in {"jpeg", "gif"}
    wanted = see_through() if "alpha" in source else smooth()
    if has_alpha:
        alike(got[:, :, 3], wanted[:, :, 3], mean=1, most=8)
        opaque = wanted[:, :, 3] > 200
        alike(got[opaque][:, :3], wanted[opaque][:, :3], mean=5, most=40)
    elif "alpha" not in source:
        alike(got[:, :, :3], wanted, mean=5, most=60)


@pytest.mark.parametrize(("wanted", "became"), [("jpeg", "avif"), ("svg", "svg"), (None, "svg")])
def test_an_svg_is_rasterised_only_for_a_requested_raster_format(wanted: str | None, became: str) -> None:
    made = process(DRAWING, ProcessingOptions(format=wanted), ProcessingSettings(), accepted=("avif",))
    assert made.format == became


def test_an_accepted_format_does_not_allow_svg_of_a_photo() -> None:
    with pytest.raises(UnsupportedFormat):
        process(encoded(smooth()), ProcessingOptions(format="svg"), ProcessingSettings(), accepted=("avif",))


def svg_cases() -> Iterator[tuple[dict[str, Any], tuple[int, int]]]:
    yield {}, (80, 40)
    yield {"width": 160}, (160, 80)
    yield {"width": 40}, (40, 20)
    yield {"width": 100, "height": 100}, (100, 50)
    yield {"width": 100, "height": 100, "resizing_type": "fill"}, (100, 100)
    yield {"dpr": 2.0}, (160, 80)
    yield {"width": 400, "height": 400, "resizing_type": "force"}, (400, 400)
    yield {"rotate": 90, "width": 20}, (20, 40)


@pytest.mark.parametrize(("options", "size"), list(svg_cases()))
def test_an_svg_is_drawn_sharp_in_any_size(options: dict[str, Any], size: tuple[int, int]) -> None:
    rendition = rendered(DRAWING, **options)
    assert (rendition.width, rendition.height) == size
    pixels = decoded(rendition.body, "RGB").reshape(-1, 3).astype(int)
    red, blue = (abs(pixels - colour).max(axis=1) <= 2 for colour in ((255, 0, 0), (0, 0, 255)))
    assert (red | blue).mean() > 0.9  # an enlarged bitmap would be blurred between them
    assert abs(red.mean() - blue.mean()) < 0.1


def test_an_svg_stays_svg_unless_a_raster_format_is_requested() -> None:
    for name in (None, "svg"):
        rendition = process(DRAWING, ProcessingOptions(format=name, width=500), ProcessingSettings())
        assert (rendition.format, rendition.width, rendition.height) == ("svg", 80, 40)
        assert rendition.content_type == "image/svg+xml"
        assert b"<rect" in rendition.body


@pytest.mark.parametrize(
    ("url", "skipped", "settings", "result"),
    [
        (None, (), {"always_rasterize_svg": True}, "png"),
        (None, ("svg",), {"always_rasterize_svg": True}, "svg"),
        ("svg", (), {"always_rasterize_svg": True}, "svg"),
        ("best", (), {}, "png"),
        ("best", (), {"best_format_allow_skips": True}, "svg"),
        ("best", (), {"best_format_allow_skips": True, "always_rasterize_svg": True}, "png"),
        (None, (), {"best_format_by_default": True}, "png"),
        ("png", ("svg",), {}, "png"),
    ],
)
def test_when_an_svg_is_rasterised(
    url: str | None, skipped: tuple[str, ...], settings: dict[str, Any], result: str
) -> None:
    options = ProcessingOptions(format=url, skip_processing=skipped, padding=Padding(1, 1, 1, 1))
    assert process(DRAWING, options, ProcessingSettings(**settings)).format == result


@pytest.mark.parametrize(
    ("source", "preferred", "wanted"),
    [
        ("webp", ("webp", "jpeg"), "webp"),
        ("png", ("jpeg", "gif"), "jpeg"),
        ("png with alpha", ("jpeg", "webp", "png"), "png"),
        ("png with alpha", ("jpeg", "webp"), "webp"),
        ("png with alpha", ("jpeg",), "jpeg"),
        ("tiff", ("avif",), "avif"),
        ("png", ("pdf", "webp"), "webp"),
        ("webp", ("pdf",), "jpeg"),
    ],
)
@pytest.mark.parametrize("best", [False, True])
def test_preferred_formats_of_the_operator(source: str, preferred: tuple[str, ...], wanted: str, best: bool) -> None:
    settings = ProcessingSettings(preferred_formats=preferred)
    made = process(SOURCES[source](), ProcessingOptions(format="best" if best else None), settings)
    assert made.format in preferred if best and wanted in preferred else made.format == wanted


def test_a_raster_image_cannot_become_svg() -> None:
    with pytest.raises(UnsupportedFormat):
        rendered(encoded(smooth()), format="svg")


@pytest.mark.parametrize(("alpha", "wanted"), [(False, "jpeg"), (True, "png")])
def test_a_result_too_small_for_avif_gets_another_format(alpha: bool, wanted: str) -> None:
    source = encoded(see_through(60, 12) if alpha else smooth(60, 12))
    rendition = rendered(source, format="avif")
    assert (rendition.format, detect_format(rendition.body)) == (wanted, wanted)
    assert rendition.content_type == FORMATS[wanted].mime_type
    assert rendered(encoded(smooth(60, 16)), format="avif").format == "avif"


def test_a_result_too_large_for_webp_is_shrunk() -> None:
    rendition = rendered(encoded(smooth(16500, 10)), format="webp")
    assert (rendition.width, rendition.height) == (16383, 10)


@pytest.mark.parametrize("name", capabilities().saves)
def test_writable_formats_can_be_written(name: str) -> None:
    assert detect_format(rendered(encoded(smooth(32, 32)), format=name).body) == name


@pytest.mark.parametrize("name", sorted(set(FORMATS) - set(capabilities().saves)))
def test_unwritable_formats_are_rejected(name: str) -> None:
    with pytest.raises(UnsupportedFormat):
        rendered(encoded(smooth(32, 32)), format=name)


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_quality_decides_the_size_of_the_file(name: str) -> None:
    source = encoded(smooth(200, 150))
    weights = [len(rendered(source, format=name, quality=quality).body) for quality in (10, 50, 98)]
    assert weights == sorted(weights)
    assert weights[0] * 1.2 < weights[-1]


def quality_cases() -> Iterator[tuple[dict[str, Any], ProcessingSettings, int]]:
    plain = ProcessingSettings()
    yield {}, plain, 80
    yield {"quality": 30}, plain, 30
    yield {"format_quality": (("jpeg", 40), ("webp", 5))}, plain, 40
    yield {"format_quality": (("webp", 5),)}, plain, 80
    yield {"quality": 30, "format_quality": (("jpeg", 40),)}, plain, 30
    yield {}, ProcessingSettings(quality=55), 55
    yield {}, ProcessingSettings(quality=55, format_quality={"jpeg": 65}), 65
    yield {"format_quality": (("jpeg", 0),)}, ProcessingSettings(quality=55, format_quality={"jpeg": 65}), 65
    yield {"quality": 70}, ProcessingSettings(quality=55, format_quality={"jpeg": 65}), 70


@pytest.mark.parametrize(("options", "settings", "quality"), list(quality_cases()))
def test_the_quality_that_applies(options: dict[str, Any], settings: ProcessingSettings, quality: int) -> None:
    body = rendered(encoded(smooth()), settings, format="jpeg", **options).body
    alone = rendered(encoded(smooth()), format="jpeg", quality=quality).body
    tables = [Image.open(io.BytesIO(one)).quantization for one in (body, alone)]  # type: ignore[attr-defined]
    assert tables[0] == tables[1]


ENCODERS: dict[str, dict[str, Any]] = {
    "jpeg": {"saver": "jpegsave_buffer", "Q": 80, "optimize_coding": True},
    "png": {"saver": "pngsave_buffer", "filter": "all"},
    "webp": {"saver": "webpsave_buffer", "Q": 79, "effort": 4},
    "avif": {"saver": "heifsave_buffer", "Q": 63, "compression": "av1", "effort": 1},
}


@pytest.mark.parametrize("name", list(ENCODERS))
def test_the_encoders_defaults_are_the_documented_ones(name: str) -> None:
    how = dict(ENCODERS[name])
    image = pyvips.Image.new_from_array(smooth(300, 200)).copy(interpretation="srgb")
    wanted = bytes(getattr(image, how.pop("saver"))(keep="none", **how))
    made = rendered(encoded(smooth(300, 200)), format=name).body
    alike(decoded(made, "RGB"), decoded(wanted, "RGB"), mean=0, most=0)
    assert abs(len(made) - len(wanted)) < 300  # metadata


@pytest.mark.parametrize(
    ("source", "target", "listed", "skipped"),
    [
        ("png", None, ("png",), True),
        ("png", "png", ("webp", "png"), True),
        ("png", "jpeg", ("png",), False),
        ("png", "png", ("jpeg",), False),
        ("jpeg", "jpeg", ("jpeg",), True),
        ("gif", None, ("gif",), True),
        ("webp", "webp", ("webp",), True),
        ("webp", "webp", (), False),
    ],
)
@pytest.mark.parametrize("by_url", [True, False])
def test_skipped_sources_are_served_unchanged(
    source: str, target: str | None, listed: tuple[str, ...], skipped: bool, by_url: bool
) -> None:
    body = SOURCES[source]()
    settings = ProcessingSettings(skip_processing_formats=() if by_url else listed)
    options = ProcessingOptions(format=target, width=20, skip_processing=listed if by_url else ())
    made = process(body, options, settings)
    assert (made.body == body) is skipped
    assert made.width == (96 if skipped else 20)
    assert made.format == (target or source)


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512"])
def test_the_hash_must_match_the_source(kind: str) -> None:
    body = encoded(smooth())
    digest = hashlib.new(kind, body).hexdigest()
    assert rendered(body, hashsum=(kind, digest)).width == 96
    with pytest.raises(NotAnImage):
        rendered(body + b"more", hashsum=(kind, digest))


def test_a_thumbnail_that_is_not_smaller_is_ignored() -> None:
    image = pyvips.Image.new_from_array(see_through()).copy(interpretation="srgb")
    body = bytes(image.heifsave_buffer(Q=95, compression="av1", effort=1))
    with_thumbnail = body.replace(b"auxl", b"thmb")  # the alpha's picture, referred to as something else
    assert with_thumbnail != body
    wanted = decoded(rendered(encoded(smooth()), width=24).body, "RGB")
    for thumbnail in (False, True):
        made = decoded(rendered(with_thumbnail, width=24, enforce_thumbnail=thumbnail).body, "RGB")
        alike(made, wanted, mean=3, most=30)
