"""The table of formats, one row each, and their detection. `available_formats` tells which are usable here."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import Any

from imgforge.errors import NotAnImage
from imgforge.processing.codecs.heic import SAMPLE as HEIC_SAMPLE
from imgforge.processing.codecs.raw import is_raw_tiff
from imgforge.processing.containers import brands

__all__ = ["FORMATS", "Format", "check_format", "detect_format", "sniffed_media_type"]


@dataclass(frozen=True, slots=True)
class Format:
    """The properties of a format, and the operations of libvips that read and write it ("" where there are none).

    `longest` is the longest side in pixels that can be written, 0 without a limit. `saver_options` are given to the
    saver each time. The flags describe results: whether they can have alpha, a quality and so on.
    """

    mime_type: str
    loader: str = ""
    saver: str = ""
    saver_options: dict[str, Any] = field(default_factory=dict)
    alpha: bool = True
    animation: bool = False
    quality: bool = False
    deep: bool = False  # has more than 8 bits a sample
    profile: bool = True
    cmyk: bool = False
    vector: bool = False
    thumbnail: bool = False
    paged: bool = False  # its loader takes page and n
    longest: int = 0
    extra: str = ""  # the extra (`extras`) that reads and writes it where libvips does not
    partial: bool = False  # its reader can show a file that ends too early
    animated_by_pillow: bool = False  # libvips reads its animations as stills; `pillow_frames` reads all frames
    writes: bool = True
    isolated: bool = False  # the extra decodes in a subprocess, which can be killed
    sample: bytes = b""  # a file to try libvips' loader with, where its presence does not tell
    needs: str = ""  # the library that libvips must be built with, where no extra reads the format


FORMATS: dict[str, Format] = {
    "jpeg": Format(
        "image/jpeg",
        "jpegload_buffer",
        "jpegsave_buffer",
        {"optimize_coding": True},
        alpha=False,
        quality=True,
        cmyk=True,
        partial=True,
        needs="libjpeg-turbo or mozjpeg",
    ),
    "png": Format(
        "image/png",
        "pngload_buffer",
        "pngsave_buffer",
        deep=True,
        partial=True,
        animated_by_pillow=True,
        needs="libpng or libspng",
    ),
    "webp": Format(
        "image/webp",
        "webpload_buffer",
        "webpsave_buffer",
        animation=True,
        quality=True,
        paged=True,
        longest=16383,
        needs="libwebp",
    ),
    "avif": Format(
        "image/avif",
        "heifload_buffer",
        "heifsave_buffer",
        {"compression": "av1"},
        quality=True,
        deep=True,
        thumbnail=True,
        animated_by_pillow=True,
        longest=16384,
        needs="libheif and a codec of AV1, such as libaom",
    ),
    "gif": Format(
        "image/gif",
        "gifload_buffer",
        "gifsave_buffer",
        animation=True,
        profile=False,
        paged=True,
        partial=True,
        longest=65535,
        needs="cgif",
    ),
    "tiff": Format(
        "image/tiff",
        "tiffload_buffer",
        "tiffsave_buffer",
        quality=True,
        deep=True,
        paged=True,
        cmyk=True,
        partial=True,
        needs="libtiff",
    ),
    "heic": Format(
        "image/heic",
        "heifload_buffer",
        "heifsave_buffer",
        {"compression": "hevc"},
        quality=True,
        thumbnail=True,
        longest=16384,
        extra="heic",
        sample=HEIC_SAMPLE,
    ),
    "jxl": Format(
        "image/jxl", "jxlload_buffer", "jxlsave_buffer", animation=True, quality=True, deep=True, extra="jxl"
    ),
    "bmp": Format("image/bmp", extra="formats", profile=False, partial=True),
    "ico": Format("image/x-icon", extra="formats", profile=False, longest=256),
    "psd": Format("image/vnd.adobe.photoshop", extra="formats", writes=False),
    "pdf": Format("application/pdf", extra="pdf", vector=True, paged=True, writes=False, isolated=True),
    "raw": Format("image/x-dcraw", extra="raw", writes=False, isolated=True),
    "svg": Format("image/svg+xml", "svgload_buffer", vector=True, writes=False, needs="librsvg"),
}

_SIGNATURES: tuple[tuple[str, int, bytes], ...] = (
    ("jpeg", 0, b"\xff\xd8\xff"),
    ("png", 0, b"\x89PNG\r\n\x1a\n"),
    ("gif", 0, b"GIF87a"),
    ("gif", 0, b"GIF89a"),
    ("tiff", 0, b"II*\x00"),
    ("tiff", 0, b"MM\x00*"),
    ("tiff", 0, b"II+\x00\x08\x00\x00\x00"),  # BigTIFF
    ("tiff", 0, b"MM\x00+\x00\x08\x00\x00"),
    ("bmp", 0, b"BM"),
    ("ico", 0, b"\x00\x00\x01\x00"),
    ("psd", 0, b"8BPS"),
    ("pdf", 0, b"%PDF-"),
    ("raw", 0, b"FUJIFILMCCD-RAW"),
    ("raw", 0, b"IIRO"),  # Olympus
    ("raw", 0, b"IIRS"),
    ("raw", 0, b"IIU\x00"),  # Panasonic
    ("jxl", 0, b"\xff\x0a"),
    ("jxl", 0, b"\x00\x00\x00\x0cJXL \r\n\x87\n"),
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_CR3_BRAND = b"crx "
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"})
# An SVG begins with its element, after a byte order mark, a declaration, a document type and comments. The groups are
# atomic and possessive (`(?>`, `*+`), so that a hostile prologue causes no backtracking.
_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?(?><\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>|\s)*+<(?:svg|\w+:svg)[\s>/]",
    re.DOTALL,
)
_SVG_WINDOW = 32768
_UTF_16 = frozenset({b"\xff\xfe", b"\xfe\xff"})  # the byte order marks that begin it


# The part of a Content-Type that an error text repeats.
_MEDIA_TYPE = re.compile(r"\s*([\w!#$&^.+-]{1,64}/[\w!#$&^.+-]{1,64})", re.ASCII)


def check_format(source: bytes, content_type: str = "") -> str:
    """The format of *source*; `NotAnImage`, which names the media type of *content_type*, where there is none."""
    name = detect_format(source)
    if name is None:
        named = _MEDIA_TYPE.match(content_type)
        kind = f"{named[1].lower()}, " if named else ""
        raise NotAnImage(f"the source is no image of a known format: {kind}{len(source)} bytes")
    return name


def detect_format(source: bytes) -> str | None:
    """The name of the format of *source*, by its content alone; None for anything that is not a known image."""
    for name, offset, signature in _SIGNATURES:
        if source.startswith(signature, offset):
            return "raw" if name == "tiff" and is_raw_tiff(source) else name
    if source[:4] == b"RIFF" and source[8:12] == b"WEBP":
        return "webp"
    if found := brands(source):
        if found & _AVIF_BRANDS:
            return "avif"
        if _CR3_BRAND in found:
            return "raw"
        return "heic" if found & _HEIC_BRANDS else None
    return "svg" if _SVG.match(_beginning(source)) else None


def sniffed_media_type(source: bytes) -> str:
    """The media type of an image that begins with *source*; "" for other files, and for SVG, which can run scripts."""
    name = detect_format(source)
    media_type = FORMATS[name].mime_type if name is not None and name != "svg" else ""
    return media_type if media_type.startswith("image/") else ""


def _beginning(source: bytes) -> bytes:
    """The bytes in which an SVG's element must begin; svgz is decompressed, UTF-16 becomes UTF-8."""
    if source.startswith(b"\x1f\x8b"):
        try:
            source = zlib.decompressobj(wbits=31).decompress(source, _SVG_WINDOW)
        except zlib.error:
            return b""
    source = source[:_SVG_WINDOW]
    if source[:2] in _UTF_16:
        return source.decode("utf-16", "replace").encode("utf-8", "replace")
    return source
