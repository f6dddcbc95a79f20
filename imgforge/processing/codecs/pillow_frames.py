"""Animations of formats that libvips takes for stills: APNG, and AVIF sequences. Read by Pillow, if it is there."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pyvips

from imgforge.errors import ImgforgeError, NotAnImage
from imgforge.processing.codecs.extras import installed
from imgforge.processing.containers import brands, read_chunks
from imgforge.processing.pixel_buffers import check_pixels, from_pixels

__all__ = ["frame_count", "read_frames"]

_DEEPEST = 8  # bits a sample: Pillow's APNG has no more


def frame_count(body: bytes, name: str) -> int:
    """How many frames `read_frames` can get of *body*, as its header says; 1 for a still."""
    count = _COUNTS[name](body) if name in _COUNTS else 1
    return count if count > 1 and installed("formats") else 1


def read_frames(body: bytes, name: str, n: int) -> Any:
    """The first *n* frames below one another, RGBA, with their delays as libvips has them."""
    pillow: Any = import_module("PIL.Image")
    try:
        with pillow.open(io.BytesIO(body), formats=[name.upper()]) as opened:
            width, height = opened.size
            check_pixels(width, height, n)
            first = 1 if opened.info.get("default_image") else 0
            frames, delays = bytearray(), []
            for index in range(first, first + n):
                opened.seek(index)
                frames += opened.convert("RGBA").tobytes()
                delays.append(round(opened.info.get("duration", 0)))
            loop, profile = opened.info.get("loop", 0), opened.info.get("icc_profile")
            coloured = opened.mode in {"P", "RGB", "RGBA"}
    except ImgforgeError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything for broken files
        raise NotAnImage(f"the source image is broken: the {name} decoder says {type(error).__name__}") from None
    image = from_pixels(bytes(frames), width, height * n, 4).copy()
    image.set_type(pyvips.GValue.array_int_type, "delay", delays)
    image.set_type(pyvips.GValue.gint_type, "loop", loop)
    if profile and coloured:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _png_frames(body: bytes) -> int:
    """The number in the acTL chunk, which must come before the pixels (PNG third edition, 11.3.6.1)."""
    if len(body) < 33 or body[24] > _DEEPEST:
        return 1
    for chunk in read_chunks(body):
        if chunk.kind == b"acTL":
            return int.from_bytes(body[chunk.start : chunk.start + 4], "big")
        if chunk.kind == b"IDAT":
            return 1
    return 1


def _avif_frames(body: bytes) -> int:
    """What Pillow counts in a file of the brand of sequences; nothing is decoded for it."""
    if b"avis" not in brands(body) or not installed("formats"):
        return 1
    pillow: Any = import_module("PIL.Image")
    try:
        with pillow.open(io.BytesIO(body), formats=["AVIF"]) as opened:
            return int(opened.n_frames)
    except Exception:  # libvips is asked next, and says what is wrong
        return 1


_COUNTS: dict[str, Callable[[bytes], int]] = {"png": _png_frames, "avif": _avif_frames}
