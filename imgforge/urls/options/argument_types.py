"""The types of option arguments: each turns text into a value, or raises ValueError with the values that it accepts.

Numbers are ASCII and finite: no exponents, no NaN, no digits of other scripts, nothing beyond the needs of a picture.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from imgforge.model import Color
from imgforge.urls.options.argument_kinds import ArgumentKind, note_kind

__all__ = [
    "CONTROL",
    "FORMATS",
    "Converter",
    "base64_bytes",
    "base64_line",
    "base64_text",
    "boolean",
    "choice",
    "color",
    "direction",
    "format_name",
    "fraction",
    "integer",
    "number",
    "positive",
    "rounding",
    "source_format",
    "text",
]

Converter = Callable[[str], object]

# The names of result formats in URLs; whether libvips can write one is checked later.
FORMATS = {
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "png": "png",
    "webp": "webp",
    "avif": "avif",
    "gif": "gif",
    "tiff": "tiff",
    "tif": "tiff",
    "heic": "heic",
    "heif": "heic",
    "bmp": "bmp",
    "ico": "ico",
    "jxl": "jxl",
    "svg": "svg",
    "best": "best",
}

# The names of source formats in URLs: those, and formats that are only read.
SOURCE_FORMATS = {name: name for name in ("pdf", "psd", "raw")} | FORMATS
del SOURCE_FORMATS["best"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})\Z")
_HEX = re.compile(r"(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z")
_BASE64 = re.compile(r"[A-Za-z0-9_-]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_LAYOUT = dict.fromkeys(map(ord, "\t\n\r"), " ")
_LARGEST = 10**9


@note_kind(ArgumentKind("boolean"))
def boolean(argument: str) -> bool:
    """True for 1, t and true; anything else is False, as in imgproxy."""
    return argument in _TRUE


def integer(low: int = 0, high: int = _LARGEST) -> Callable[[str], int]:
    """A whole number from *low* to *high*; a sign and leading zeros are allowed."""

    @note_kind(ArgumentKind("integer", low, high if high < _LARGEST else None))
    def convert(argument: str) -> int:
        if not _INTEGER.match(argument) or not low <= int(argument) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {argument!r}")
        return int(argument)

    return convert


def number(low: float = -_LARGEST, high: float = _LARGEST) -> Callable[[str], float]:
    """A decimal number from *low* to *high*."""

    @note_kind(ArgumentKind("number", low if low > -_LARGEST else None, high if high < _LARGEST else None))
    def convert(argument: str) -> float:
        if not _NUMBER.match(argument) or not low <= float(argument) <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}, not {argument!r}")
        return float(argument)

    return convert


@note_kind(ArgumentKind("number", 0, above=True))
def positive(argument: str) -> float:
    """A decimal number above 0."""
    if not _NUMBER.match(argument) or not 0 < float(argument) <= _LARGEST:
        raise ValueError(f"must be a number above 0, not {argument!r}")
    return float(argument)


_radius = number(low=0)
_degrees = number(-360000, 360000)


@note_kind(ArgumentKind("number", 0, choices=("max",)))
def rounding(argument: str) -> float:
    """A radius in pixels, or `max` (infinity) for the roundest corners."""
    return float("inf") if argument == "max" else _radius(argument)


_DIRECTIONS = {"down": 0.0, "left": 90.0, "up": 180.0, "right": 270.0}


@note_kind(ArgumentKind("number", -360000, 360000, tuple(_DIRECTIONS)))
def direction(argument: str) -> float:
    """Degrees clockwise from downwards, or down, left, up, right."""
    if argument in _DIRECTIONS:
        return _DIRECTIONS[argument]
    try:
        return _degrees(argument)
    except ValueError:
        raise ValueError(f"must be degrees or one of {', '.join(_DIRECTIONS)}, not {argument!r}") from None


fraction = number(0, 1)


def choice(*names: str) -> Callable[[str], str]:
    """One of *names*."""

    @note_kind(ArgumentKind("choice", choices=names))
    def convert(argument: str) -> str:
        if argument not in names:
            raise ValueError(f"must be one of {', '.join(names)}, not {argument!r}")
        return argument

    return convert


@note_kind(ArgumentKind("choice", choices=tuple(FORMATS)))
def format_name(argument: str) -> str:
    """The canonical name of the format that an extension stands for."""
    if argument not in FORMATS:
        raise ValueError(f"must be one of {', '.join(FORMATS)}, not {argument!r}")
    return FORMATS[argument]


@note_kind(ArgumentKind("choice", choices=tuple(SOURCE_FORMATS)))
def source_format(argument: str) -> str:
    """The canonical name of a format that sources may have."""
    if argument not in SOURCE_FORMATS:
        raise ValueError(f"must be one of {', '.join(SOURCE_FORMATS)}, not {argument!r}")
    return SOURCE_FORMATS[argument]


@note_kind(ArgumentKind("color"))
def color(argument: str) -> Color:
    """A colour of 3 or 6 hexadecimal digits."""
    if not _HEX.match(argument):
        raise ValueError(f"must be a colour of 3 or 6 hexadecimal digits, not {argument!r}")
    digits = argument if len(argument) == 6 else "".join(digit * 2 for digit in argument)
    red, green, blue = bytes.fromhex(digits)
    return Color(red, green, blue)


def text(argument: str) -> str:
    """Any text."""
    return argument


def base64_bytes(argument: str) -> bytes:
    """The bytes of URL-safe base64, padded or not; ValueError for any other text."""
    unpadded = argument.rstrip("=")
    if not _BASE64.fullmatch(unpadded):
        raise ValueError(argument)
    return base64.urlsafe_b64decode(unpadded + "=" * (-len(unpadded) % 4))


@note_kind(ArgumentKind("base64"))
def base64_text(argument: str) -> str:
    """The text of URL-safe base64 of UTF-8, padded or not; the only control characters are line breaks and tabs."""
    try:
        decoded = base64_bytes(argument).decode("utf-8")
    except ValueError:
        decoded = "\0"
    if CONTROL.search(decoded.translate(_LAYOUT)):
        raise ValueError(f"must be URL-safe base64 of UTF-8 text, not {argument!r}")
    return decoded


@note_kind(ArgumentKind("base64"))
def base64_line(argument: str) -> str:
    """As `base64_text`, but a single line, for headers and requests.

    A line break at the end, which `echo` adds before `base64`, is dropped.
    """
    decoded = base64_text(argument).rstrip("\r\n")
    if CONTROL.search(decoded):
        raise ValueError(f"must be the base64 of a single line, not {argument!r}")
    return decoded
