"""The table of options of image URLs: a row adds one; the parser, the documentation and the tests read it.

A row has the option's name, its aliases, its arguments, and the fields that they set. `Argument(field, converter)` is
one argument that sets one field, `ArgumentGroup(field, function)` several that make one value. Meta-options are rows
that set the fields of other rows. Documented at
https://docs.imgproxy.net/usage/processing and in the Rust imgforge's doc/5_processing_options.md.
"""

from __future__ import annotations

from imgforge.urls.options import argument_groups
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
from imgforge.urls.options.option import Argument, ArgumentGroup, Option
from imgforge.urls.options.unsupported import ABSENT

__all__ = ["BY_NAME", "OPTIONS", "PRESET_NAMES"]


_pixels = integer()
_sigma = number(low=0)
_megapixels = number(low=0)

_TYPE = Argument("resizing_type", choice("fit", "fill", "fill-down", "force", "auto"))
_WIDTH = Argument("width", _pixels)
_HEIGHT = Argument("height", _pixels)
_ENLARGE = Argument("enlarge", boolean)
_EXTEND = ArgumentGroup("extend", argument_groups.extend, "extend:gravity:x:y", 4)
_EXTEND_ALONE = ArgumentGroup("extend", argument_groups.extend_alone, "extend:gravity:x:y", 4)

OPTIONS = (
    Option("resize", ("rs",), (_TYPE, _WIDTH, _HEIGHT, _ENLARGE, _EXTEND), "resizing type and size in one"),
    Option("size", ("s",), (_WIDTH, _HEIGHT, _ENLARGE, _EXTEND), "the size in one"),
    Option(
        "resizing_type", ("rt",), (_TYPE,), "how the image is resized to the size: fit, fill, fill-down, force or auto"
    ),
    Option(
        "resizing_algorithm",
        ("ra",),
        (Argument("resizing_algorithm", choice("nearest", "linear", "cubic", "lanczos2", "lanczos3")),),
        "the resampling kernel",
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
        "multiplies the size; one number applies to both sides",
        finish=argument_groups.both_sides,
    ),
    Option("dpr", (), (Argument("dpr", positive),), "multiplies the size, offsets and padding for dense screens"),
    Option("enlarge", ("el",), (_ENLARGE,), "small images may grow"),
    Option("extend", ("ex",), (_EXTEND_ALONE,), "extends the canvas to the requested size"),
    Option(
        "extend_aspect_ratio",
        ("extend_ar", "exar"),
        (ArgumentGroup("extend_aspect_ratio", argument_groups.extend_alone, "extend:gravity:x:y", 4),),
        "extends the canvas to the requested aspect ratio",
    ),
    Option(
        "gravity",
        ("g",),
        (ArgumentGroup("gravity", argument_groups.gravity, "type:x:y", 64),),
        "the part that a crop keeps: an edge, a corner, ce, fp:x:y or sm",
    ),
    Option(
        "crop",
        ("c",),
        (ArgumentGroup("crop", argument_groups.crop, "width:height:gravity:x:y", 64),),
        "crops the source first; sides below 1 are fractions",
    ),
    Option(
        "trim",
        ("t",),
        (ArgumentGroup("trim", argument_groups.trim, "threshold:color:equal_hor:equal_ver", 4),),
        "removes a border of one colour",
    ),
    Option(
        "padding",
        ("pd",),
        (ArgumentGroup("padding_sides", argument_groups.padding_sides, "top:right:bottom:left", 4),),
        "adds space around the result, as in CSS",
        finish=argument_groups.padding,
    ),
    Option("auto_rotate", ("ar",), (Argument("auto_rotate", boolean),), "applies the EXIF orientation"),
    Option(
        "rotate",
        ("rot",),
        (Argument("rotate", integer(-360000, 360000)),),
        "rotates clockwise by a multiple of 90 degrees",
        finish=argument_groups.quarter_turns,
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
        (ArgumentGroup("background", argument_groups.background, "hex or R:G:B", 3),),
        "fills what is transparent; two more digits are its alpha",
        finish=argument_groups.background_alpha,
    ),
    Option("blur", ("bl",), (Argument("blur", _sigma),), "Gaussian blur of this sigma"),
    Option("sharpen", ("sh",), (Argument("sharpen", _sigma),), "sharpens with this sigma"),
    Option("pixelate", ("pix",), (Argument("pixelate", _pixels),), "blocks of this size"),
    Option(
        "watermark",
        ("wm",),
        (
            ArgumentGroup("watermark", argument_groups.watermark, "opacity:position:x:y:scale", 7),
        ),  # imgproxy ignores two more
        "puts the operator's watermark over the result",
    ),
    Option(
        "quality",
        ("q",),
        (Argument("quality", integer(0, 100)),),
        "quality of lossy formats, 1 to 100; 0 is the default",
    ),
    Option(
        "format_quality",
        ("fq",),
        (ArgumentGroup("format_quality", argument_groups.format_quality, "format:quality:...", 64),),
        "quality by format",
    ),
    Option("format", ("f", "ext"), (Argument("format", format_name),), "the result's format"),
    Option(
        "max_bytes",
        ("mb",),
        (Argument("max_bytes", integer()),),
        "lowers the quality until the result has at most this many bytes",
    ),
    Option("strip_metadata", ("sm",), (Argument("strip_metadata", boolean),), "removes EXIF, IPTC and XMP"),
    Option("keep_copyright", ("kcr",), (Argument("keep_copyright", boolean),), "strips metadata except the copyright"),
    Option("strip_color_profile", ("scp",), (Argument("strip_color_profile", boolean),), "converts to sRGB"),
    Option("preserve_hdr", ("ph",), (Argument("preserve_hdr", boolean),), "keeps 16 bits where the format can"),
    Option("enforce_thumbnail", ("eth",), (Argument("enforce_thumbnail", boolean),), "uses the embedded thumbnail"),
    Option(
        "skip_processing",
        ("skp",),
        (ArgumentGroup("skip_processing", argument_groups.formats, "format:format:...", 32),),
        "serves sources of these formats unprocessed",
    ),
    Option("raw", (), (Argument("raw", boolean),), "streams the source unprocessed", kind="delivery"),
    Option(
        "cachebuster",
        ("cb",),
        (Argument("cachebuster", text),),
        "changes the URL and so the cache key, nothing else",
        kind="delivery",
    ),
    Option(
        "bypass_cache",
        ("bc",),
        (Argument("bypass_cache", boolean),),
        "fetches and processes anew, past all caches (needs `IMGFORGE_ALLOW_BYPASS_CACHE`)",
        kind="delivery",
    ),
    Option(
        "expires",
        ("exp",),
        (Argument("expires", integer(-(10**15), 10**15)),),
        "the URL expires at this Unix time",
        kind="delivery",
    ),
    Option(
        "filename",
        ("fn",),
        (ArgumentGroup("filename", argument_groups.filename, "name:encoded", 2),),
        "the file name for saving",
        kind="delivery",
    ),
    Option(
        "return_attachment",
        ("att",),
        (Argument("return_attachment", boolean),),
        "asks the browser to save the image",
        kind="delivery",
    ),
    Option(
        "max_src_resolution",
        ("msr",),
        (Argument("max_src_resolution", _megapixels),),
        "largest source, in megapixels",
        kind="security",
    ),
    Option(
        "max_src_file_size",
        ("msfs",),
        (Argument("max_src_file_size", integer()),),
        "largest source file, in bytes",
        kind="security",
    ),
    Option(
        "max_animation_frames",
        ("maf",),
        (Argument("max_animation_frames", integer(1)),),
        "most frames of an animation",
        kind="security",
    ),
    Option(
        "max_animation_frame_resolution",
        ("mafr",),
        (Argument("max_animation_frame_resolution", _megapixels),),
        "largest frame of an animation, in megapixels",
        kind="security",
    ),
    Option(
        "max_result_dimension",
        ("mrd",),
        (Argument("max_result_dimension", integer()),),
        "longest side of the result, in pixels",
        kind="security",
    ),
    *EFFECTS,
    *ABSENT,
)

# The arguments of `preset` name lists of options; the parser expands them.
PRESET_NAMES = ("preset", "pr")

BY_NAME = {name: option for option in OPTIONS for name in (option.name, *option.aliases)}
