"""What a file says beside its pixels: taken away, but for what has to stay."""

from __future__ import annotations

from typing import Any

import pyvips

from imgforge.processing.metadata import credits_of, iptc_in, rights_of
from imgforge.processing.settings import chosen
from imgforge.processing.stages.colour_space import COLOUR_FIELDS
from imgforge.processing.state import State
from imgforge.processing.vips_image import field_names, remove_fields

__all__ = ["ORIENTATION_FIELDS", "strip_metadata"]

# The image's own geometry, which is no metadata and cannot be removed...
_GEOMETRY = (
    *("width", "height", "bands", "format", "coding", "interpretation"),
    *("xoffset", "yoffset", "xres", "yres", "filename"),
)
# ... and what the encoders need, and do not show to anybody.
_KEPT = frozenset(
    {
        *_GEOMETRY,
        "icc-profile-data",
        "bits-per-sample",
        "palette",
        "palette-bit-depth",
        "background",
        "vips-loader",
        "vips-sequential",
    }
)
_ANIMATION = frozenset({"page-height", "delay", "loop", "n-pages"})
_KEPT_WITH_COPYRIGHT = _KEPT | {"exif-data", "exif-ifd0-Copyright", "exif-ifd0-Artist"}
# An image that has been turned must not be turned again by its viewer.
ORIENTATION_FIELDS = frozenset({"orientation", "exif-ifd0-Orientation"})
_IPTC = "iptc-data"
_INCH = 25.4  # millimetres


def strip_metadata(state: State, *, animated: bool) -> None:
    """Remove EXIF, IPTC, XMP and the rest, unless asked to keep them.

    What no longer holds goes in any case: the orientation once it has been obeyed, what told of a profile that the
    pixels have left, and what told of other pages.
    """
    options, settings = state.options, state.settings
    strip = chosen(options.strip_metadata, settings.strip_metadata)
    copyright_stays = chosen(options.keep_copyright, settings.keep_copyright)
    image = state.image
    fields = field_names(image)
    rights = _rights(image, fields) if strip and copyright_stays else {}
    resolution = settings.strip_metadata_dpi / _INCH  # pixels per millimetre
    image = image.copy(xres=resolution, yres=resolution) if strip else image.copy()
    gone = _outdated(state, animated=animated)
    kept = _KEPT_WITH_COPYRIGHT if copyright_stays else _KEPT
    if animated:
        kept |= _ANIMATION
    remove_fields(image, [name for name in fields if name in gone or (strip and name not in kept)])
    for name, value in rights.items():
        image.set_type(pyvips.GValue.blob_type, name, value)
    if image.get_typeof(_IPTC):
        _set_iptc(image, iptc_in(state.format_name, bytes(image.get(_IPTC))))
    if options.dpi:
        image = image.copy(xres=options.dpi / _INCH, yres=options.dpi / _INCH)
    state.image = image


def _outdated(state: State, *, animated: bool) -> frozenset[str]:
    """The fields that do not hold for the result; a profile that `color_profile` has embedded does."""
    gone = frozenset() if animated else _ANIMATION
    if state.auto_rotate:
        gone |= ORIENTATION_FIELDS
    if not state.keeps_profile and not state.options.color_profile:
        gone |= COLOUR_FIELDS
    return gone


def _set_iptc(image: Any, value: bytes) -> None:
    if value:
        image.set_type(pyvips.GValue.blob_type, _IPTC, value)
    else:
        image.remove(_IPTC)


def _rights(image: Any, fields: list[str]) -> dict[str, bytes]:
    """Of IPTC and XMP what says whose the picture is, by the names of libvips' fields."""
    rights = {}
    if _IPTC in fields:
        rights[_IPTC] = credits_of(bytes(image.get(_IPTC)))
    if "xmp-data" in fields:
        rights["xmp-data"] = rights_of(bytes(image.get("xmp-data")))
    return {name: value for name, value in rights.items() if value}
