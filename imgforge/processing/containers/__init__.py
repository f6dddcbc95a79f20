"""Bounded readers of file formats' structure, one module a format: where things are, without decoding them."""

from __future__ import annotations

from imgforge.processing.containers.avif import avif_header_length
from imgforge.processing.containers.bmff import Box, brands, read_boxes
from imgforge.processing.containers.bmp import PLAIN_HEADER, BmpHeader, read_alpha_mask, read_bmp_header
from imgforge.processing.containers.gif import gif_is_complete
from imgforge.processing.containers.jpeg import jpeg_header_is_complete
from imgforge.processing.containers.png import Chunk, check_png, read_chunks
from imgforge.processing.containers.tiff import Entry, Tiff, read_tiff
from imgforge.processing.containers.webp import cut_webp, webp_header_length

__all__ = [
    "PLAIN_HEADER",
    "BmpHeader",
    "Box",
    "Chunk",
    "Entry",
    "Tiff",
    "avif_header_length",
    "brands",
    "check_png",
    "cut_webp",
    "gif_is_complete",
    "jpeg_header_is_complete",
    "read_alpha_mask",
    "read_bmp_header",
    "read_boxes",
    "read_chunks",
    "read_tiff",
    "webp_header_length",
]
