"""Options of imgproxy Pro on colours and areas, by its documentation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from imgforge.model import (
    BlurAreas,
    Color,
    Colorize,
    Crop,
    Duotone,
    Gradient,
    Gravity,
    Monochrome,
    Padding,
    ProgressiveBlur,
    UnsharpOptions,
)
from tests.support.images import Pixels, decoded, encoded, oriented, see_through, smooth
from tests.support.rendition_case import alike, rendered

RED = Color(250, 20, 10)


def made(pixels: Pixels, **options: Any) -> Pixels:
    return decoded(rendered(encoded(pixels), **options).body)


def flat(*colour: int) -> Pixels:
    return np.full((40, 60, len(colour)), colour, np.uint8)


def board() -> Pixels:
    """Fine squares, in which any blur shows."""
    squares = (np.indices((64, 96)).sum(axis=0) % 2 * 200 + 20).astype(np.uint8)
    return np.dstack([squares] * 3)


NEUTRAL: tuple[dict[str, Any], ...] = (
    {"brightness": 0},
    {"contrast": 1.0},
    {"saturation": 1.0},
    {"monochrome": Monochrome(0.0, RED)},
    {"duotone": Duotone(0.0, RED, RED)},
    {"colorize": Colorize(0.0, RED)},
    {"gradient": Gradient(0.0, RED)},
    {"unsharp_masking": UnsharpOptions("none", 5.0, 1.0)},
    {"blur_areas": BlurAreas(0.0, ((0.0, 0.0, 1.0, 1.0),))},
    {"blur_areas": BlurAreas(5.0)},
    {"progressive_blur": ProgressiveBlur(0.0, 90.0)},
    {"round": 0.0},
    {"crop_aspect_ratio": 0.0},
    {"background_alpha": 0.3},
)


@pytest.mark.parametrize("options", NEUTRAL, ids=lambda options: next(iter(options)))
@pytest.mark.parametrize("pixels", [smooth(), see_through()], ids=["opaque", "see-through"])
def test_neutral_values_change_nothing(options: dict[str, Any], pixels: Pixels) -> None:
    alike(made(pixels, **options), pixels, mean=0, most=0)


@pytest.mark.parametrize("amount", [-255, -60, -1, 1, 60, 255])
def test_brightness_is_added(amount: int) -> None:
    alike(made(smooth(), brightness=amount), np.clip(smooth().astype(int) + amount, 0, 255), mean=0, most=1)


ADJUSTMENTS = ((50, 1.5, 1.0), (-40, 2.0, 1.0), (30, 0.5, 0.0), (50, 1.5, 0.5), (-90, 1.0, 3.0), (0, 0.2, 4.0))
LUMA = (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize(("brightness", "contrast", "saturation"), ADJUSTMENTS)
@pytest.mark.parametrize("pixels", [smooth(), see_through()], ids=["opaque", "see-through"])
def test_adjustments_together_are_those_of_the_rust_imgforge(
    pixels: Pixels, brightness: int, contrast: float, saturation: float
) -> None:
    """Contrast around 128 comes first, then brightness is added, then saturation applies."""
    colours = pixels[:, :, :3].astype(float)
    spread = np.clip((colours - 128) * contrast + 128 + brightness, 0, 255)
    grey = spread @ LUMA
    expected = np.clip(grey[..., None] + (spread - grey[..., None]) * saturation, 0, 255)
    got = made(pixels, brightness=brightness, contrast=contrast, saturation=saturation)
    # A rounded sample is half a unit off, and saturation magnifies that.
    assert np.abs(got[:, :, :3] - expected).max() <= 1 + saturation
    assert (got[:, :, 3:] == pixels[:, :, 3:]).all()


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.5, 3.0])
def test_contrast_spreads_the_colours_and_keeps_their_order(factor: float) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    row = made(ramp.repeat(3).reshape(8, 256, 3), contrast=factor)[4, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert abs(row[128] - 128) <= 1
    inner = row[(row > 0) & (row < 255)]
    assert abs((inner[-1] - inner[0]) / max(1, len(inner) - 1) - factor) < 0.05


def test_saturation_leaves_grey_alone_and_moves_the_rest() -> None:
    assert (made(flat(90, 90, 90), saturation=4.0) == 90).all()
    spread = [int(np.ptp(made(flat(120, 60, 90), saturation=factor)[20, 20])) for factor in (0.0, 0.5, 1.0, 1.5)]
    assert spread[0] == 0
    assert abs(spread[1] - 30) <= 1
    assert spread[2] == 60
    assert abs(spread[3] - 90) <= 1


def test_monochrome_leaves_shades_of_one_colour() -> None:
    shades = made(smooth(), monochrome=Monochrome(1.0, Color(250, 120, 10))).reshape(-1, 3).astype(int)
    middle = shades[abs(shades.mean(axis=1) - 120) < 30]
    assert (np.diff(middle, axis=1) < 0).all()  # red above green above blue, as in the colour
    by_lightness = shades[np.argsort(shades.sum(axis=1))]
    assert (np.diff(by_lightness, axis=0) >= -2).all()  # so that the lightness determines the colour


@pytest.mark.parametrize("intensity", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("effect", [Monochrome, Duotone])
def test_intensity_mixes_with_the_original(effect: type[Monochrome | Duotone], intensity: float) -> None:
    name = effect.__name__.lower()
    whole = made(smooth(), **{name: effect(1.0)}).astype(float)
    wanted = smooth() * (1 - intensity) + whole * intensity
    alike(made(smooth(), **{name: effect(intensity)}), wanted, mean=0.7, most=2)


def test_duotone_runs_from_the_dark_to_the_light_colour() -> None:
    tones = Duotone(1.0, Color(20, 0, 90), Color(255, 220, 40))
    assert made(flat(0, 0, 0), duotone=tones)[20, 20].tolist() == [20, 0, 90]
    assert made(flat(255, 255, 255), duotone=tones)[20, 20].tolist() == [255, 220, 40]
    assert abs(made(flat(128, 128, 128), duotone=tones)[20, 20].astype(int) - (138, 110, 65)).max() <= 2


@pytest.mark.parametrize("opacity", [0.2, 0.5, 1.0])
def test_colorize_blends_a_colour_over_everything(opacity: float) -> None:
    wanted = smooth() * (1 - opacity) + np.array((250, 20, 10)) * opacity
    alike(made(smooth(), colorize=Colorize(opacity, RED)), wanted, mean=0.6, most=1)
    assert (made(see_through(), colorize=Colorize(opacity, RED, True))[:, :, 3] == see_through()[:, :, 3]).all()
    assert made(flat(0, 0, 0, 0), colorize=Colorize(1.0, RED))[20, 20].tolist() == [250, 20, 10, 255]


def ramps() -> Iterator[tuple[float, float, float]]:
    yield from product((0.0, 90.0, 180.0, 270.0), (0.0, 0.25), (0.75, 1.0))


def ramp(direction: float, start: float, stop: float) -> Pixels:
    """0 before *start*, 1 from *stop* on: downwards, to the left, upwards and to the right."""
    height, width = smooth().shape[:2]
    along_y, along_x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    way = {0.0: along_y[:, None], 90.0: 1 - along_x[None], 180.0: 1 - along_y[:, None], 270.0: along_x[None]}
    share: Pixels = np.clip((way[direction] - start) / (stop - start), 0, 1) * np.ones((height, width))
    return share[:, :, None]


@pytest.mark.parametrize(("direction", "start", "stop"), [*ramps(), (0.0, -0.5, 1.5), (90.0, 0.5, 2.0)])
def test_a_gradient_comes_up_along_its_direction(direction: float, start: float, stop: float) -> None:
    share = ramp(direction, start, stop) * 0.8
    wanted = smooth() * (1 - share) + np.array((250, 20, 10)) * share
    alike(made(smooth(), gradient=Gradient(0.8, RED, direction, start, stop)), wanted, mean=1.5, most=4)


@pytest.mark.parametrize(("direction", "start", "stop"), list(ramps()))
def test_a_progressive_blur_grows_along_its_direction(direction: float, start: float, stop: float) -> None:
    soft = made(board(), progressive_blur=ProgressiveBlur(4.0, direction, start, stop))
    contrast = abs(soft.astype(int) - 120)[:, :, 0]
    share = ramp(direction, start, stop)[:, :, 0]
    if start:
        assert (contrast[share == 0] >= 95).all()
    assert contrast[share > 0.95].mean() < 8
    assert contrast[share < 0.1].mean() > contrast[(share > 0.4) & (share < 0.6)].mean()


AREA = (0.5, 0.25, 0.25, 0.5)  # left, top, width, height


@pytest.mark.parametrize(("rotate", "across", "down"), list(product((0, 90, 180, 270), (False, True), (False, True))))
def test_blurred_areas_rotate_with_the_url(rotate: int, across: bool, down: bool) -> None:
    inside = np.zeros((64, 96), bool)
    inside[16:48, 48:72] = True
    inside = np.rot90(inside, -rotate // 90)
    inside = inside[:, ::-1] if across else inside
    inside = inside[::-1] if down else inside
    options = {"rotate": rotate, "flip_horizontal": across, "flip_vertical": down}
    contrast = abs(made(board(), blur_areas=BlurAreas(3.0, (AREA,)), **options).astype(int) - 120)[:, :, 0]
    assert (contrast[~inside] >= 95).all()
    assert np.median(contrast[inside]) < 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_area_is_clipped_to_the_picture(orientation: int) -> None:
    made = rendered(oriented(board(), orientation), blur_areas=BlurAreas(3.0, ((0.5, 0.75, 1.0, 0.5),)))
    contrast = abs(decoded(made.body, "RGB").astype(int) - 120)[:, :, 0]
    height, width = contrast.shape
    inside = np.zeros((height, width), bool)
    inside[height * 3 // 4 :, width // 2 :] = True
    assert np.median(contrast[inside]) < 10
    assert np.median(contrast[~inside]) > 60


def ratios() -> Iterator[tuple[Crop | None, float, bool, tuple[int, int]]]:
    """A crop of 96x64, the ratio, whether the crop may grow, and the resulting size."""
    yield Crop(40, 20), 1.0, False, (20, 20)
    yield Crop(40, 20), 1.0, True, (40, 40)
    yield Crop(20, 40), 2.0, False, (20, 10)
    yield Crop(20, 40), 2.0, True, (80, 40)
    yield Crop(60, 40), 0.5, False, (20, 40)
    yield Crop(60, 40), 0.5, True, (32, 64)  # 60x120 does not fit, so it is reduced
    yield Crop(40, 20), 2.0, True, (40, 20)
    yield None, 1.0, False, (64, 64)
    yield None, 3.0, False, (96, 32)


@pytest.mark.parametrize(("crop", "ratio", "grows", "size"), list(ratios()))
def test_the_ratio_of_a_crop(crop: Crop | None, ratio: float, grows: bool, size: tuple[int, int]) -> None:
    options = {"crop": crop, "crop_aspect_ratio": ratio, "crop_aspect_ratio_enlarge": grows}
    got = made(smooth(), gravity=Gravity("nowe"), **options)
    assert got.shape[1::-1] == size
    alike(got, smooth()[: size[1], : size[0]], mean=0, most=0)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_a_background_may_be_translucent(alpha: float) -> None:
    got = decoded(
        rendered(encoded(smooth()), padding=Padding(8, 8, 8, 8), background=RED, background_alpha=alpha).body, "RGBA"
    )
    assert abs(int(got[2, 2, 3]) - round(255 * alpha)) <= 1
    assert got[2, 2, :3].tolist() == [250, 20, 10] or alpha == 0
    alike(got[8:-8, 8:-8, :3], smooth(), mean=0, most=1)
    assert (got[8:-8, 8:-8, 3] == 255).all()


def test_unsharp_masking_steepens_edges_and_keeps_the_mean() -> None:
    edge = flat(60, 60, 60)
    edge[:, 30:] = 200
    always = made(edge, unsharp_masking=UnsharpOptions("always")).astype(int)[20, :, 0]
    assert always.max() > 200
    assert always.min() < 60
    assert abs(always.mean() - 130) <= 1
    alike(made(edge, unsharp_masking=UnsharpOptions("auto")), edge, mean=0, most=0)  # nothing was shrunk


@pytest.mark.parametrize("orientation", range(1, 9))
def test_directions_apply_to_the_rotated_image(orientation: int) -> None:
    got = decoded(rendered(oriented(flat(0, 0, 0), orientation), gradient=Gradient(1.0, Color(255, 255, 255))).body)
    rows = got[:, :, 0].astype(int)
    assert (np.diff(rows.mean(axis=1)) > 0).all()
    assert np.ptp(rows, axis=1).max() <= 1
