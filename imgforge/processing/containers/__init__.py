"""Bounded readers of file formats' structure, one module a format: where things are, without decoding them."""

from __future__ import annotations

from imgforge.processing.containers.png import check_png
from imgforge.processing.containers.tiff import Entry, Tiff, read_tiff

__all__ = ["Entry", "Tiff", "check_png", "read_tiff"]
