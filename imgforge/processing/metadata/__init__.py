"""EXIF, IPTC and XMP: reading them for /info, keeping credits, and stripping the rest from renditions."""

from __future__ import annotations

from imgforge.processing.metadata.exif import exif_of
from imgforge.processing.metadata.exif_block import ORIENTATION, exif_block_of, set_exif_block
from imgforge.processing.metadata.iptc import credits_of, iptc_in, iptc_of, resolution_of, resources
from imgforge.processing.metadata.tiff_credits import with_credits, write_credits
from imgforge.processing.metadata.xmp import rights_of, xmp_of

__all__ = [
    "ORIENTATION",
    "credits_of",
    "exif_block_of",
    "exif_of",
    "iptc_in",
    "iptc_of",
    "resolution_of",
    "resources",
    "rights_of",
    "set_exif_block",
    "with_credits",
    "write_credits",
    "xmp_of",
]
