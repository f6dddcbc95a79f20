"""BlurHash, ThumbHash and perceptual hash, against their definitions worked out in numpy."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import InfoOptions
from imgforge.processing import ProcessingSettings, describe

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels).round().astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def told(pixels: Any, **wanted: Any) -> Any:
    return describe(png(pixels), InfoOptions(**wanted), ProcessingSettings())


def picture(width: int, height: int) -> Any:
    """Smooth, with a different course in each channel."""
    y, x = np.mgrid[0:height, 0:width]
    red = 128 + 100 * np.cos(np.pi * x / width)
    green = 100 + 80 * np.cos(np.pi * 2 * (y + x) / height)
    blue = np.where((x - width / 3) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2, 220, 30)
    return np.dstack((red, green, blue)).clip(0, 255)


def linear(values: Any) -> Any:
    part = np.asarray(values) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


class BlurHashTests(SynchronousTestCase):
    def decoded(self, text: str) -> tuple[tuple[int, int], Any]:
        """The numbers of components, and the factors, the first in sRGB of 0..255."""
        numbers = [DIGITS.index(digit) for digit in text]
        across, down = numbers[0] % 9 + 1, numbers[0] // 9 + 1
        largest = (numbers[1] + 1) / 166
        mean = int(np.polyval(numbers[2:6], 83))
        factors: list[Any] = [[mean >> 16, mean >> 8 & 255, mean & 255]]
        for at in range(6, len(numbers), 2):
            value = numbers[at] * 83 + numbers[at + 1]
            parts = np.array([value // 361, value // 19 % 19, value % 19]) / 9 - 1
            factors.append(np.sign(parts) * parts**2 * largest)
        return (across, down), np.array(factors)

    def test_black_has_the_published_hash(self) -> None:
        black = told(np.zeros((30, 40, 3)), blurhash_x=4, blurhash_y=3)["blurhash"]
        self.assertEqual(black, "L00000fQfQfQfQfQfQfQfQfQfQfQ")

    def test_the_factors_are_those_of_the_definition(self) -> None:
        pixels = picture(90, 60).round()
        for across, down in ((4, 3), (9, 9), (1, 5)):
            text = told(pixels, blurhash_x=across, blurhash_y=down)["blurhash"]
            components, factors = self.decoded(text)
            self.assertEqual((components, len(factors)), ((across, down), across * down))
            expected = []
            for y in range(down):
                for x in range(across):
                    wave = np.outer(np.cos(np.pi * y * np.arange(60) / 60), np.cos(np.pi * x * np.arange(90) / 90))
                    expected.append((linear(pixels) * wave[:, :, None]).mean((0, 1)) * (2 if x or y else 1))
            np.testing.assert_allclose(linear(factors[0]), expected[0], atol=0.005)
            np.testing.assert_allclose(factors[1:], expected[1:], atol=0.12 * np.abs(expected[1:]).max())

    def test_one_component_is_the_mean_alone(self) -> None:
        text = told(np.full((10, 10, 3), (255, 128, 0)), blurhash_x=1, blurhash_y=1)["blurhash"]
        self.assertEqual(len(text), 6)
        self.assertEqual(list(self.decoded(text)[1][0]), [255, 128, 0])

    def test_there_is_no_hash_without_components_on_a_side(self) -> None:
        self.assertNotIn("blurhash", told(np.zeros((9, 9, 3)), blurhash_x=4, blurhash_y=0))


class ThumbHashTests(SynchronousTestCase):
    def decoded(self, text: str, width: int, height: int) -> Any:
        """RGBA of 0..1: the inverse of https://evanw.github.io/thumbhash/."""
        data = bytes.fromhex(text)
        first, second = int.from_bytes(data[:3], "little"), int.from_bytes(data[3:5], "little")
        alpha, landscape = first >> 23, second >> 15
        longer = 5 if alpha else 7
        across, down = (longer, second & 7) if landscape else (second & 7, longer)
        nibbles = iter([part for byte in data[6 if alpha else 5 :] for part in (byte & 15, byte >> 4)])

        def channel(mean: float, nx: int, ny: int, scale: float) -> Any:
            plane = np.full((height, width), mean)
            for y in range(ny):
                for x in range(nx):
                    if (x or y) and x * ny < nx * (ny - y):
                        rows = np.cos(np.pi / height * (np.arange(height) + 0.5) * y)
                        columns = np.cos(np.pi / width * (np.arange(width) + 0.5) * x)
                        factor = (next(nibbles) / 7.5 - 1) * scale
                        plane = plane + np.outer(rows, columns) * factor * (2 if x else 1) * (2 if y else 1)
            return plane

        light = channel((first & 63) / 63, max(3, across), max(3, down), (first >> 18 & 31) / 31)
        yellow = channel((first >> 6 & 63) / 31.5 - 1, 3, 3, (second >> 3 & 63) / 63)
        red = channel((first >> 12 & 63) / 31.5 - 1, 3, 3, (second >> 9 & 63) / 63)
        opacity = channel((data[5] & 15) / 15, 5, 5, (data[5] >> 4) / 15) if alpha else np.ones((height, width))
        blue = light - 2 / 3 * yellow
        strong = (3 * light - blue + red) / 2
        return np.dstack((strong, strong - red, blue, opacity)).clip(0, 1)

    def test_it_decodes_to_the_blurred_picture(self) -> None:
        for width, height in ((90, 60), (40, 80), (50, 50)):
            y, x = np.mgrid[0:height, 0:width]
            pixels = np.dstack((40 + 150 * x / width, 200 - 120 * y / height, 60 + 80 * x / width))
            got = self.decoded(told(pixels, thumb_hash=True)["thumb_hash"], width, height)
            self.assertLess(np.abs(got[:, :, :3] - pixels / 255).mean(), 0.04)
            self.assertTrue((got[:, :, 3] == 1).all())

    def test_transparency_is_encoded(self) -> None:
        pixels = np.full((60, 60, 4), (200, 100, 50, 255.0))
        pixels[:, :, 3] = np.linspace(0, 255, 60)
        got = self.decoded(told(pixels, thumb_hash=True)["thumb_hash"], 60, 60)
        self.assertLess(np.abs(got[:, :, 3] - pixels[:, :, 3] / 255).mean(), 0.08)
        np.testing.assert_allclose(got[:, :, :3].mean((0, 1)), np.array((200, 100, 50)) / 255, atol=0.03)

    def test_large_pictures_have_the_hash_of_small_ones(self) -> None:
        small, large = (
            bytes.fromhex(told(picture(width, width * 2 // 3), thumb_hash=True)["thumb_hash"]) for width in (90, 900)
        )
        self.assertEqual((len(small), small[4] >> 7), (len(large), 1))


class PerceptualHashTests(SynchronousTestCase):
    def bits(self, pixels: Any) -> Any:
        digits = told(pixels, perceptual_hash=True)["perceptual_hash"]
        self.assertEqual(len(digits), 16)
        return np.array([int(bit) for bit in f"{int(digits, 16):064b}"])

    def test_it_is_the_signs_of_the_low_frequencies(self) -> None:
        grey = np.random.default_rng(3).integers(0, 256, (32, 32))
        waves = np.cos(np.pi * np.arange(8)[:, None] * (np.arange(32) + 0.5) / 32)
        values = (waves @ grey @ waves.T).ravel()
        expected = values > np.median(values)
        self.assertLessEqual(int((self.bits(np.dstack((grey,) * 3)) != expected).sum()), 2)

    def test_similar_pictures_have_near_hashes(self) -> None:
        rng = np.random.default_rng(5)
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3)).astype(np.uint8))
        large, small = (
            np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), float) for size in ((480, 480), (96, 120))
        )
        brighter = (large * 0.8 + 40).clip(0, 255)
        self.assertLessEqual(int((self.bits(large) != self.bits(small)).sum()), 6)
        self.assertLessEqual(int((self.bits(large) != self.bits(brighter)).sum()), 6)
        self.assertGreater(int((self.bits(large) != self.bits(large[::-1])).sum()), 15)
