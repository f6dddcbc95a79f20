"""Placeholders in a few characters: BlurHash, ThumbHash and a perceptual hash, all by a cosine transform.

https://github.com/woltapp/blurhash/blob/master/Algorithm.md, https://evanw.github.io/thumbhash/,
https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

__all__ = ["blurhash", "perceptual_hash", "thumb_hash"]

Rows = Sequence[Sequence[float]]

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def _cosines(count: int, length: int, offset: float) -> list[list[float]]:
    return [[math.cos(math.pi * wave * (at + offset) / length) for at in range(length)] for wave in range(count)]


def _transform(rows: Rows, across: int, down: int, offset: float) -> list[list[float]]:
    """The mean of the picture times each pair of waves, `[down][across]`; along the rows first, which is cheapest."""
    height, width = len(rows), len(rows[0])
    along = [[sum(map(mul, row, wave)) for row in rows] for wave in _cosines(across, width, offset)]
    waves = _cosines(down, height, offset)
    return [[sum(map(mul, column, wave)) / (width * height) for column in along] for wave in waves]


def _rows(channel: Sequence[float], width: int) -> Rows:
    return [channel[at : at + width] for at in range(0, len(channel), width)]


def _linear(value: int) -> float:
    part = value / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


_LINEAR = [_linear(value) for value in range(256)]


def _srgb(value: float) -> int:
    part = max(0.0, min(1.0, value))
    part = part * 12.92 if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055
    return int(part * 255 + 0.5)


def _base83(value: int, length: int) -> str:
    return "".join(_DIGITS[value // 83 ** (length - 1 - place) % 83] for place in range(length))


def blurhash(rgb: bytes, width: int, across: int, down: int) -> str:
    """The BlurHash, of *across* by *down* components (1 to 9 each), of an RGB picture *width* pixels wide."""
    planes = [
        _transform(_rows([_LINEAR[value] for value in rgb[band::3]], width), across, down, 0.0) for band in range(3)
    ]
    factors = [tuple(plane[y][x] for plane in planes) for y in range(down) for x in range(across)]
    mean, rest = factors[0], [tuple(2 * value for value in factor) for factor in factors[1:]]
    largest = max((abs(value) for factor in rest for value in factor), default=0.0)
    scale = max(0, min(82, int(largest * 166 - 0.5))) if rest else 0
    parts = [_base83(across - 1 + (down - 1) * 9, 1), _base83(scale, 1)]
    parts.append(_base83(sum(_srgb(value) << shift for value, shift in zip(mean, (16, 8, 0), strict=True)), 4))
    for factor in rest:
        red, green, blue = (_quantised(value * 166 / (scale + 1)) for value in factor)
        parts.append(_base83((red * 19 + green) * 19 + blue, 2))
    return "".join(parts)


def _quantised(value: float) -> int:
    root = math.copysign(math.sqrt(abs(value)), value)
    return max(0, min(18, math.floor(root * 9 + 9.5)))


def thumb_hash(rgba: bytes, width: int) -> str:
    """The ThumbHash, in hexadecimal digits, of an RGBA picture of at most 100 by 100 pixels."""
    height = len(rgba) // 4 // width
    alpha = [value / 255 for value in rgba[3::4]]
    opacity = sum(alpha)
    colours = []
    for band in range(3):
        plane = [value / 255 for value in rgba[band::4]]
        mean = sum(map(mul, plane, alpha)) / opacity if opacity else 0.0
        colours.append([mean * (1 - part) + value * part for value, part in zip(plane, alpha, strict=True)])
    pixels = list(zip(*colours, strict=True))
    transparent = any(value < 255 for value in rgba[3::4])
    most, longest = 5 if transparent else 7, max(width, height)
    across, down = (max(1, _half_up(most * side / longest)) for side in (width, height))
    light = _channel([(r + g + b) / 3 for r, g, b in pixels], width, max(3, across), max(3, down))
    yellow = _channel([(r + g) / 2 - b for r, g, b in pixels], width, 3, 3)
    red = _channel([r - g for r, g, _ in pixels], width, 3, 3)
    landscape = width > height
    first = _half_up(63 * light[0]) | _half_up(31.5 + 31.5 * yellow[0]) << 6 | _half_up(31.5 + 31.5 * red[0]) << 12
    first |= _half_up(31 * light[2]) << 18 | transparent << 23
    second = (down if landscape else across) | _half_up(63 * yellow[2]) << 3 | _half_up(63 * red[2]) << 9
    second |= landscape << 15
    head = first.to_bytes(3, "little") + second.to_bytes(2, "little")
    nibbles = [_half_up(15 * value) for channel in (light, yellow, red) for value in channel[1]]
    if transparent:
        shade = _channel(alpha, width, 5, 5)
        head += bytes((_half_up(15 * shade[0]) | _half_up(15 * shade[2]) << 4,))
        nibbles += [_half_up(15 * value) for value in shade[1]]
    nibbles += [0] * (len(nibbles) % 2)
    return (head + bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))).hex().upper()


def _half_up(value: float) -> int:
    return math.floor(value + 0.5)


def _channel(values: Sequence[float], width: int, across: int, down: int) -> tuple[float, list[float], float]:
    """The mean, the triangle of low frequencies as 0..1 of the largest amplitude, and that amplitude."""
    waves = _transform(_rows(values, width), across, down, 0.5)
    triangle = [waves[y][x] for y in range(down) for x in range(across) if x * down < across * (down - y)]
    mean, rest = triangle[0], triangle[1:]
    scale = max(map(abs, rest))
    if scale <= 1e-9:  # zero: rounding keeps sums of equal values from cancelling exactly
        return mean, [0.5] * len(rest), 0.0
    return mean, [0.5 + 0.5 * value / scale for value in rest], scale


def perceptual_hash(grey: bytes, width: int) -> str:
    """64 bits of a grey picture, in hexadecimal digits: which of the 8 by 8 lowest frequencies exceed their median."""
    values = [value for row in _transform(_rows(list(grey), width), 8, 8, 0.5) for value in row]
    ordered = sorted(values)
    median = (ordered[31] + ordered[32]) / 2
    bits = "".join("1" if value > median else "0" for value in values)
    return f"{int(bits, 2):016x}"
