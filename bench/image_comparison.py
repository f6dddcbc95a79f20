"""How alike two answers are: status, type, size, animation, what describes the pixels, and the pixels themselves."""

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
"""From the least to the worst.

Weight is the length of the body; traits are metadata, alpha, depth and the like; "code differs" is another status of
the same class.
"""

_TILE_SIZE = 16
_LENGTH_TOLERANCE = 128  # bytes by which any two bodies may differ in length
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
    """A decoded answer: the size of a frame, its frames' delays, traits, and RGBA pixels of all frames, 0..255.

    Colours are multiplied by alpha, since what hides under transparency is nobody's concern.
    """

    width: int
    height: int
    delays: tuple[int, ...]
    loop: int
    traits: frozenset[str]
    pixels: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Up to where answers count as the same.

    `mean` and `tile` are mean absolute differences (0..255), over the picture and in any 16 x 16 tile; `weight` is the
    share by which the lengths of bodies may differ.
    """

    mean: float = 1.0
    tile: float = 8.0
    weight: float = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of `VERDICTS`, its reason in a few words, how much pixels differ, and our body's size over the peer's."""

    name: str
    reason: str = ""
    mean: float | None = None
    tile: float | None = None
    bytes_ratio: float | None = None


def decode(body: bytes) -> DecodedImage:
    """The picture in *body*, all frames; `pyvips.Error` where neither libvips nor Pillow can read it."""
    try:
        image = pyvips.Image.new_from_buffer(body, "")
    except pyvips.Error:
        image = _decode_with_pillow(body)
    if image.get_typeof("n-pages") and image.get("n-pages") > 1 and image.get_typeof("delay"):
        image = pyvips.Image.new_from_buffer(body, "", n=-1)
    delays = tuple(image.get("delay")) if image.get_typeof("delay") else ()
    traits = {word for name, word in _TRAITS.items() if image.get_typeof(name)}
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
    """BMP, ICO and others that libvips does not read; the error is libvips'."""
    try:
        with Image.open(io.BytesIO(body)) as opened:
            return pyvips.Image.new_from_array(opened.convert("RGBA")).copy(interpretation="srgb")
    except (OSError, SyntaxError):
        raise pyvips.Error("neither libvips nor Pillow reads it") from None


def pixel_differences(ours: DecodedImage, peer: DecodedImage) -> tuple[float, float]:
    """The mean absolute difference of two pictures of the same size, and that of the tile that differs most.

    A pixel's difference is the mean over its three colours, or that of its alpha where this is more.
    """
    gap = np.abs(ours.pixels - peer.pixels)
    delta = np.maximum(gap[..., :3].mean(axis=-1), gap[..., 3])
    rows, columns = (range(0, length, _TILE_SIZE) for length in delta.shape)
    sums = np.add.reduceat(np.add.reduceat(delta, list(rows), axis=0), list(columns), axis=1)
    counts = np.outer(_tile_lengths(delta.shape[0]), _tile_lengths(delta.shape[1]))
    return float(delta.mean()), float((sums / counts).max())


def _tile_lengths(total: int) -> npt.NDArray[np.int64]:
    return np.diff(np.append(np.arange(0, total, _TILE_SIZE), total))


def compare_answers(ours: Answer, peer: Answer, thresholds: Thresholds) -> Verdict:
    """How our answer compares to the peer's; of several differences the worst is named."""
    if ours.status != peer.status:
        alike = ours.status // 100 == peer.status // 100 == 4
        return Verdict("code differs" if alike else "status differs", f"{ours.status} for {peer.status}")
    if ours.status != 200:
        return Verdict("same", f"both {ours.status}")
    ratio = len(ours.body) / max(1, len(peer.body))
    if ours.content_type != peer.content_type:
        return Verdict("type differs", f"{ours.content_type} for {peer.content_type}", bytes_ratio=ratio)
    if ours.body == peer.body:
        return Verdict("same", "to the byte", 0.0, 0.0, 1.0)
    try:
        picture, wanted = decode(ours.body), decode(peer.body)
    except pyvips.Error:
        return Verdict("pixels differ", "the bodies differ and are no pictures", bytes_ratio=ratio)
    verdict = _compare_images(picture, wanted, thresholds, ratio)
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
