"""Blur, sharpening, pixelation and resampling by the formulas that define them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.images import Pixels, decoded, encoded, see_through, smooth
from tests.support.rendition_case import alike, rendered


def edge() -> Pixels:
    """Dark on the left, light on the right."""
    pixels = np.full((40, 80, 3), 60, np.uint8)
    pixels[:, 40:] = 200
    return pixels


def blurred_edge(sigma: float) -> Pixels:
    """The same after a Gaussian blur, by direct summation."""
    reach = np.arange(-40, 41)
    weights = np.exp(-(reach**2) / (2 * sigma**2))
    row = np.pad(edge()[0, :, 0].astype(float), 40, mode="edge")
    return np.convolve(row, weights / weights.sum(), mode="valid")


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5, 5.0, 8.0])
def test_blur_is_a_gaussian_of_that_sigma(sigma: float) -> None:
    made = decoded(rendered(encoded(edge()), blur=sigma).body)
    alike(made[20, :, 0], blurred_edge(sigma), mean=2.0, most=10)


@pytest.mark.parametrize("size", [2, 3, 5, 8, 16, 200])
def test_pixelate_makes_blocks_of_the_mean(size: int) -> None:
    made = decoded(rendered(encoded(smooth()), pixelate=size).body).astype(float)
    height, width = smooth().shape[:2]
    size = min(size, width)
    across, down = -(-width // size) * size - width, -(-height // size) * size - height
    full = np.pad(smooth().astype(float), ((0, down), (0, across), (0, 0)), mode="symmetric")
    blocks = full.reshape(full.shape[0] // size, size, full.shape[1] // size, size, 3).mean(axis=(1, 3))
    wanted = np.kron(blocks, np.ones((size, size, 1)))[:height, :width]
    alike(made, wanted, mean=0.6, most=2)


@pytest.mark.parametrize("stored", ["PNG", "JPEG"])
def test_partial_blocks_are_mirrored_from_sequential_sources(stored: str) -> None:
    high = smooth(333, 777)
    made = decoded(rendered(encoded(high, stored), pixelate=700).body).astype(float)
    mirrored = np.pad(high, ((0, 1400 - 777), (0, 700 - 333), (0, 0)), "symmetric").astype(float)
    for rows in (slice(0, 700), slice(700, 777)):
        mean = mirrored[:700] if rows.start == 0 else mirrored[700:]
        assert abs(made[rows] - mean.mean(axis=(0, 1))).max() <= 2


def test_pixelate_of_one_changes_nothing() -> None:
    alike(decoded(rendered(encoded(smooth()), pixelate=1).body), smooth(), mean=0, most=0)


@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_sharpening_steepens_edges_only(sigma: float) -> None:
    soft = np.repeat(np.rint(blurred_edge(1.5)).astype(np.uint8)[None, :, None], 40, axis=0).repeat(3, axis=2)
    made = decoded(rendered(encoded(soft), sharpen=sigma).body).astype(int)[20, :, 0]
    assert made.max() > 203
    assert made.min() < 57
    assert abs(made[:20] - 60).max() <= 1
    assert abs(made[-20:] - 200).max() <= 1


def test_blur_keeps_invisible_colours_from_bleeding() -> None:
    half = np.zeros((40, 80, 4), np.uint8)
    half[:, :40] = (10, 200, 30, 255)
    half[:, 40:] = (255, 0, 0, 0)
    made = decoded(rendered(encoded(half), blur=3).body).astype(int)
    seen = made[made[:, :, 3] > 30]
    assert (abs(seen[:, :3] - (10, 200, 30)) <= 10).all()
    assert made[20, 40, 3] in range(90, 165)


def test_effects_keep_size_and_alpha_bands() -> None:
    for options in ({"blur": 2.0}, {"sharpen": 1.0}, {"pixelate": 7}):
        made = decoded(rendered(encoded(see_through()), **options).body)
        assert made.shape == (64, 96, 4), options


@pytest.mark.parametrize("algorithm", ["nearest", "linear", "cubic", "lanczos2", "lanczos3"])
def test_every_algorithm_gives_the_same_picture_when_shrinking(algorithm: str) -> None:
    made = decoded(rendered(encoded(smooth()), width=48, resizing_algorithm=algorithm).body).astype(float)
    halves = smooth().astype(float).reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
    alike(made, halves, mean=2.6 if algorithm == "nearest" else 0.8, most=8)


def test_nearest_adds_no_colours() -> None:
    board = np.kron(np.indices((32, 48)).sum(axis=0) % 2, np.ones((2, 2), int)).astype(np.uint8) * 255
    made = decoded(rendered(encoded(board), width=33, resizing_algorithm="nearest").body)
    assert set(np.unique(made)) <= {0, 255}
    other = decoded(rendered(encoded(board), width=33).body)
    assert not set(np.unique(other)) <= {0, 255}
