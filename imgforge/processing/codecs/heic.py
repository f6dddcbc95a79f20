"""HEIC by way of pillow-heif, for a libvips whose libheif has no codec of HEVC, as that of its binary wheel has none.

The file says its size before anything is decoded; libheif's own limits on boxes and tiles stay on. Pictures come
upright: the container's own turns are obeyed, and those that EXIF tells besides are not (ISO/IEC 23008-12, 6.5.10).
"""

from __future__ import annotations

import base64
import io
from importlib import import_module
from typing import Any

import pyvips

from imgforge.errors import ImgforgeError, NotAnImage
from imgforge.processing.metadata import ORIENTATION, exif_block_of, set_exif_block
from imgforge.processing.pixel_buffers import MOST_PIXELS, check_pixels, from_pixels

__all__ = ["SAMPLE", "load", "save"]

_BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
# libheif's own preset of x265 takes three times as long for a tenth of the bytes. No threads: one an image is enough.
_ENCODER = {"preset": "medium", "x265:pools": "none"}
_BLOBS = {"icc_profile": "icc-profile-data", "xmp": "xmp-data"}

# 64 x 64 black pixels: whether they can be read is asked of libvips, whose loader is there without any decoder.
SAMPLE = base64.b64decode(
    "AAAAHGZ0eXBoZWl4AAAAAG1pZjFoZWl4bWlhZgAAAU5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9j"
    "AAAAAERAAAEAAQAAAAABcgABAAAAAAAAABIAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAAzmlw"
    "cnAAAACvaXBjbwAAAHJodmNDAQQIAAAAn/gAAAAAHvAA/Pz4+AAADwNgAAEAF0ABDAH//wQIAAADAJ/4AAADAAAeugJAYQABACZCAQEECAAA"
    "AwCf+AAAAwAAHsCCBBZbqSSmubAgAAADAyAAAAMAIWIAAQAHRAHBcrAiQAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAA"
    "QAAAAA5waXhpAAAAAAEIAAAAF2lwbWEAAAAAAAAAAQABBIECAwQAAAAabWRhdAAAAA4oAa4KMPQd5L/92nYoYA=="
)


def load(body: bytes, name: str, *, most_pixels: float = MOST_PIXELS, thumbnail: bool = False) -> Any:
    """*body* as an image in memory, of 8 or 16 bits, with its profile and metadata; or the *thumbnail* in it."""
    library: Any = import_module("pillow_heif")
    library.options.DECODE_THREADS = 1
    try:
        opened = library.open_heif(body, convert_hdr_to_8bit=False)
        picture = _thumbnail(opened[opened.primary_index]) if thumbnail else opened[opened.primary_index]
        width, height = picture.size
        check_pixels(width, height, most=most_pixels)
        colours, _, depth = picture.mode.partition(";")
        bands, deep = _BANDS[colours.upper()], depth == "16"
        image = from_pixels(bytes(picture.data), width, height, bands, deep=deep).copy()
    except ImgforgeError:
        raise
    except Exception as error:  # libheif's errors come as ValueError, RuntimeError, SyntaxError, EOFError...
        raise NotAnImage(f"the source image is broken: the {name} decoder says {type(error).__name__}") from None
    if colours.endswith("a"):
        image = image.unpremultiply().cast(image.format)
    for key, field in _BLOBS.items():
        if picture.info.get(key):
            image.set_type(pyvips.GValue.blob_type, field, bytes(picture.info[key]))
    set_exif_block(image, picture.info.get("exif") or b"")
    return image


def _thumbnail(picture: Any) -> Any:
    sizes = picture.info.get("thumbnails")
    if not sizes:
        raise NotAnImage("the source has no thumbnail")
    return picture.get_thumbnail(sizes.index(max(sizes)))


def save(image: Any, _name: str, *, Q: int) -> bytes:
    """*image* as a file of 8 bits a sample, with the profile and the metadata that it has."""
    library: Any = import_module("pillow_heif")
    blobs = {key: bytes(image.get(field)) for key, field in _BLOBS.items() if image.get_typeof(field)}
    if "xmp" in blobs and not image.get_typeof(ORIENTATION):  # else it would turn the picture by what XMP says
        library.set_orientation(blobs)
    exif = exif_block_of(image)
    image = image.colourspace("srgb" if image.bands > 2 else "b-w").cast("uchar")
    mode = next(mode for mode, bands in _BANDS.items() if bands == image.bands)
    written = io.BytesIO()
    library.encode(
        mode,
        (image.width, image.height),
        bytes(image.write_to_memory()),
        written,
        quality=Q,
        enc_params=dict(_ENCODER),
        exif=exif or None,
        **blobs,
    )
    return written.getvalue()
