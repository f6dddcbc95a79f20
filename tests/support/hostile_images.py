"""Pictures that promise, hide or unpack to more than they are; made here, byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

__all__ = ["BOMBS", "FOREIGN", "png", "png_chunk"]

PNG = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, data: bytes, *, length: int | None = None, crc: int | None = None) -> bytes:
    """A chunk, whose length and checksum may lie."""
    checksum = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data) if length is None else length) + kind + data + struct.pack(">I", checksum)


def png(width: int, height: int, *extra: bytes, pixels: bytes | None = None, kind: int = 2) -> bytes:
    """A PNG with *extra* chunks before its pixels; black unless *pixels* are given."""
    samples = {0: 1, 2: 3, 6: 4}[kind]
    if pixels is None:
        pixels = bytes((width * samples + 1) * height)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return PNG + header + b"".join(extra) + png_chunk(b"IDAT", zlib.compress(pixels)) + png_chunk(b"IEND", b"")


def encoded(name: str, width: int = 64, height: int = 48, **how: object) -> bytes:
    """A real picture."""
    body = io.BytesIO()
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(body, name, **how)
    return body.getvalue()


def deflated(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def jpeg_segment(marker: int, data: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2 if length is None else length) + data


def jpeg_with(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + encoded("JPEG")[2:]


def jpeg_sized(width: int, height: int) -> bytes:
    body = bytearray(encoded("JPEG"))
    at = body.index(b"\xff\xc0")
    body[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(body)


def jpeg_scans(count: int) -> bytes:
    """A progressive picture whose scans come again and again: each walks over every block."""
    body = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(body, "JPEG", progressive=True)
    data = body.getvalue()
    last = data.rindex(b"\xff\xda")
    end = data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * count + data[end:]


def exif(entries: bytes, count: int) -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(4)


def exif_entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


def gif(width: int, height: int, frames: int = 1, frame: tuple[int, int] = (1, 1)) -> bytes:
    image = b"\x21\xf9\x04\0\x01\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + image * frames + b";"


def tiff(*entries: tuple[int, int, int, int], following: int = 0, rest: bytes = b"") -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following) + rest


def tiff_of(width: int, height: int, *more: tuple[int, int, int, int], following: int = 0) -> bytes:
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    entries += [(273, 4, 1, 200), (278, 4, 1, height), (279, 4, 1, min(width * height, 0xFFFFFFFF)), *more]
    return tiff(*sorted(entries), following=following, rest=bytes(200))


def webp_canvas(width: int, height: int, frames: int = 0) -> bytes:
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    chunks = b"VP8X" + struct.pack("<I", 10) + bytes([2 if frames else 0, 0, 0, 0]) + size
    if frames:
        inner = encoded("WEBP")[12:]
        body = bytes(6) + struct.pack("<I", 63)[:3] + struct.pack("<I", 47)[:3] + b"\x0a\0\0\0" + inner
        chunks += b"ANIM" + struct.pack("<I", 6) + bytes(6)
        chunks += (b"ANMF" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)) * frames
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def avif_sized(width: int, height: int) -> bytes:
    body = encoded("AVIF", 64, 48)
    at = body.index(b"ispe") + 8
    return body[:at] + struct.pack(">II", width, height) + body[at + 8 :]


def boxes(depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        body = struct.pack(">I", len(body) + 12) + b"meta" + bytes(4) + body
    return struct.pack(">I", 20) + b"ftypavif" + bytes(4) + b"avif" + body


# By name what makes it, and whether it must be refused; what need not be may be either a picture or a refusal.
BOMBS: dict[str, tuple[Callable[[], bytes], bool]] = {
    "png of ten gigapixels": (lambda: png(100_000, 100_000, pixels=b""), True),
    "png of no pixels": (lambda: png(0, 0, pixels=b""), True),
    "png of 2^31": (lambda: png(0x7FFFFFFF, 0x7FFFFFFF, pixels=b""), True),
    "png of a line": (lambda: png(0x7FFFFFFF, 1, pixels=b""), True),
    "png whose pixels are missing": (lambda: png(5000, 5000, pixels=b""), True),
    "png whose pixels are too many": (lambda: png(10, 10, pixels=bytes(100_000_000)), False),
    "png of 49 black megapixels": (lambda: png(7000, 7000, kind=0), False),
    "png with a giant profile": (lambda: png(9, 9, png_chunk(b"iCCP", b"x\0\0" + deflated(40 << 20))), True),
    "png with a profile of noise": (
        lambda: png(9, 9, png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"acsp" * 999))),
        False,
    ),
    "png with a giant text": (lambda: png(9, 9, png_chunk(b"zTXt", b"x\0\0" + deflated(40 << 20))), True),
    "png with many giant texts": (lambda: png(9, 9, *[png_chunk(b"zTXt", b"x\0\0" + deflated(30 << 20))] * 60), True),
    "png with a hundred thousand texts": (lambda: png(9, 9, *[png_chunk(b"tEXt", b"x\0y")] * 100_001), True),
    "png with a giant XMP": (
        lambda: png(9, 9, png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + deflated(40 << 20))),
        True,
    ),
    "png with a comment whose name is no UTF-8": (lambda: png(9, 9, png_chunk(b"tEXt", b"a\xfab\0c")), False),
    "png with a chunk of 4 GB": (lambda: png(9, 9, png_chunk(b"tEXt", b"x", length=0xFFFFFFFF)), True),
    "png with a wrong checksum": (lambda: png(9, 9, png_chunk(b"gAMA", bytes(4), crc=1)), False),
    "png of 2^32 frames": (lambda: png(9, 9, png_chunk(b"acTL", struct.pack(">II", 0xFFFFFFFF, 0))), False),
    "png with exif of wrong lengths": (
        lambda: png(9, 9, png_chunk(b"eXIf", exif(exif_entry(0x112, 3, 0xFFFFFFFF, 6), 9)[6:])),
        False,
    ),
    "jpeg of four gigapixels": (lambda: jpeg_sized(65535, 65535), True),
    "jpeg of no height": (lambda: jpeg_sized(64, 0), True),
    "jpeg larger than its data": (lambda: jpeg_sized(6000, 6000), False),
    "jpeg of a thousand scans": (lambda: jpeg_scans(1000), False),
    "jpeg with a segment too long": (lambda: jpeg_with(jpeg_segment(0xE1, b"Exif\0\0", 65535)), False),
    "jpeg with a segment of 0": (lambda: jpeg_with(jpeg_segment(0xE1, b"", 0)), False),
    "jpeg with endless exif": (lambda: jpeg_with(jpeg_segment(0xE1, exif(exif_entry(0x112, 3, 1, 6), 65535))), False),
    "jpeg with exif that points out": (
        lambda: jpeg_with(jpeg_segment(0xE1, exif(exif_entry(0x10F, 2, 0x7FFFFFFF, 0xFFFFFFF0), 1))),
        False,
    ),
    "jpeg with exif in a circle": (lambda: jpeg_with(jpeg_segment(0xE1, exif(exif_entry(0x8769, 4, 1, 8), 1))), False),
    "jpeg with orientation 99": (lambda: jpeg_with(jpeg_segment(0xE1, exif(exif_entry(0x112, 3, 1, 99), 1))), False),
    "jpeg with a profile of 255 parts": (
        lambda: jpeg_with(*[jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(65000)) for n in range(255)]),
        False,
    ),
    "jpeg with part 7 of 3": (lambda: jpeg_with(jpeg_segment(0xE2, b"ICC_PROFILE\0\x07\x03abc")), False),
    "jpeg with 20 MB of comments": (lambda: jpeg_with(*[jpeg_segment(0xFE, bytes(65000))] * 300), False),
    "gif of four gigapixels": (lambda: gif(65535, 65535), False),
    "gif of no pixels": (lambda: gif(0, 0), False),
    "gif of a hundred thousand frames": (lambda: gif(1, 1, 100_000), False),
    "gif of frames that are large": (lambda: gif(4000, 4000, 3000), False),
    "gif whose frames are larger than it": (lambda: gif(2, 2, 5, (65535, 65535)), False),
    "webp of 16 million squared": (lambda: webp_canvas(1 << 24, 1 << 24), True),
    "webp of an empty canvas": (lambda: webp_canvas(9000, 9000), True),
    "webp of two thousand frames": (lambda: webp_canvas(64, 48, 2000), False),
    "webp whose length lies": (lambda: b"RIFF\xff\xff\xff\xffWEBP" + encoded("WEBP")[12:], False),
    "tiff of 2^32": (lambda: tiff_of(0xFFFFFFFF, 0xFFFFFFFF), True),
    "tiff of a gigapixel": (lambda: tiff_of(40_000, 40_000), True),
    "tiff whose samples are missing": (lambda: tiff_of(6000, 6000), True),
    "tiff that follows itself": (lambda: tiff_of(9, 9, following=8), False),
    "tiff with a tag of 4 G values": (lambda: tiff_of(9, 9, (700, 1, 0xFFFFFFFF, 8)), False),
    "tiff with a profile that points out": (lambda: tiff_of(9, 9, (34675, 7, 1 << 30, 0xFFFFFF00)), False),
    "tiff with tiles of no size": (lambda: tiff_of(900, 900, (322, 4, 1, 0), (323, 4, 1, 0)), True),
    "tiff of 65535 samples": (lambda: tiff((256, 4, 1, 99), (257, 4, 1, 99), (258, 3, 1, 8), (277, 3, 1, 65535)), True),
    "avif of four gigapixels": (lambda: avif_sized(65535, 65535), True),
    "avif of 2^32": (lambda: avif_sized(0xFFFFFFFF, 0xFFFFFFFF), True),
    "avif larger than its data": (lambda: avif_sized(6000, 6000), False),
    "avif of nested boxes": (lambda: boxes(10_000), True),
    "avif of brands only": (lambda: boxes(0), True),
    "bmp of 2^31": (
        lambda: b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 0x7FFFFFFF, 0x7FFFFFFF, 1, 24) + bytes(99),
        True,
    ),
    "bmp of a gigapixel": (
        lambda: b"BM" + struct.pack("<IIIIiiHH", 0, 0, 54, 40, 40000, 30000, 1, 24) + bytes(99),
        True,
    ),
    "ico of 65535 pictures": (lambda: b"\0\0\x01\0\xff\xff" + bytes(16) * 100, True),
    "psd of a gigapixel": (
        lambda: b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 30000, 30000, 8, 3) + bytes(99),
        True,
    ),
    "jxl of 2^30": (lambda: b"\xff\x0a" + b"\xff" * 30, True),
    "raw of a gigapixel": (lambda: tiff_of(40_000, 40_000, (50706, 1, 4, 0x0401)), True),
    "pdf of kilometres": (
        lambda: b"%PDF-1.4\n1 0 obj<</Type/Page/MediaBox[0 0 9e9 9e9]>>endobj trailer<</Root 1 0 R>>",
        True,
    ),
}

# What libvips, or a helper of some other server, would open by its first bytes, and what must stay shut.
FOREIGN: dict[str, bytes] = {
    "ppm": b"P6 9 9 255\n" + bytes(243),
    "pfm": b"PF\n9 9\n-1.0\n" + bytes(972),
    "radiance": b"#?RADIANCE\n\n-Y 9 +X 9\n",
    "vips": b"\xb6\xa6\xf2\x08" + bytes(60),
    "fits": b"SIMPLE  =                    T" + bytes(2850),
    "exr": b"v/1\x01" + bytes(60),
    "matlab": b"MATLAB 5.0 MAT-file" + bytes(120),
    "nifti": b"\\\x01\0\0" + bytes(344),
    "analyze": b"\0\0\x01\\" + bytes(344),
    "csv": b"1,2,3\n4,5,6\n",
    "matrix": b"3 3 1 0\n1 1 1\n1 1 1\n1 1 1\n",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd)(r)file",
    "eps": b"\xc5\xd0\xd3\xc6" + bytes(60),
    "mvg": b"push graphic-context\nviewbox 0 0 9 9\nimage over 0,0 0,0 'http://127.0.0.1:{port}/'\npop graphic-context",
    "msl": b'<?xml version="1.0"?><image><read filename="/etc/passwd"/></image>',
    "xbm": b"#define a_width 9\n#define a_height 9\n",
    "xpm": b"/* XPM */\nstatic char *a[]={",
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "emf": b"\x01\0\0\0" + bytes(36) + b" EMF",
    "dicom": bytes(128) + b"DICM",
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
    "jpeg 2000 stream": b"\xff\x4f\xff\x51" + bytes(60),
    "djvu": b"AT&TFORM" + bytes(60),
    "mp4": b"\0\0\0\x18ftypisom" + bytes(60),
    "matroska": b"\x1a\x45\xdf\xa3" + bytes(60),
    "zip": b"PK\x03\x04" + bytes(60),
    "html": b"<!DOCTYPE html><html><svg></svg></html>",
    "javascript": b"alert(1)//<svg>",
    "elf": b"\x7fELF" + bytes(60),
    "shell": b"#!/bin/sh\nid\n",
    "zip as a picture's name": b"GIF89",
    "nothing": b"",
    "a NUL": b"\0",
    "passwd": b"root:x:0:0:root:/root:/bin/sh\n",
    "playlist": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\nfile:///etc/passwd\n",
}
