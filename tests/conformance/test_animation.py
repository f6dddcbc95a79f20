"""Animations: frames, delays and loops, and when an animation is rendered as a still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import pyvips

from imgforge.errors import SourceTooLarge
from imgforge.model import Crop, Extend, Gravity, Padding, ProcessingOptions, Rendition, Trim
from imgforge.processing import ProcessingSettings, detect_format, process
from tests.support.images import Pixels, animation, decoded, encoded, smooth
from tests.support.rendition_case import alike
from tests.support.rendition_model import expected

DELAYS = (70, 80, 90, 100, 110)
SAVERS = {"gif": "gifsave_buffer", "webp": "webpsave_buffer"}


def frames(count: int = 5) -> list[Pixels]:
    """Frames, each lighter than the one before."""
    return [np.rint(smooth() * (0.5 + 0.1 * index)).astype(np.uint8) for index in range(count)]


def shot(source_format: str = "webp", loop: int = 3) -> bytes:
    return animation(frames(), DELAYS, loop, SAVERS[source_format])


def made(source: bytes, frames_allowed: int = 10, **options: Any) -> Rendition:
    settings = ProcessingSettings(max_animation_frames=frames_allowed)
    return process(source, ProcessingOptions(**{"quality": 100, **options}), settings)


def tiff(stacked: list[Pixels]) -> bytes:
    image = pyvips.Image.new_from_array(np.concatenate(stacked)).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gint_type, "page-height", stacked[0].shape[0])
    return bytes(image.tiffsave_buffer())


def read(body: bytes) -> Any:
    paged = detect_format(body) in {"gif", "webp", "tiff"}
    return pyvips.Image.new_from_buffer(body, "", **({"n": -1} if paged else {}))


def pages(image: Any) -> int:
    return int(image.get("n-pages")) if image.get_typeof("n-pages") else 1


@dataclass(frozen=True, slots=True)
class Scene:
    """A source format, a result format and options."""

    name: str
    source: str
    target: str
    options: dict[str, Any] = field(default_factory=dict)


EDITS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "narrower": {"width": 48},
    "filled": {"width": 40, "height": 40, "resizing_type": "fill", "gravity": Gravity("nowe")},
    "cropped": {"crop": Crop(30, 20, Gravity("soea"))},
    "turned": {"rotate": 90},
    "flipped": {"flip_vertical": True},
    "padded": {"padding": Padding(4, 4, 4, 4)},
    "extended": {"width": 120, "height": 80, "extend": Extend(True)},
}


def scenes() -> Iterator[Scene]:
    for source, target, (name, options) in product(SAVERS, SAVERS, EDITS.items()):
        yield Scene(f"{source} to {target} {name}", source, target, options)


@pytest.mark.parametrize("scene", list(scenes()), ids=lambda scene: scene.name)
def test_every_frame_passes_all_stages(scene: Scene) -> None:
    rendition = made(shot(scene.source), format=scene.target, **scene.options)
    image = read(rendition.body)
    assert rendition.format == scene.target
    assert pages(image) == 5
    assert list(image.get("delay")) == list(DELAYS)
    assert image.get("loop") == 3
    got = image.numpy().reshape(5, image.get("page-height"), image.width, -1)
    for index, frame in enumerate(frames()):
        wanted = expected(frame, ProcessingOptions(format="png", **scene.options))
        assert (rendition.width, rendition.height) == wanted.layout.canvas
        assert got[index].shape[:2] == wanted.pixels.shape[:2]
        bands = min(got[index].shape[2], wanted.pixels.shape[2])
        seen = wanted.pixels[:, :, 3:] == 255 if wanted.pixels.shape[2] == 4 else np.True_
        # Palettes and chroma subsampling cost something; a wrong frame would be off by ten at least.
        alike(got[index][:, :, :3] * seen, wanted.pixels[:, :, :3] * seen, mean=4.5, most=80)
        if bands == 4:
            alike(got[index][:, :, 3], wanted.pixels[:, :, 3], mean=1, most=255)


@pytest.mark.parametrize("loop", [0, 1, 5])
def test_loop_is_kept(loop: int) -> None:
    assert read(made(shot("webp", loop), format="webp").body).get("loop") == loop


@pytest.mark.parametrize(("allowed", "count"), [(2, 2), (3, 3), (5, 5), (100, 5)])
def test_frames_are_limited(allowed: int, count: int) -> None:
    image = read(made(shot(), allowed, format="webp").body)
    assert pages(image) == count
    assert list(image.get("delay"))[:count] == list(DELAYS[:count])


@pytest.mark.parametrize("name", ["png", "jpeg", "avif", "tiff"])
@pytest.mark.parametrize("source", list(SAVERS))
def test_a_format_without_animation_gets_the_first_frame(name: str, source: str) -> None:
    rendition = made(shot(source), format=name)
    assert (rendition.width, rendition.height) == (96, 64)
    image = read(rendition.body)
    assert pages(image) == 1
    alike(image.numpy()[:, :, :3], frames()[0], mean=4, most=60)


@pytest.mark.parametrize("name", list(SAVERS))
def test_a_limit_of_one_frame_renders_a_still(name: str) -> None:
    rendition = made(shot(), 1, format=name)
    image = read(rendition.body)
    assert (pages(image), rendition.height) == (1, 64)
    alike(image.numpy()[:, :, :3], frames()[0], mean=4, most=60)


def test_an_option_switches_the_animation_off() -> None:
    assert pages(read(made(shot(), format="webp", disable_animation=True).body)) == 1


def test_an_option_sets_the_number_of_frames() -> None:
    assert pages(read(made(shot(), 10, format="webp", max_animation_frames=2).body)) == 2


def test_an_animated_webp_without_extension_becomes_a_gif() -> None:
    rendition = made(shot())
    assert rendition.format == "gif"
    assert pages(read(rendition.body)) == 5


@pytest.mark.parametrize("wanted", ["gif", "webp", "jpeg", "png"])
def test_an_animation_keeps_its_format_where_the_accepted_one_has_only_stills(wanted: str) -> None:
    settings = ProcessingSettings(max_animation_frames=10)
    made = process(shot(), ProcessingOptions(format=wanted), settings, accepted=("avif",))
    assert made.format == wanted


def test_the_pages_of_a_tiff_are_no_animation() -> None:
    rendition = made(tiff(frames(3)), format="webp")
    assert (rendition.width, rendition.height, pages(read(rendition.body))) == (96, 64, 1)
    alike(decoded(rendition.body, "RGB"), frames()[0], mean=4, most=60)


def test_all_frames_count_for_the_resolution() -> None:
    pixels = 96 * 64 / 1e6
    settings = ProcessingSettings(max_animation_frames=10, max_src_resolution=pixels * 4.5)
    with pytest.raises(SourceTooLarge):
        process(shot(), ProcessingOptions(format="webp"), settings)
    settings = ProcessingSettings(max_animation_frames=4, max_src_resolution=pixels * 4.5)
    assert process(shot(), ProcessingOptions(format="webp"), settings).width == 96


def test_the_resolution_of_a_frame_has_its_own_limit() -> None:
    small, large = 96 * 64 / 1e6 * 0.9, 96 * 64 / 1e6 * 1.1
    for limit, refused in ((small, True), (large, False)):
        settings = ProcessingSettings(
            max_animation_frames=10, max_src_resolution=0.001, max_animation_frame_resolution=limit
        )
        if refused:
            with pytest.raises(SourceTooLarge):
                process(shot(), ProcessingOptions(format="webp"), settings)
        else:
            assert process(shot(), ProcessingOptions(format="webp"), settings).width == 96


def test_the_limit_of_a_frame_is_not_that_of_a_still() -> None:
    settings = ProcessingSettings(max_animation_frames=10, max_animation_frame_resolution=0.001)
    assert process(shot(), ProcessingOptions(format="png"), settings).width == 96
    with pytest.raises(SourceTooLarge):
        process(shot(), ProcessingOptions(format="png"), replace(settings, max_src_resolution=0.001))


def test_a_still_has_no_animation_metadata() -> None:
    image = read(made(encoded(smooth()), format="webp").body)
    assert pages(image) == 1


def test_an_animation_is_not_trimmed() -> None:
    bordered = [np.pad(frame, ((8, 8), (8, 8), (0, 0)), constant_values=255) for frame in frames(3)]
    rendition = made(animation(bordered, DELAYS[:3], 0), format="webp", trim=Trim(10))
    assert (rendition.width, rendition.height) == (112, 80)


@pytest.mark.parametrize("source", ["gif", "webp", "tiff"])
@pytest.mark.parametrize(("first", "count", "wanted"), [(0, 1, [0]), (2, 1, [2]), (4, 1, [4]), (1, 3, [1, 2, 3])])
def test_pages_are_taken_and_stacked(source: str, first: int, count: int, wanted: list[int]) -> None:
    body = tiff(frames()) if source == "tiff" else shot(source)
    rendition = made(body, format="png", page=first, pages=count)
    assert (rendition.width, rendition.height) == (96, 64 * len(wanted))
    stacked = np.concatenate([frames()[index] for index in wanted])
    alike(decoded(rendition.body, "RGB"), stacked, mean=4, most=60)


def test_page_options_do_not_apply_to_animations() -> None:
    assert pages(read(made(shot(), format="webp", page=3, pages=1).body)) == 5
    assert pages(read(made(shot(), format="webp", page=3, disable_animation=True).body)) == 1
