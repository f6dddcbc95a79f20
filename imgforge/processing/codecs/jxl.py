"""JPEG XL by way of pillow-jxl-plugin, for a libvips without it.

The plugin decodes at once what it is given, so that the size is read from the header here (ISO/IEC 18181-1, section
D.2), and it is given the codestream only, without the boxes around it, which it would unpack without a bound: their
metadata is lost.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pyvips

from imgforge.errors import NotAnImage
from imgforge.processing.containers import read_boxes
from imgforge.processing.pixel_buffers import MOST_PIXELS, check_pixels, from_pixels

__all__ = ["load", "save"]

_CODESTREAM = b"\xff\x0a"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIZE_BITS = (9, 13, 18, 30)
# The best quality that is lossy still: a distance of 0.1, where the formula of libjxl jumps to 0, which is lossless and
# half as large again (JxlEncoderDistanceFromQuality).
_BEST_LOSSY = 99.999
_BANDS = {"L": (1, False), "LA": (2, False), "RGB": (3, False), "RGBA": (4, False), "I;16": (1, True)}


def load(body: bytes, name: str, *, most_pixels: float = MOST_PIXELS) -> Any:
    """*body* as an image in memory, upright, with its profile."""
    decoder: Any = import_module("pillow_jxl").Decoder
    codestream = _codestream(body)
    width, height = _size(codestream)
    check_pixels(width, height, most=most_pixels)
    try:
        _, info, pixels, profile, _ = decoder(num_threads=0)(codestream)
    except Exception as error:  # its errors are RuntimeErrors with advice on how to build it
        raise NotAnImage(f"the source image is broken: the {name} decoder says {type(error).__name__}") from None
    if info.mode not in _BANDS:
        raise NotAnImage(f"the source is a {name} with samples that are not read here ({info.mode})")
    bands, deep = _BANDS[info.mode]
    if len(pixels) != info.width * info.height * bands * (2 if deep else 1):
        raise NotAnImage(f"the source image is broken: the {name} decoder gives too few pixels")
    image = from_pixels(pixels, info.width, info.height, bands, deep=deep)
    if profile:
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", bytes(profile))
    return image


def save(image: Any, _name: str, *, Q: int, effort: int = 7) -> bytes:
    """*image* as a file: 8 bits a sample in sRGB, for the plugin writes no profile."""
    encoder: Any = import_module("pillow_jxl").Encoder
    if image.get_typeof("icc-profile-data"):
        image = image.icc_transform("srgb", embedded=True)
    image = image.colourspace("srgb" if image.bands > 2 else "b-w").cast("uchar")
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[image.bands]
    encode = encoder(
        mode=mode,
        lossless=False,
        quality=min(Q, _BEST_LOSSY),
        decoding_speed=0,
        effort=max(1, effort),
        use_container=False,
        use_original_profile=False,
        num_threads=0,
    )
    return bytes(encode(bytes(image.write_to_memory()), image.width, image.height, jpeg_encode=False))


def _codestream(body: bytes) -> bytes:
    """The picture itself, out of its container's boxes if it is in one."""
    if body.startswith(_CODESTREAM):
        return body
    parts = []
    for box in read_boxes(body):
        if box.kind == b"jxlc":
            parts.append(body[box.start : box.end])
        elif box.kind == b"jxlp":
            parts.append(body[box.start + 4 : box.end])
    return b"".join(parts)


def _size(codestream: bytes) -> tuple[int, int]:
    if not codestream.startswith(_CODESTREAM) or len(codestream) < 12:
        raise NotAnImage("the source image is broken: it has no codestream")
    bits = int.from_bytes(codestream[2:12], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & (1 << count) - 1
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if small else take(_SIZE_BITS[take(2)]) + 1

    height = side()
    ratio = take(3)
    if not ratio:
        return side(), height
    wide, high = _RATIOS[ratio - 1]
    return height * wide // high, height
