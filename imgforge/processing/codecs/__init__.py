"""Decoders: libvips, and one module for each library or format that libvips does not read by itself.

- `formats`: the table of formats, and their detection by content
- `available_formats`: which of them are read and written here, and by which library
- `original`: a source that was opened; `decoding` reads it, `truncation` finds files that end too early
- `extras`: the table of libraries beside libvips, which `pillow`, `heic`, `jxl`, `pdf` and `raw` call
"""

from __future__ import annotations

from imgforge.processing.codecs.available_formats import (
    Capabilities,
    animates,
    capabilities,
    holds,
    missing,
    needed_for,
    reader,
    writer,
)
from imgforge.processing.codecs.first_bytes import header_length, readable_header
from imgforge.processing.codecs.formats import FORMATS, Format, check_format, detect_format, sniffed_media_type
from imgforge.processing.codecs.original import Original, check_hash, jpeg_shrink, open_original
from imgforge.processing.codecs.partial_files import whole_or_part

__all__ = [
    "FORMATS",
    "Capabilities",
    "Format",
    "Original",
    "animates",
    "capabilities",
    "check_format",
    "check_hash",
    "detect_format",
    "header_length",
    "holds",
    "jpeg_shrink",
    "missing",
    "needed_for",
    "open_original",
    "readable_header",
    "reader",
    "sniffed_media_type",
    "whole_or_part",
    "writer",
]
