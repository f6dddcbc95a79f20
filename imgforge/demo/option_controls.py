"""The controls of the playground, made from the table of options: one for each argument, in groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from imgforge.urls import OPTIONS, ArgumentKind, Option

__all__ = ["GROUPS", "option_controls", "preset_control"]

# The groups of the page, in its order, and the options of each.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Size": (
        *("resize", "size", "resizing_type", "width", "height", "min-width", "min-height", "zoom", "dpr", "enlarge"),
        "resizing_algorithm",
    ),
    "Crop and canvas": (
        *("gravity", "crop", "crop_aspect_ratio", "trim", "padding", "extend", "extend_aspect_ratio"),
        *("rotate", "flip", "auto_rotate", "round"),
    ),
    "Colour": (
        *("adjust", "brightness", "contrast", "saturation", "monochrome", "duotone", "colorize", "gradient"),
        *("background", "background_alpha"),
    ),
    "Blur and sharpness": ("blur", "sharpen", "pixelate", "unsharp_masking", "progressive_blur", "blur_areas"),
    "Watermark": (
        *("watermark", "watermark_text", "watermark_url", "watermark_size", "watermark_rotate", "watermark_shadow"),
    ),
    "Format and quality": (
        *("format", "quality", "format_quality", "autoquality", "max_bytes", "dpi"),
        *("jpeg_options", "png_options", "webp_options", "avif_options"),
    ),
    "Metadata and colour profile": (
        *("strip_metadata", "keep_copyright", "strip_color_profile", "color_profile", "preserve_hdr"),
    ),
    "Source": (
        *("page", "pages", "disable_animation", "enforce_thumbnail", "skip_processing", "raw", "style", "hashsum"),
    ),
    "Delivery": (
        *("cachebuster", "bypass_cache", "expires", "filename", "return_attachment", "cache_tags"),
        "fallback_image_url",
    ),
    "Limits": tuple(option.name for option in OPTIONS if option.kind == "security"),
    "Not in this server": tuple(option.name for option in OPTIONS if option.kind == "absent"),
}
_OTHERS = "Other"  # a row that is not in the groups yet

# Sliders of numbers without bounds, or with wide ones: least, greatest and step of what is usual.
_USUAL: Mapping[str, tuple[float, float, float]] = {
    **dict.fromkeys(("width", "height", "min_width", "min_height"), (0, 2000, 10)),
    **dict.fromkeys(("zoom_x", "zoom_y"), (0.1, 3, 0.1)),
    "dpr": (1, 4, 0.5),
    "crop_aspect_ratio": (0, 3, 0.05),
    "rotate": (0, 270, 90),
    "watermark_rotate": (0, 360, 5),
    "direction": (0, 360, 15),
    "round": (0, 200, 5),
    "threshold": (0, 100, 1),
    **dict.fromkeys(("top", "right", "bottom", "left"), (0, 200, 5)),
    **dict.fromkeys(("contrast", "saturation"), (0, 2, 0.05)),
    **dict.fromkeys(("start", "stop"), (0, 1, 0.05)),
    **dict.fromkeys(("blur", "sigma", "watermark_shadow"), (0, 20, 0.5)),
    "sharpen": (0, 5, 0.1),
    "pixelate": (0, 60, 2),
    "scale": (0, 1, 0.05),
}
_BOUNDED = 512  # numbers within bounds this far apart have a slider of their whole range


def option_controls(allowed: Collection[str], *, security: bool, bypass: bool) -> list[dict[str, Any]]:
    """The options in the order of the page, as JSON has them; *allowed* is the operator's list, empty for all.

    An option that the operator's settings refuse says which setting does in `refused`.
    """
    group_of = {name: group for group, names in GROUPS.items() for name in names}
    order = {name: place for place, name in enumerate(group_of)}
    allows = {name for option in OPTIONS for name in (option.name, *option.aliases) if name in allowed}
    controls = []
    for option in sorted(OPTIONS, key=lambda one: order.get(one.name, len(order))):
        refused = ""
        if option.kind == "absent":
            refused = "this server lacks it"
        elif option.kind == "security" and not security:
            refused = "needs IMGFORGE_ALLOW_SECURITY_OPTIONS"
        elif option.name == "bypass_cache" and not bypass:
            refused = "needs IMGFORGE_ALLOW_BYPASS_CACHE"
        elif allowed and not allows & {option.name, *option.aliases}:
            refused = "not among IMGFORGE_ALLOWED_PROCESSING_OPTIONS"
        controls.append(_control(option, group_of.get(option.name, _OTHERS), refused))
    return controls


def _control(option: Option, group: str, refused: str) -> dict[str, Any]:
    arguments = option.arguments
    return {
        "name": option.name,
        "aliases": option.aliases,
        "short": min((option.name, *option.aliases), key=len),
        "summary": option.summary.replace("`", ""),
        "group": group,
        "refused": refused,
        "usage": option.usage,
        "repeated": arguments.repeated,
        "arguments": [_argument(name, kind) for name, kind in arguments.kinds],
    }


def _argument(name: str, kind: ArgumentKind) -> dict[str, Any]:
    usual = _USUAL.get(name)
    numeric = kind.kind in {"integer", "number"}
    if usual is None and kind.low is not None and kind.high is not None and kind.high - kind.low <= _BOUNDED:
        usual = (kind.low, kind.high, 1 if kind.kind == "integer" else 0.01)
    return {
        "name": name,
        "kind": kind.kind,
        "low": kind.low,
        "high": kind.high,
        "choices": kind.choices,
        "slider": usual if numeric else None,
    }


def preset_control(names: Collection[str]) -> dict[str, Any]:
    """The control of the option `preset`, whose values are the operator's presets called *names*."""
    kind = ArgumentKind("choice", choices=tuple(names))
    return {
        "name": "preset",
        "aliases": ("pr",),
        "short": "pr",
        "summary": "a list of options that the operator has given a name",
        "group": "Presets",
        "refused": "",
        "usage": "preset",
        "repeated": 0,
        "arguments": [_argument("preset", kind)],
    }
