"""Colour spaces: into one that stages can work in, and out of it at the end.

Stages work on RGB and grey images in the space of the image's own profile, which costs nothing; these are transformed
to sRGB at the end, when few pixels are left. Others (CMYK, Lab) are transformed to sRGB at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyvips

from imgforge.errors import BadOption
from imgforge.processing.settings import chosen
from imgforge.processing.state import State

__all__ = [
    "COLOUR_FIELDS",
    "embed_profile",
    "full_scale",
    "interpretation",
    "standard_rgb",
    "to_processing_colours",
    "to_result_colours",
]

_PROFILE = "icc-profile-data"
COLOUR_FIELDS = frozenset({_PROFILE, "exif-ifd0-WhitePoint", "exif-ifd0-PrimaryChromaticities", "exif-ifd2-ColorSpace"})
_BUILT_IN = frozenset({"srgb", "cmyk", "p3"})
_NATIVE = frozenset({"rgb", "srgb", "rgb16", "scrgb", "grey16", "b-w"})
_DEEP = frozenset({"rgb16", "grey16", "scrgb"})
_GREY = frozenset({"b-w", "grey16"})
# The space to work in by the space of the source, with 8 bits and with 16.
_SHALLOW_TARGETS = {"rgb16": "srgb", "grey16": "b-w", "cmyk": "srgb"}
_DEEP_TARGETS = {"rgb16": "rgb16", "grey16": "grey16", "cmyk": "srgb"}
_UNCHANGED = frozenset({"rgb", "srgb", "b-w"})


def interpretation(image: Any) -> str:
    """The colour space by libvips' name, guessed from bands and sample format where the file does not say."""
    stated = str(image.interpretation)
    if stated in _NATIVE or stated in {"cmyk", "lab", "labs", "labq", "xyz"}:
        return stated
    colours = image.bands - (1 if image.bands in {2, 4} else 0)
    if image.format in {"uchar", "char"}:
        return "b-w" if colours == 1 else "srgb"
    if image.format in {"ushort", "short"}:
        return "grey16" if colours == 1 else "rgb16"
    return stated


def full_scale(image: Any) -> float:
    """The sample of white and of opaque: 65535 for 16 bits, 255 for 8."""
    return 65535.0 if interpretation(image) in {"rgb16", "grey16"} else 255.0


def to_processing_colours(state: State) -> None:
    """Decode Radiance, import profiles of other spaces than RGB and grey, then go to sRGB or grey in 8 or 16 bits."""
    image = state.image
    if image.coding == "rad":
        image = image.rad2float()
    kind = interpretation(image)
    keep = chosen(state.options.preserve_hdr, state.settings.preserve_hdr)
    deep = keep and state.format.deep
    target = (
        kind
        if kind in _UNCHANGED
        else (_DEEP_TARGETS if deep else _SHALLOW_TARGETS).get(kind, "rgb16" if deep else "srgb")
    )
    has_profile = image.get_typeof(_PROFILE) != 0
    if has_profile and kind == "scrgb":  # once converted from linear light, the profile no longer applies
        image = image.copy()
        image.remove(_PROFILE)
    elif has_profile:
        state.profile = state.profile or _profile(image)
        if kind not in _NATIVE and image.format in {"uchar", "ushort"}:
            image = image.icc_import(embedded=True, pcs=_connection_space(state.profile))
            state.imported = True
    if image.interpretation != target:
        image = image.colourspace(target)
    # Files may have samples beyond the alpha (spot colours, masks), which no stage can handle.
    bands = min(image.bands, 2 if target in _GREY else 4)
    state.image = image if image.bands == bands else image.extract_band(0, n=bands)


def standard_rgb(state: State, image: Any) -> Any:
    """*image*, which is an image of *state*, in RGB: grey becomes sRGB or its 16-bit form.

    A grey image's profile would be wrong for RGB: the image leaves the profile's space and loses the profile.
    """
    kind = interpretation(image)
    if kind in {"srgb", "rgb16", "rgb"}:
        return image
    if state.profile is not None and not state.imported and kind in _GREY:
        image = _without_profile(_in_standard(image, state.profile))
        state.profile = None
    return image.colourspace("rgb16" if kind in _DEEP else "srgb")


def to_result_colours(state: State) -> None:
    """Keep the profile, or transform from its space to sRGB (sGrey) and drop it."""
    options, keep = state.options, state.keeps_profile
    image, profile = state.image, state.profile
    if profile is not None and keep:
        image = _with_profile(image, profile)
        if state.imported:
            image = image.icc_export(pcs=_connection_space(profile), depth=_depth(image))
    elif profile is not None and not state.imported:
        image = _in_standard(image, profile)
    if not keep:
        # strip_metadata takes the fields away, but a new profile must not find the old one.
        image = _without_profile(image) if options.color_profile else image
        state.profile = None
    state.image = image


def _in_standard(image: Any, profile: bytes) -> Any:
    """*image* transformed from the space of *profile* to sRGB or to sRGB's grey."""
    if _is_srgb(profile):
        return image
    name = "sGrey" if interpretation(image) in _GREY else "sRGB"
    space = _connection_space(profile)
    return _with_profile(image, profile).icc_transform(name, embedded=True, pcs=space, depth=_depth(image))


def _with_profile(image: Any, profile: bytes) -> Any:
    """A copy of *image* with *profile*, which some operations lose."""
    image = image.copy()
    if image.get_typeof(_PROFILE) == 0:
        image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
    return image


def _without_profile(image: Any) -> Any:
    """*image* without its profile and without the EXIF fields on its colours."""
    present = [field for field in COLOUR_FIELDS if image.get_typeof(field)]
    image = image.copy() if present else image
    for field in present:
        image.remove(field)
    return image


def _depth(image: Any) -> int:
    return 16 if interpretation(image) in _DEEP else 8


def _profile(image: Any) -> bytes | None:
    """The profile; None where it is too short to have a header."""
    data = bytes(image.get(_PROFILE))
    return data if len(data) >= 128 else None


def _connection_space(profile: bytes | None) -> str:
    return "xyz" if profile is not None and profile[20:24] == b"XYZ " else "lab"


def _is_srgb(profile: bytes) -> bool:
    """Whether it is the usual sRGB IEC61966-2.1, by its header: a transform from it would change nothing."""
    return (
        profile[48:52] == b"IEC "
        and profile[16:20] == b"RGB "
        and profile[52:56] == b"sRGB"
        and profile[80:84] == b"HP  "
        and profile[24:30] == bytes((7, 206, 0, 2, 0, 9))
        and profile[8:12] == bytes((2, 16, 0, 0))
    )


def embed_profile(state: State) -> None:
    """Convert to the profile that the options name and embed it, where the format can hold one."""
    name = state.options.color_profile
    if not name or not state.format.profile:
        return
    target = name if name in _BUILT_IN else _profile_path(state.settings.color_profiles_dir, name)
    if target == "cmyk" and not state.format.cmyk:
        return
    try:
        image = standard_rgb(state, state.image)
        state.image = image.icc_transform(target, embedded=True, input_profile="srgb", depth=8)
    except pyvips.Error:
        raise BadOption(f"color profile {name!r} cannot be used for this image") from None


def _profile_path(directory: str, name: str) -> str:
    """The path of profile *name*, with or without its ending, directly in *directory*; `BadOption` without one."""
    if "/" in name or name.startswith("."):
        raise BadOption(f"color profile {name!r} is not the name of a profile")
    for ending in ("", ".icc", ".icm"):
        path = Path(directory, name + ending)
        if path.is_file():
            return str(path)
    raise BadOption(f"color profile {name!r} is not installed here")
