"""Draws the pictures that the programs send through the servers, so that the repository holds no binary files.

`PICTURES` are small, one for each property of a source (orientation, alpha, depth, colour space, pages, metadata,
damage), for `compare.py`. `draw_photo` draws a picture that replaces a photo, for the other programs.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips
from PIL import Image

__all__ = ["PICTURES", "draw_all", "draw_photo", "scene"]

Pixels = npt.NDArray[np.uint8]  # height x width x bands

_CORNERS = ((230, 40, 40), (40, 200, 60), (50, 80, 230), (240, 210, 50))  # red NW, green NE, blue SW, yellow SE


def scene(width: int, height: int, *, grain: float = 4.0, seed: int = 1) -> Pixels:
    """Draw RGB pixels without any symmetry: a gradient, discs, stripes, four corners, noise with sigma *grain*."""
    noise = np.random.default_rng(seed).normal(0.0, grain, (height, width, 1))
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / max(1, width - 1), y / max(1, height - 1)
    picture = np.stack([40 + 150 * u, 60 + 120 * v, 190 - 110 * u * v], axis=-1)
    side = min(width, height)
    picture[(x - 0.3 * width) ** 2 + (y - 0.4 * height) ** 2 < (0.2 * side) ** 2] = (250, 170, 60)
    picture[(x - 0.7 * width) ** 2 + (y - 0.65 * height) ** 2 < (0.12 * side) ** 2] = (30, 30, 60)
    stripes = (np.abs(u - 0.75) < 0.1) & (np.abs(v - 0.25) < 0.1) & ((x // 3) % 2 == 0)
    picture[stripes] = (245, 245, 240)
    block_h, block_w = max(1, height // 8), max(1, width // 8)
    for corner, colour in enumerate(_CORNERS):
        rows = slice(0, block_h) if corner < 2 else slice(height - block_h, height)
        columns = slice(0, block_w) if corner % 2 == 0 else slice(width - block_w, width)
        picture[rows, columns] = colour
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def _translucent(width: int, height: int) -> Pixels:
    """Draw RGBA pixels: the scene within a soft-edged ellipse off the centre, transparent around it."""
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot((x - 0.45 * width) / (0.4 * width), (y - 0.55 * height) / (0.4 * height))
    alpha = np.clip((1.1 - distance) * 5, 0, 1) * 255
    return np.dstack([scene(width, height), np.rint(alpha).astype(np.uint8)])


def _bordered(colour: Sequence[int]) -> Pixels:
    """Draw a scene of 160 x 100 with margins of 20 left, 50 right, 30 above, 10 below, in *colour* (3 or 4 bands)."""
    canvas = np.empty((140, 230, len(colour)), np.uint8)
    canvas[:] = colour
    canvas[30:130, 20:180, :3] = scene(160, 100)
    canvas[30:130, 20:180, 3:] = 255
    return canvas


def _vips(pixels: npt.NDArray[Any], interpretation: str = "srgb") -> Any:
    return pyvips.Image.new_from_array(pixels).copy(interpretation=interpretation)


def _jpeg(pixels: Pixels, **fields: int | str) -> bytes:
    """Encode a JPEG with *fields* as its EXIF: `orientation`, or names of libvips such as `exif-ifd0-Artist`."""
    image = _vips(pixels, "srgb" if pixels.shape[-1] == 3 else "b-w")
    for name, value in fields.items():
        kind = pyvips.GValue.gint_type if isinstance(value, int) else pyvips.GValue.gstr_type
        image.set_type(kind, name, value)
    return bytes(image.jpegsave_buffer(Q=92))


def _oriented(save: str, orientation: int, **options: Any) -> bytes:
    """Encode a scene with an EXIF *orientation* by the libvips operation *save*."""
    image = _vips(scene(240, 160))
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return bytes(getattr(image, save)(**options))


def _png(pixels: npt.NDArray[Any], interpretation: str = "srgb", **options: Any) -> bytes:
    return bytes(_vips(pixels, interpretation).pngsave_buffer(**options))


def _wide_gamut() -> bytes:
    """Encode pixels in Display P3 with that profile embedded."""
    image = _vips(scene(300, 200))
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", pyvips.Operation.call("profile_load", "p3"))
    return bytes(image.jpegsave_buffer(Q=92))


def _pillow(pixels: Pixels, file_format: str, mode: str | None = None, **options: Any) -> bytes:
    image = Image.fromarray(pixels)
    output = io.BytesIO()
    (image.convert(mode) if mode else image).save(output, file_format, **options)
    return output.getvalue()


def _to_16_bits(pixels: Pixels) -> npt.NDArray[np.uint16]:
    """Return the same picture in 16 bits, with a lower byte that differs from the upper one."""
    pixels_16: npt.NDArray[np.uint16] = pixels.astype(np.uint16)
    pixels_16 *= 257
    pixels_16 ^= 0x5A
    return pixels_16


def _animation(save: str, *, alpha: bool) -> bytes:
    """Encode five frames of 120 x 90 in which the picture moves left, with delays of 70 to 110 ms and 3 loops."""
    still = _translucent(120, 90) if alpha else scene(120, 90, grain=0)
    frames = [np.roll(still, -11 * index, axis=1) for index in range(5)]
    image = _vips(np.concatenate(frames)).copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", 90)
    image.set_type(pyvips.GValue.array_int_type, "delay", [70, 80, 90, 100, 110])
    image.set_type(pyvips.GValue.gint_type, "loop", 3)
    options = {"lossless": True} if save == "webpsave_buffer" else {}
    return bytes(getattr(image, save)(**options))


_DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="160" height="100" viewBox="0 0 160 100">'
    '<rect width="160" height="100" fill="#dde6f0"/><circle cx="50" cy="45" r="30" fill="#d04a2a"/>'
    '<path d="M90 80 L150 85 L120 20 Z" fill="#2a5ad0" fill-opacity=".6"/></svg>'
).encode("ascii")

_EXIF_ORIENTATIONS: dict[str, Callable[[], bytes]] = {
    f"exif{orientation}.jpg": partial(_jpeg, scene(240, 160), orientation=orientation) for orientation in range(1, 9)
}

PICTURES: dict[str, Callable[[], bytes]] = {
    **_EXIF_ORIENTATIONS,
    "photo.jpg": lambda: _jpeg(scene(640, 427)),
    "tall.jpg": lambda: _jpeg(scene(300, 460)),
    "large.jpg": lambda: _jpeg(scene(1998, 1333)),
    "small.png": lambda: _png(scene(60, 40)),
    "pixel.png": lambda: _png(scene(1, 1)),
    "line.png": lambda: _png(scene(301, 2)),
    "alpha.png": lambda: _png(_translucent(300, 200)),
    "alpha.webp": lambda: _pillow(_translucent(300, 200), "WEBP", lossless=True),
    "palette.png": lambda: _png(scene(300, 200), palette=True, bitdepth=4, dither=0),
    "palette-alpha.png": lambda: _png(_translucent(300, 200), palette=True, bitdepth=8, dither=0),
    "grey.jpg": lambda: _jpeg(scene(300, 200)[:, :, :1]),
    "grey.png": lambda: _png(scene(300, 200)[:, :, :1], "b-w"),
    "grey-alpha.png": lambda: _png(_translucent(300, 200)[:, :, [0, 3]], "b-w"),
    "depth16.png": lambda: _png(_to_16_bits(scene(300, 200)), "rgb16"),
    "grey16.png": lambda: _png(_to_16_bits(scene(300, 200)[:, :, :1]), "grey16"),
    "alpha16.png": lambda: _png(_to_16_bits(_translucent(300, 200)), "rgb16"),
    "cmyk.jpg": lambda: _pillow(scene(300, 200), "JPEG", "CMYK", quality=92),
    "wide-gamut.jpg": _wide_gamut,
    "metadata.jpg": lambda: _jpeg(
        scene(300, 200), **{"exif-ifd0-Copyright": "Nobody", "exif-ifd0-Artist": "A program", "exif-ifd0-Model": "None"}
    ),
    "photo.webp": lambda: _pillow(scene(640, 427), "WEBP", quality=90),
    "photo.avif": lambda: bytes(_vips(scene(300, 200)).heifsave_buffer(Q=80, compression="av1", effort=1)),
    "photo.tiff": lambda: bytes(_vips(scene(300, 200)).tiffsave_buffer(compression="lzw")),
    "photo.gif": lambda: bytes(_vips(scene(300, 200)).gifsave_buffer()),
    "few.gif": lambda: _pillow(scene(120, 90, grain=0) // 60 * 60, "GIF"),
    "high.jpg": lambda: _jpeg(scene(333, 777)),
    "exif6.webp": lambda: _oriented("webpsave_buffer", 6, Q=95),
    "exif5.png": lambda: _oriented("pngsave_buffer", 5),
    "exif8.tiff": lambda: _oriented("tiffsave_buffer", 8, compression="lzw"),
    "exif3.avif": lambda: _oriented("heifsave_buffer", 3, Q=90, compression="av1", effort=1),
    "alpha.bmp": lambda: _pillow(_translucent(150, 100), "BMP"),
    "palette.bmp": lambda: _pillow(scene(150, 100), "BMP", "P"),
    "photo.bmp": lambda: _pillow(scene(300, 200), "BMP"),
    "icon.ico": lambda: _pillow(_translucent(64, 64), "ICO", sizes=[(64, 64)]),
    "drawing.svg": lambda: _DRAWING,
    "animation.gif": partial(_animation, "gifsave_buffer", alpha=False),
    "animation.webp": partial(_animation, "webpsave_buffer", alpha=True),
    "border.png": lambda: _png(_bordered((250, 250, 250))),
    "border-alpha.png": lambda: _png(_bordered((0, 0, 0, 0))),
    "border.gif": lambda: bytes(_vips(_bordered((250, 250, 250))).gifsave_buffer()),
    "border.webp": lambda: _pillow(_bordered((250, 250, 250)), "WEBP", lossless=True),
    "border16.png": lambda: _png(_to_16_bits(_bordered((250, 250, 250))), "rgb16"),
    "border-grey.png": lambda: _png(_bordered((250, 250, 250))[:, :, :1], "b-w"),
    "mark.png": lambda: _png(_translucent(48, 30)),
    "flat.png": lambda: _png(np.full((80, 120, 3), 90, np.uint8)),
    "lying.jpg": lambda: _png(scene(300, 200)),
    "truncated.jpg": lambda: _jpeg(scene(640, 427))[:9000],
    "words.jpg": lambda: b"This is not a picture.\n",
    "empty.jpg": lambda: b"",
}


def draw_all(directory: Path) -> None:
    """Write every picture of `PICTURES` into *directory*, which is created if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        (directory / name).write_bytes(draw())


def draw_photo(width: int, height: int, *, grain: float, quality: int | None) -> bytes:
    """Draw *width* x *height* pixels as a JPEG of *quality*, or as an RGBA PNG if *quality* is None.

    *grain*, the sigma of the noise, sets the length in bytes, so that it can equal that of the photo it replaces.
    """
    pixels = scene(width, height, grain=grain)
    if quality is not None:
        return bytes(_vips(pixels).jpegsave_buffer(Q=quality))
    return _png(np.dstack([pixels, np.full((height, width), 255, np.uint8)]))
