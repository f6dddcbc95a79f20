"""Compares two answers: status, content type, size, animation, pixels, metadata and other traits, length."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips
from PIL import Image

from bench.load import Answer

__all__ = ["VERDICTS", "DecodedImage", "Thresholds", "Verdict", "compare_answers", "decode", "pixel_differences"]

VERDICTS = (
    "same",
    "weight differs",
    "traits differ",
    "code differs",
    "pixels differ",
    "animation differs",
    "size differs",
    "type differs",
    "status differs",
)
"""From the least to the most serious.

Weight is the length of the body; traits are metadata, alpha, bit depth and the like; "code differs" means two statuses
of class 4xx.
"""

_TILE_SIZE = 16
_LENGTH_TOLERANCE = 128  # bytes by which the lengths of any two bodies may differ
_TRAITS = {
    "exif-data": "exif",
    "xmp-data": "xmp",
    "iptc-data": "iptc",
    "icc-profile-data": "icc",
    "palette": "palette",
    "interlaced": "interlaced",
}


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A decoded body: size of a frame in pixels, delays in ms, loop count, traits, RGBA pixels of all frames (0..255).

    Colours are premultiplied by alpha, so that colours of transparent pixels do not count.
    """

    width: int
    height: int
    delays: tuple[int, ...]
    loop: int
    traits: frozenset[str]
    pixels: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The largest differences at which two answers count as the same.

    `mean` and `tile` are mean absolute differences (0..255), over the whole image and over any 16 x 16 tile; `weight`
    is the share of the peer's length by which the lengths of the bodies may differ.
    """

    mean: float = 1.0
    tile: float = 8.0
    weight: float = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of `VERDICTS`, its reason, the pixel differences (0..255), and our body's length divided by the peer's."""

    name: str
    reason: str = ""
    mean: float | None = None
    tile: float | None = None
    bytes_ratio: float | None = None


def decode(body: bytes) -> DecodedImage:
    """Decode all frames of *body*; raises `pyvips.Error` if neither libvips nor Pillow can read it."""
    try:
        image = pyvips.Image.new_from_buffer(body, "")
    except pyvips.Error:
        image = _decode_with_pillow(body)
    if image.get_typeof("n-pages") and image.get("n-pages") > 1 and image.get_typeof("delay"):
        image = pyvips.Image.new_from_buffer(body, "", n=-1)
    delays = tuple(image.get("delay")) if image.get_typeof("delay") else ()
    traits = {trait for name, trait in _TRAITS.items() if image.get_typeof(name)}
    traits |= {"alpha"} if image.hasalpha() else set()
    traits |= {"grey"} if image.interpretation in {"b-w", "grey16"} else set()
    traits |= {"16 bit"} if image.format == "ushort" else set()
    if image.get_typeof("orientation") and image.get("orientation") > 1:
        traits.add(f"orientation {image.get('orientation')}")
    loop = image.get("loop") if image.get_typeof("loop") else 0
    height = image.get_page_height()
    colours = image.colourspace("srgb").cast("uchar")
    pixels = (colours if colours.hasalpha() else colours.bandjoin(255)).premultiply().numpy()
    return DecodedImage(image.width, height, delays, loop, frozenset(traits), pixels.astype(np.float32))


def _decode_with_pillow(body: bytes) -> Any:
    """Decode BMP, ICO and other formats that libvips does not read; raises `pyvips.Error` as libvips does."""
    try:
        with Image.open(io.BytesIO(body)) as opened:
            return pyvips.Image.new_from_array(opened.convert("RGBA")).copy(interpretation="srgb")
    except (OSError, SyntaxError):
        raise pyvips.Error("neither libvips nor Pillow can read the body") from None


def pixel_differences(ours: DecodedImage, peer: DecodedImage) -> tuple[float, float]:
    """Return the mean absolute difference of two images of the same size, and that of the tile that differs most.

    The difference of a pixel is the mean over its three colours, or that of its alpha if this is larger.
    """
    absolute = np.abs(ours.pixels - peer.pixels)
    delta = np.maximum(absolute[..., :3].mean(axis=-1), absolute[..., 3])
    rows, columns = (range(0, length, _TILE_SIZE) for length in delta.shape)
    sums = np.add.reduceat(np.add.reduceat(delta, list(rows), axis=0), list(columns), axis=1)
    counts = np.outer(_tile_lengths(delta.shape[0]), _tile_lengths(delta.shape[1]))
    return float(delta.mean()), float((sums / counts).max())


def _tile_lengths(total: int) -> npt.NDArray[np.int64]:
    return np.diff(np.append(np.arange(0, total, _TILE_SIZE), total))


def compare_answers(ours: Answer, peer: Answer, thresholds: Thresholds) -> Verdict:
    """Compare our answer with the peer's; of several differences the verdict names the most serious."""
    if ours.status != peer.status:
        both_4xx = ours.status // 100 == peer.status // 100 == 4
        return Verdict("code differs" if both_4xx else "status differs", f"{ours.status} for {peer.status}")
    if ours.status != 200:
        return Verdict("same", f"both {ours.status}")
    ratio = len(ours.body) / max(1, len(peer.body))
    if ours.content_type != peer.content_type:
        return Verdict("type differs", f"{ours.content_type} for {peer.content_type}", bytes_ratio=ratio)
    if ours.body == peer.body:
        return Verdict("same", "to the byte", 0.0, 0.0, 1.0)
    try:
        our_image, peer_image = decode(ours.body), decode(peer.body)
    except pyvips.Error:
        return Verdict("pixels differ", "the bodies differ and are not both images", bytes_ratio=ratio)
    verdict = _compare_images(our_image, peer_image, thresholds, ratio)
    excess = abs(len(ours.body) - len(peer.body))
    if verdict.name == "same" and excess > max(_LENGTH_TOLERANCE, thresholds.weight * len(peer.body)):
        return replace(verdict, name="weight differs", reason=f"{ratio:.2f} of the peer's bytes")
    return verdict


def _compare_images(ours: DecodedImage, peer: DecodedImage, thresholds: Thresholds, ratio: float) -> Verdict:
    if (ours.width, ours.height) != (peer.width, peer.height):
        reason = f"{ours.width}x{ours.height} for {peer.width}x{peer.height}"
        return Verdict("size differs", reason, bytes_ratio=ratio)
    if (ours.delays, ours.loop) != (peer.delays, peer.loop) or ours.pixels.shape != peer.pixels.shape:
        reason = f"delays {ours.delays}, loop {ours.loop} for {peer.delays}, {peer.loop}"
        return Verdict("animation differs", reason, bytes_ratio=ratio)
    mean, tile = pixel_differences(ours, peer)
    if mean > thresholds.mean or tile > thresholds.tile:
        return Verdict("pixels differ", f"mean {mean:.2f}, worst tile {tile:.1f}", mean, tile, ratio)
    if ours.traits != peer.traits:
        changes = [f"+{trait}" for trait in ours.traits - peer.traits]
        changes += [f"-{trait}" for trait in peer.traits - ours.traits]
        return Verdict("traits differ", ", ".join(sorted(changes)), mean, tile, ratio)
    return Verdict("same", "", mean, tile, ratio)
