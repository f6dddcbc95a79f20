"""The table of `/info`'s options: a row adds one, as in `imgforge.urls.options.table`.

Documented at https://docs.imgproxy.net/usage/getting_info. Options that need features this server does not have, such
as videos or object detection, are rows too: a URL may switch them off, and gets an error that says so if it asks for
more.
"""

from __future__ import annotations

from imgforge.urls.options import argument_groups
from imgforge.urls.options.argument_types import boolean, integer
from imgforge.urls.options.option import Argument, ArgumentGroup, Option
from imgforge.urls.options.table import BY_NAME
from imgforge.urls.options.unsupported import OBJECTS, OBJECTS_POSITION, VIDEO, absent

__all__ = ["INFO_BY_NAME", "INFO_OPTIONS"]

# The rows that image URLs have as well.
_SHARED = (
    *("page", "cachebuster", "bypass_cache", "expires", "cache_tags", "hashsum"),
    *("max_src_resolution", "max_src_file_size", "video_thumbnail_second", "video_thumbnail_keyframes"),
)


_COUNT = integer(0, 256)


def _colors(argument: str) -> int:
    count = _COUNT(argument)
    if count == 1:
        raise ValueError("must be 0, or a whole number from 2 to 256, not '1'")
    return count


def _hashes(arguments: argument_groups.Arguments, _: tuple[str, ...]) -> tuple[str, ...]:
    """type:type..., each once, in the order of the URL"""
    for kind in arguments:
        if kind and kind not in argument_groups.HASHES:
            raise ValueError(f"must be among {', '.join(argument_groups.HASHES)}, not {kind!r}")
    return tuple(dict.fromkeys(kind for kind in arguments if kind))


def _flag(name: str, *aliases: str, summary: str) -> Option:
    return Option(name, aliases, (Argument(name, boolean),), summary)


INFO_OPTIONS = (
    _flag("size", "s", summary="`size`, `size_bytes`: bytes of the file; on by default"),
    _flag("format", "f", summary="`format`, `mime_type`, and the origin's own `content_type`; on by default"),
    _flag(
        "dimensions",
        "d",
        summary="`width` and `height` as it is seen, the EXIF `orientation`, `channels`, `has_alpha` and `pages`;"
        " on by default",
    ),
    Option(
        "exif",
        (),
        (Argument("exif", boolean), Argument("exif_canonical_names", boolean)),
        "`exif`, by readable or canonical names; on by default",
    ),
    _flag("iptc", summary="`iptc`, and the resolution in `photoshop`; on by default"),
    _flag("xmp", summary="`xmp`, by the prefixes of its namespaces; on by default"),
    _flag("colorspace", "cs", summary="`colorspace`: srgb, cmyk, b-w..."),
    _flag("bands", "b", summary="`bands`: how many samples a pixel has"),
    _flag("sample_format", "sf", summary="`sample_format`: uchar, ushort, float..."),
    _flag("pages_number", "pn", summary="`pages_number`: pages, or frames of an animation"),
    Option(
        "alpha",
        ("a",),
        (Argument("alpha", boolean), Argument("check_transparency", boolean)),
        "`alpha`: whether there is an alpha channel; `transparency`: whether it hides anything",
    ),
    Option(
        "crop",
        ("c",),
        (ArgumentGroup("crop", argument_groups.crop, "width:height:gravity:x:y", 64),),
        "`crop`: where that crop would lie, as fractions",
    ),
    Option("palette", ("p",), (Argument("palette", _colors),), "`palette`: up to so many RGBA colours"),
    Option(
        "average",
        ("avg",),
        (Argument("average", boolean), Argument("ignore_transparent", boolean)),
        "`average`: the mean colour, of all that is not fully transparent",
    ),
    Option(
        "dominant_colors",
        ("dc",),
        (Argument("dominant_colors", boolean), Argument("build_missed", boolean)),
        "`dominant_colors`: vibrant and muted, each also light and dark",
    ),
    Option(
        "blurhash",
        ("bh",),
        (Argument("blurhash_x", integer(0, 9)), Argument("blurhash_y", integer(0, 9))),
        "`blurhash` of so many components",
    ),
    _flag("thumb_hash", "th", summary="`thumb_hash`, hexadecimal"),
    _flag("perceptual_hash", "phash", "ph", summary="`perceptual_hash`: near for pictures that look alike"),
    Option(
        "calc_hashsums",
        ("chs",),
        (ArgumentGroup("calc_hashsums", _hashes, "type:type:...", 8),),
        "`hashsums` of the file",
    ),
    *(BY_NAME[name] for name in _SHARED),
    OBJECTS_POSITION,
    absent("video_meta", "vm", needs=VIDEO, summary="`video_meta`"),
    absent("detect_objects", "do", needs=OBJECTS, summary="`objects`"),
    absent("classify", "cl", needs="classification", summary="classes"),
)

INFO_BY_NAME = {name: option for option in INFO_OPTIONS for name in (option.name, *option.aliases)}
