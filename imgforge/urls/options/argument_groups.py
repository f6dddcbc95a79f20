"""Groups of arguments that make one value: each function turns (arguments, value set before) into the new value.

An empty argument keeps its part of the value set before, as in imgproxy. A ValueError's message may go to a client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

from imgforge.model import BlurAreas, Color, Crop, Extend, Gravity, Padding, Trim, Watermark
from imgforge.urls.options.argument_kinds import takes
from imgforge.urls.options.argument_types import (
    base64_line,
    boolean,
    choice,
    color,
    format_name,
    fraction,
    integer,
    number,
    source_format,
    text,
)
from imgforge.urls.options.unsupported import OBJECTS

__all__ = [
    "background",
    "background_alpha",
    "blur_areas",
    "both_sides",
    "crop",
    "extend",
    "extend_alone",
    "filename",
    "format_quality",
    "formats",
    "gravity",
    "hashsum",
    "padding",
    "padding_sides",
    "quarter_turns",
    "record",
    "tags",
    "trim",
    "watermark",
]

Arguments = Sequence[str]

PLACES = ("no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce")
_ANY_GRAVITY = choice(*PLACES, "fp", "sm")
_CANVAS_GRAVITY = choice(*PLACES, "fp")
_POSITION = choice(*PLACES, "re", "ch")
_OFFSET = number()
_SIDE = number(low=0)
_BYTE = integer(0, 255)
_PIXELS = integer()
_QUALITY = integer(0, 100)
_TAG = re.compile(r"[!-+\--~]{0,128}")
# Each side of a padding, and the side whose value it takes where it is left out.
_FILLED_FROM = {"top": "top", "right": "top", "bottom": "top", "left": "right"}
HASHES = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_HASH = choice("none", *HASHES)


def _place(arguments: Arguments, current: Gravity, allowed: Callable[[str], str] = _ANY_GRAVITY) -> Gravity:
    """A gravity from its type and offsets; a part that is left out keeps its value, as in imgproxy."""
    if not any(arguments):
        return current
    arguments = [arguments[0] or current.type, *arguments[1:]]
    if arguments[0] in {"obj", "objw"}:
        raise ValueError(f"the gravity {arguments[0]} is not supported by this server: it needs {OBJECTS}")
    kind = allowed(arguments[0]) if arguments[0] else ""
    if len(arguments) > 3:
        raise ValueError(f"a gravity takes at most 3 arguments (type:x:y), not {len(arguments)}")
    if kind == "sm":
        if any(arguments[1:]):
            raise ValueError("the smart gravity takes no offsets")
        return Gravity("sm")
    if kind == "fp" and len(arguments) != 3:
        raise ValueError("the focus point needs two numbers from 0 to 1")
    number_of = fraction if kind == "fp" else _OFFSET
    x, y = ([*arguments[1:3], "", ""])[:2]
    return Gravity(kind, number_of(x) if x else current.x, number_of(y) if y else current.y)


@takes(type=_ANY_GRAVITY, x=_OFFSET, y=_OFFSET)
def gravity(arguments: Arguments, current: Gravity) -> Gravity:
    """type:x:y"""
    return _place(arguments, current)


@takes(extend=boolean, gravity=_CANVAS_GRAVITY, x=_OFFSET, y=_OFFSET)
def extend(arguments: Arguments, current: Extend) -> Extend:
    """enabled:type:x:y; with an empty first argument nothing changes"""
    if not arguments[0]:
        return current
    return Extend(boolean(arguments[0]), _place(arguments[1:], current.gravity, _CANVAS_GRAVITY))


@takes(extend=boolean, gravity=_CANVAS_GRAVITY, x=_OFFSET, y=_OFFSET)
def extend_alone(arguments: Arguments, current: Extend) -> Extend:
    """The same for an option of its own: with an empty first argument it is off, as any switch."""
    return extend(arguments if arguments[0] else ["0", *arguments[1:]], current)


@takes(width=_SIDE, height=_SIDE, gravity=_ANY_GRAVITY, x=_OFFSET, y=_OFFSET)
def crop(arguments: Arguments, current: Crop | None) -> Crop:
    """width:height:type:x:y"""
    result = current or Crop()
    if arguments[0]:
        result = replace(result, width=_SIDE(arguments[0]))
    if len(arguments) > 1 and arguments[1]:
        result = replace(result, height=_SIDE(arguments[1]))
    if any(arguments[2:]):
        result = replace(result, gravity=_place(arguments[2:], result.gravity or Gravity("")))
    return result


@takes(top=_PIXELS, right=_PIXELS, bottom=_PIXELS, left=_PIXELS)
def padding_sides(arguments: Arguments, current: dict[str, int]) -> dict[str, int]:
    """top:right:bottom:left; a missing side takes the value of another as in CSS, if that was ever set"""
    sides = dict(current)
    for (name, filled_from), argument in zip(_FILLED_FROM.items(), [*arguments, "", "", ""], strict=False):
        if argument:
            sides[name] = _PIXELS(argument)
        elif filled_from in sides:
            sides[name] = sides[filled_from]
    return sides


def padding(_: Arguments, values: dict[str, Any]) -> None:
    """Set the padding from the sides that were set; the others are 0."""
    values["padding"] = Padding(**values["padding_sides"])


_DIGITS = re.compile("(?:[0-9a-fA-F]{3}){0,2}|[0-9a-fA-F]{8}")  # of a background, with its opacity or none


@takes(color=color)
def background(arguments: Arguments, _: Color | None) -> Color | None:
    """hex, or red:green:blue; empty for no background. The last two of eight digits are `background_alpha`"""
    if len(arguments) == 3:
        return Color(*(_BYTE(argument) for argument in arguments))
    if len(arguments) == 2:
        raise ValueError("must be hexadecimal digits or three numbers from 0 to 255")
    digits = arguments[0]
    if not _DIGITS.fullmatch(digits):
        raise ValueError(f"must be 3, 6 or 8 hexadecimal digits, or red:green:blue, not {digits!r}")
    return color(digits[:6] if len(digits) == 8 else digits) if digits else None


def background_alpha(arguments: Arguments, values: dict[str, Any]) -> None:
    """Set the background's opacity from the last two of eight digits."""
    if len(arguments) == 1 and len(arguments[0]) == 8:
        values["background_alpha"] = color("0000" + arguments[0][6:]).blue / 255


def both_sides(arguments: Arguments, values: dict[str, Any]) -> None:
    """Apply a single zoom to both sides."""
    if len(arguments) == 1 and arguments[0]:
        values["zoom_y"] = values["zoom_x"]


def quarter_turns(_: Arguments, values: dict[str, Any]) -> None:
    """Normalise the angle to 0, 90, 180 or 270."""
    angle = values.get("rotate", 0)
    if angle % 90:
        raise ValueError("the angle must be a multiple of 90")
    values["rotate"] = angle % 360


@takes(threshold=_SIDE, color=color, equal_hor=boolean, equal_ver=boolean)
def trim(arguments: Arguments, current: Trim | None) -> Trim | None:
    """threshold:colour:equal_hor:equal_ver; an empty threshold trims nothing"""
    threshold, colour, horizontal, vertical = [*arguments, "", "", ""][:4]
    if not threshold:
        return None
    before = current or Trim(0)
    return Trim(
        _SIDE(threshold),
        color(colour) if colour else None,
        boolean(horizontal) if horizontal else before.equal_horizontal,
        boolean(vertical) if vertical else before.equal_vertical,
    )


@takes(2, format=format_name, quality=_QUALITY)
def format_quality(arguments: Arguments, current: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """format:quality:format:quality..., added to the pairs set before"""
    if len(arguments) % 2:
        raise ValueError("must be pairs of a format and a quality")
    pairs = dict(current)
    for name, quality in zip(arguments[::2], arguments[1::2], strict=True):
        pairs[format_name(name)] = _QUALITY(quality)
    return tuple(sorted(pairs.items()))


@takes(1, format=source_format)
def formats(arguments: Arguments, current: tuple[str, ...]) -> tuple[str, ...]:
    """format:format... of sources, added to those set before"""
    return tuple(sorted({*current, *(source_format(argument) for argument in arguments if argument)}))


@takes(name=text, encoded=boolean)
def filename(arguments: Arguments, _: str | None) -> str | None:
    """name:encoded"""
    encoded = len(arguments) > 1 and boolean(arguments[1])
    return (base64_line(arguments[0]) if encoded else arguments[0]) or None


@takes(4, sigma=_SIDE, left=fraction, top=fraction, width=fraction, height=fraction)
def blur_areas(arguments: Arguments, _: BlurAreas) -> BlurAreas:
    """sigma:left:top:width:height:..., as fractions of the source"""
    sigma, *numbers = arguments
    if len(numbers) % 4:
        raise ValueError("must be a sigma and areas of four numbers each")
    parts = [fraction(part) for part in numbers]
    areas = tuple((parts[at], parts[at + 1], parts[at + 2], parts[at + 3]) for at in range(0, len(parts), 4))
    return BlurAreas(_SIDE(sigma) if sigma else 0.0, areas)


@takes(type=_HASH, hashsum=text)
def hashsum(arguments: Arguments, _: tuple[str, str] | None) -> tuple[str, str] | None:
    """type:hashsum"""
    kind, digits = [*arguments, ""][:2]
    if kind in {"", "none"}:
        return None
    length = HASHES.get(kind)
    if length is None:
        raise ValueError(f"the type must be none or one of {', '.join(HASHES)}, not {kind!r}")
    if not re.fullmatch("[0-9a-fA-F]{1,128}", digits):  # a hash of another length is well-formed, and matches no source
        raise ValueError(f"the hash must be {length} hexadecimal digits, not {digits!r}")
    return kind, digits.lower()


@takes(1, tag=text)
def tags(arguments: Arguments, current: tuple[str, ...]) -> tuple[str, ...]:
    """tag:tag..., added to those set before"""
    for tag in arguments:
        if not _TAG.fullmatch(tag):
            raise ValueError(f"tags are at most 128 ASCII characters without blanks and commas, not {tag!r}")
    return (*current, *(tag for tag in arguments if tag))


def record(kind: type[Any], *converters: Callable[[str], object]) -> Callable[[Arguments, Any], Any]:
    """The function for arguments that are the fields of a frozen record, in order; an empty one keeps its field."""
    names = [one.name for one in fields(kind)]

    @takes(**dict(zip(names, converters, strict=False)))
    def make(arguments: Arguments, current: Any) -> Any:
        parts = zip(names, converters, arguments, strict=False)
        changes = {name: convert(argument) for name, convert, argument in parts if argument}
        return replace(current if current is not None else kind(), **changes)

    return make


# opacity:position:x:y:scale
watermark = record(Watermark, fraction, _POSITION, _OFFSET, _OFFSET, _SIDE)
