"""The table of processing options: one row adds one; the parser, the documentation and the tests read it.

A row names the option, its aliases, its arguments, and the fields that they set. Where one argument sets one field
the row says `Argument(field, converter)`; where several make one value together it says `Together(field, function)`.
Meta-options are rows that set the fields of others. Documented at
https://docs.imgproxy.net/usage/processing and in the Rust imgforge's doc/5_processing_options.md.
"""

from __future__ import annotations

from imgforge.urls.options import composite
from imgforge.urls.options.argument_types import (
    boolean,
    choice,
    format_name,
    integer,
    number,
    positive,
    text,
)
from imgforge.urls.options.effects_table import EFFECTS
from imgforge.urls.options.option import Argument, Option, Together
from imgforge.urls.options.unsupported import ABSENT

__all__ = ["BY_NAME", "OPTIONS", "PRESET_NAMES", "Argument", "Option", "Together"]


_pixels = integer()
_sigma = number(low=0)
_megapixels = number(low=0)

_TYPE = Argument("resizing_type", choice("fit", "fill", "fill-down", "force", "auto"))
_WIDTH = Argument("width", _pixels)
_HEIGHT = Argument("height", _pixels)
_ENLARGE = Argument("enlarge", boolean)
_EXTEND = Together("extend", composite.extend, "extend:gravity:x:y", 4)
_EXTEND_ALONE = Together("extend", composite.extend_alone, "extend:gravity:x:y", 4)

OPTIONS = (
    Option("resize", ("rs",), (_TYPE, _WIDTH, _HEIGHT, _ENLARGE, _EXTEND), "resizing type and size in one"),
    Option("size", ("s",), (_WIDTH, _HEIGHT, _ENLARGE, _EXTEND), "the size in one"),
    Option("resizing_type", ("rt",), (_TYPE,), "how the image comes to the size: fit, fill, fill-down, force or auto"),
    Option(
        "resizing_algorithm",
        ("ra",),
        (Argument("resizing_algorithm", choice("nearest", "linear", "cubic", "lanczos2", "lanczos3")),),
        "the kernel that pixels are resampled with",
    ),
    Option("width", ("w",), (_WIDTH,), "width in pixels; 0 follows from the height"),
    Option("height", ("h",), (_HEIGHT,), "height in pixels; 0 follows from the width"),
    Option(
        "min-width", ("mw", "min_width"), (Argument("min_width", _pixels),), "the result is enlarged to at least this"
    ),
    Option(
        "min-height",
        ("mh", "min_height"),
        (Argument("min_height", _pixels),),
        "the result is enlarged to at least this",
    ),
    Option(
        "zoom",
        ("z",),
        (Argument("zoom_x", positive), Argument("zoom_y", positive)),
        "multiplies the size; one number is for both sides",
        finish=composite.both_sides,
    ),
    Option("dpr", (), (Argument("dpr", positive),), "multiplies the size, offsets and padding for dense screens"),
    Option("enlarge", ("el",), (_ENLARGE,), "small images may grow"),
    Option("extend", ("ex",), (_EXTEND_ALONE,), "the canvas grows to the size asked for"),
    Option(
        "extend_aspect_ratio",
        ("extend_ar", "exar"),
        (Together("extend_aspect_ratio", composite.extend_alone, "extend:gravity:x:y", 4),),
        "the canvas grows to the aspect ratio asked for",
    ),
    Option(
        "gravity",
        ("g",),
        (Together("gravity", composite.gravity, "type:x:y", 64),),
        "what stays when something is cut: an edge, a corner, ce, fp:x:y or sm",
    ),
    Option(
        "crop",
        ("c",),
        (Together("crop", composite.crop, "width:height:gravity:x:y", 64),),
        "takes a part of the source first; sides below 1 are fractions",
    ),
    Option(
        "trim",
        ("t",),
        (Together("trim", composite.trim, "threshold:color:equal_hor:equal_ver", 4),),
        "removes a border of one colour",
    ),
    Option(
        "padding",
        ("pd",),
        (Together("padding_sides", composite.padding_sides, "top:right:bottom:left", 4),),
        "adds space around the result, as in CSS",
        finish=composite.padding,
    ),
    Option("auto_rotate", ("ar",), (Argument("auto_rotate", boolean),), "obeys the EXIF orientation"),
    Option(
        "rotate",
        ("rot",),
        (Argument("rotate", integer(-360000, 360000)),),
        "turns clockwise by a multiple of 90 degrees",
        finish=composite.quarter_turns,
    ),
    Option(
        "flip",
        ("fl",),
        (Argument("flip_horizontal", boolean), Argument("flip_vertical", boolean)),
        "mirrors left and right, up and down",
    ),
    Option(
        "background",
        ("bg",),
        (Together("background", composite.background, "hex or R:G:B", 3),),
        "fills what is transparent; two more digits are its alpha",
        finish=composite.background_alpha,
    ),
    Option("blur", ("bl",), (Argument("blur", _sigma),), "Gaussian blur of this sigma"),
    Option("sharpen", ("sh",), (Argument("sharpen", _sigma),), "sharpens with this sigma"),
    Option("pixelate", ("pix",), (Argument("pixelate", _pixels),), "blocks of this size"),
    Option(
        "watermark",
        ("wm",),
        (Together("watermark", composite.watermark, "opacity:position:x:y:scale", 7),),  # imgproxy passes over two more
        "lays the operator's watermark over the result",
    ),
    Option("quality", ("q",), (Argument("quality", integer(0, 100)),), "of lossy formats; 0 is the default's"),
    Option(
        "format_quality",
        ("fq",),
        (Together("format_quality", composite.format_quality, "format:quality:...", 64),),
        "quality by format",
    ),
    Option("format", ("f", "ext"), (Argument("format", format_name),), "the result's format"),
    Option(
        "max_bytes", ("mb",), (Argument("max_bytes", integer()),), "lowers the quality until the result is this small"
    ),
    Option("strip_metadata", ("sm",), (Argument("strip_metadata", boolean),), "removes EXIF, IPTC and XMP"),
    Option("keep_copyright", ("kcr",), (Argument("keep_copyright", boolean),), "but for the copyright"),
    Option("strip_color_profile", ("scp",), (Argument("strip_color_profile", boolean),), "converts to sRGB"),
    Option("preserve_hdr", ("ph",), (Argument("preserve_hdr", boolean),), "keeps 16 bits where the format can"),
    Option("enforce_thumbnail", ("eth",), (Argument("enforce_thumbnail", boolean),), "uses the embedded thumbnail"),
    Option(
        "skip_processing",
        ("skp",),
        (Together("skip_processing", composite.formats, "format:format:...", 32),),
        "sources of these formats are served as they are",
    ),
    Option("raw", (), (Argument("raw", boolean),), "streams the source as it is", kind="delivery"),
    Option("cachebuster", ("cb",), (Argument("cachebuster", text),), "makes another URL of the same", kind="delivery"),
    Option(
        "bypass_cache",
        ("bc",),
        (Argument("bypass_cache", boolean),),
        "fetches and makes it anew, past all caches (needs `IMGFORGE_ALLOW_BYPASS_CACHE`)",
        kind="delivery",
    ),
    Option(
        "expires",
        ("exp",),
        (Argument("expires", integer(-(10**15), 10**15)),),
        "the URL dies then (Unix time)",
        kind="delivery",
    ),
    Option(
        "filename",
        ("fn",),
        (Together("filename", composite.filename, "name:encoded", 2),),
        "the name that it is saved under",
        kind="delivery",
    ),
    Option(
        "return_attachment",
        ("att",),
        (Argument("return_attachment", boolean),),
        "asks the browser to save it",
        kind="delivery",
    ),
    Option(
        "max_src_resolution", ("msr",), (Argument("max_src_resolution", _megapixels),), "megapixels", kind="security"
    ),
    Option("max_src_file_size", ("msfs",), (Argument("max_src_file_size", integer()),), "bytes", kind="security"),
    Option(
        "max_animation_frames", ("maf",), (Argument("max_animation_frames", integer(1)),), "frames", kind="security"
    ),
    Option(
        "max_animation_frame_resolution",
        ("mafr",),
        (Argument("max_animation_frame_resolution", _megapixels),),
        "megapixels of one frame",
        kind="security",
    ),
    Option("max_result_dimension", ("mrd",), (Argument("max_result_dimension", integer()),), "pixels", kind="security"),
    *EFFECTS,
    *ABSENT,
)

# `preset` names other lists of options rather than a value; the parser expands it.
PRESET_NAMES = ("preset", "pr")

BY_NAME = {name: option for option in OPTIONS for name in (option.name, *option.aliases)}
