"""The rows of options from imgproxy Pro or the Rust imgforge: colours, overlays, encoders, pages."""

from __future__ import annotations

from imgforge.model import (
    AutoQualityOptions,
    AvifOptions,
    Colorize,
    Duotone,
    Gradient,
    JpegOptions,
    Monochrome,
    PngOptions,
    ProgressiveBlur,
    Size,
    UnsharpOptions,
    WebpOptions,
)
from imgforge.urls.options import argument_groups
from imgforge.urls.options.argument_kinds import ArgumentKind, kind_of, note_kind
from imgforge.urls.options.argument_types import (
    base64_line,
    base64_text,
    boolean,
    choice,
    color,
    direction,
    fraction,
    integer,
    number,
    positive,
    rounding,
    text,
)
from imgforge.urls.options.option import Argument, ArgumentGroup, Option

__all__ = ["EFFECTS"]

_SIGMA = number(low=0)
_FACTOR = number(low=0)
_PLACE = number(-1000, 1000)  # a fraction of the way across the picture; an effect may begin or end outside it
_PIXELS = integer()
_QUALITY = integer(1, 100)

_BRIGHTNESS = Argument("brightness", integer(-255, 255))
_CONTRAST = Argument("contrast", _FACTOR)
_SATURATION = Argument("saturation", _FACTOR)


@note_kind(ArgumentKind("choice", choices=("lossy", "near_lossless", "lossless")))
def _webp_compression(argument: str) -> str:
    """imgproxy's words, or the Rust imgforge's yes or no to "lossless"."""
    if argument in {"lossy", "near_lossless", "lossless"}:
        return argument
    return "lossless" if boolean(argument) else "lossy"


@note_kind(ArgumentKind("choice", choices=("auto", "on", "off")))
def _avif_subsample(argument: str) -> str:
    """imgproxy's words, or the Rust imgforge's yes or no to "no subsampling"."""
    if argument in {"auto", "on", "off"}:
        return argument
    return "off" if boolean(argument) else "auto"


_METHODS = choice("none", "size", "dssim")


@note_kind(kind_of(_METHODS))
def _method(argument: str) -> str:
    """A method of the search for a quality."""
    if argument == "ml":
        raise ValueError("the method ml is not supported by this server: it needs trained networks; dssim comes near")
    return _METHODS(argument)


EFFECTS = (
    Option("adjust", ("a",), (_BRIGHTNESS, _CONTRAST, _SATURATION), "brightness, contrast and saturation in one"),
    Option("brightness", ("br",), (_BRIGHTNESS,), "from -255 to 255"),
    Option("contrast", ("co",), (_CONTRAST,), "1 changes nothing"),
    Option("saturation", ("sa",), (_SATURATION,), "0 is grey, 1 changes nothing"),
    Option("background_alpha", ("bga",), (Argument("background_alpha", fraction),), "how opaque the background is"),
    Option(
        "monochrome",
        ("mc",),
        (ArgumentGroup("monochrome", argument_groups.record(Monochrome, fraction, color), "intensity:color", 2),),
        "shades of one colour",
    ),
    Option(
        "duotone",
        ("dt",),
        (ArgumentGroup("duotone", argument_groups.record(Duotone, fraction, color, color), "intensity:dark:light", 3),),
        "from one colour to another",
    ),
    Option(
        "colorize",
        ("col",),
        (
            ArgumentGroup(
                "colorize", argument_groups.record(Colorize, fraction, color, boolean), "opacity:color:keep_alpha", 3
            ),
        ),
        "blends a colour over the picture",
    ),
    Option(
        "gradient",
        ("gr",),
        (
            ArgumentGroup(
                "gradient",
                argument_groups.record(Gradient, fraction, color, direction, _PLACE, _PLACE),
                "opacity:color:direction:start:stop",
                5,
            ),
        ),
        "blends a colour over the picture that comes up gradually",
    ),
    Option(
        "unsharp_masking",
        ("ush",),
        (
            ArgumentGroup(
                "unsharp_masking",
                argument_groups.record(UnsharpOptions, choice("auto", "none", "always"), positive, positive),
                "mode:weight:divider",
                3,
            ),
        ),
        "sharpens a little after shrinking",
    ),
    Option(
        "blur_areas",
        ("ba",),
        (ArgumentGroup("blur_areas", argument_groups.blur_areas, "sigma:left:top:width:height:...", 401),),
        "blurs areas of the source, in fractions of its sides",
    ),
    Option(
        "progressive_blur",
        ("pbl",),
        (
            ArgumentGroup(
                "progressive_blur",
                argument_groups.record(ProgressiveBlur, _SIGMA, direction, _PLACE, _PLACE),
                "sigma:direction:start:stop",
                4,
            ),
        ),
        "a blur that grows across the picture",
    ),
    Option(
        "round", ("rc",), (Argument("round", rounding),), "transparent corners of this radius; max for a full round"
    ),
    Option(
        "crop_aspect_ratio",
        ("crop_ar", "car"),
        (Argument("crop_aspect_ratio", _FACTOR), Argument("crop_aspect_ratio_enlarge", boolean)),
        "corrects the crop to this width over height",
    ),
    Option(
        "watermark_url", ("wmu",), (Argument("watermark_url", base64_line),), "another watermark (base64 of its URL)"
    ),
    Option("watermark_text", ("wmt",), (Argument("watermark_text", base64_text),), "a text as watermark (base64)"),
    Option(
        "watermark_size",
        ("wms",),
        (ArgumentGroup("watermark_size", argument_groups.record(Size, _PIXELS, _PIXELS), "width:height", 2),),
        "fits the watermark into this size in pixels",
    ),
    Option(
        "watermark_rotate",
        ("wm_rot", "wmr"),
        (Argument("watermark_rotate", number(-360000, 360000)),),
        "rotates the watermark clockwise, in degrees",
    ),
    Option(
        "watermark_shadow",
        ("wmsh",),
        (Argument("watermark_shadow", _SIGMA),),
        "a shadow below the watermark, of this sigma",
    ),
    Option("style", ("st",), (Argument("style", base64_text),), "CSS put into an SVG source (base64)"),
    Option(
        "autoquality",
        ("aq",),
        (
            ArgumentGroup(
                "autoquality",
                argument_groups.record(AutoQualityOptions, _method, positive, _QUALITY, _QUALITY, number(low=0)),
                "method:target:min:max:allowed_error",
                5,
            ),
        ),
        "searches the quality for a size in bytes or a similarity",
    ),
    Option(
        "jpeg_options",
        ("jpgo",),
        (
            ArgumentGroup(
                "jpeg_options",
                argument_groups.record(JpegOptions, boolean, boolean, boolean, boolean, boolean, integer(0, 8)),
                "progressive:no_subsample:trellis_quant:overshoot_deringing:optimize_scans:quant_table",
                6,
            ),
        ),
        "tunes the JPEG encoder",
    ),
    Option(
        "png_options",
        ("pngo",),
        (
            ArgumentGroup(
                "png_options",
                argument_groups.record(PngOptions, boolean, boolean, integer(2, 256)),
                "interlaced:quantize:colors",
                3,
            ),
        ),
        "tunes the PNG encoder",
    ),
    Option(
        "webp_options",
        ("webpo",),
        (
            ArgumentGroup(
                "webp_options",
                argument_groups.record(WebpOptions, _webp_compression, boolean, text),
                "compression:smart_subsample:preset",
                3,
            ),
        ),
        "tunes the WebP encoder",
    ),
    Option(
        "avif_options",
        ("avifo",),
        (ArgumentGroup("avif_options", argument_groups.record(AvifOptions, _avif_subsample), "subsample", 1),),
        "tunes the AVIF encoder",
    ),
    Option("dpi", (), (Argument("dpi", number(0, 100000)),), "the resolution that the file states, in dots per inch"),
    Option(
        "color_profile",
        ("cp", "icc"),
        (Argument("color_profile", text),),
        "converts to srgb, cmyk or a profile on disk",
    ),
    Option(
        "hashsum",
        ("hs",),
        (ArgumentGroup("hashsum", argument_groups.hashsum, "type:hashsum", 2),),
        "the source must have this hash: md5, sha1, sha256 or sha512",
    ),
    Option(
        "cache_tags",
        ("ct",),
        (ArgumentGroup("cache_tags", argument_groups.tags, "tag:tag:...", 64),),
        "tags for purging, also sent in a header",
        kind="delivery",
    ),
    Option(
        "fallback_image_url",
        ("fiu",),
        (Argument("fallback_image_url", base64_line),),
        "the image to serve where the source cannot be fetched (base64 of its URL)",
        kind="delivery",
    ),
    Option("page", ("pg",), (Argument("page", integer(0, 100000)),), "the page or frame to take, from 0 on"),
    Option(
        "pages", ("pgs",), (Argument("pages", integer(1, 1000)),), "how many pages to take, stacked below one another"
    ),
    Option(
        "disable_animation", ("da",), (Argument("disable_animation", boolean),), "makes a still image of an animation"
    ),
)
