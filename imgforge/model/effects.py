"""The values of options that change colours, blur in places, overlay, or tune an encoder; see `imgforge.model`.

Fractions are 0..1 of the side that they belong to; angles are degrees, clockwise; None in a record called Options means
that the URL does not say, so that the operator's record decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "AutoQuality",
    "AutoQualityOptions",
    "AvifOptions",
    "BlurAreas",
    "Color",
    "Colorize",
    "Duotone",
    "Gradient",
    "JpegOptions",
    "Monochrome",
    "PngOptions",
    "ProgressiveBlur",
    "Unsharp",
    "UnsharpOptions",
    "WebpOptions",
]


@dataclass(frozen=True, slots=True)
class Color:
    """An sRGB colour, 0..255 each."""

    red: int
    green: int
    blue: int


@dataclass(frozen=True, slots=True)
class Monochrome:
    """Shades of one colour, mixed in by `intensity`."""

    intensity: float = 0.0
    color: Color = Color(0xB3, 0xB3, 0xB3)


@dataclass(frozen=True, slots=True)
class Duotone:
    """Two colours, for the dark and the light, mixed in by `intensity`."""

    intensity: float = 0.0
    dark: Color = Color(0, 0, 0)
    light: Color = Color(255, 255, 255)


@dataclass(frozen=True, slots=True)
class Unsharp:
    """A 3x3 sharpening; `mode` is auto (after shrinking, unless `sharpen` is set), none or always."""

    mode: str = "none"
    weight: float = 1.0
    divider: float = 24.0


@dataclass(frozen=True, slots=True)
class UnsharpOptions:
    """What a URL changes of it."""

    mode: str | None = None
    weight: float | None = None
    divider: float | None = None


@dataclass(frozen=True, slots=True)
class BlurAreas:
    """Areas (left, top, width, height as fractions of the source as it is seen) that are blurred."""

    sigma: float = 0.0
    areas: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ProgressiveBlur:
    """A blur that grows from nothing at `start` to `sigma` at `stop`; direction 0 is downwards, 90 to the left."""

    sigma: float = 0.0
    direction: float = 0.0
    start: float = 0.0
    stop: float = 1.0


@dataclass(frozen=True, slots=True)
class Colorize:
    """A colour laid over everything; with `keep_alpha` only over what was visible."""

    opacity: float = 0.0
    color: Color = Color(0, 0, 0)
    keep_alpha: bool = False


@dataclass(frozen=True, slots=True)
class Gradient:
    """A colour that comes up from nothing at `start` to `opacity` at `stop`; directions as for the progressive blur."""

    opacity: float = 0.0
    color: Color = Color(0, 0, 0)
    direction: float = 0.0
    start: float = 0.0
    stop: float = 1.0


@dataclass(frozen=True, slots=True)
class JpegOptions:
    """What the JPEG encoder is told; all but the first two need mozjpeg inside libvips."""

    progressive: bool | None = None
    no_subsample: bool | None = None
    trellis_quant: bool | None = None
    overshoot_deringing: bool | None = None
    optimize_scans: bool | None = None
    quant_table: int | None = None


@dataclass(frozen=True, slots=True)
class PngOptions:
    """What the PNG encoder is told."""

    interlaced: bool | None = None
    quantize: bool | None = None
    colors: int | None = None


@dataclass(frozen=True, slots=True)
class WebpOptions:
    """What the WebP encoder is told; `compression` is lossy, near_lossless or lossless."""

    compression: str | None = None
    smart_subsample: bool | None = None
    preset: str | None = None


@dataclass(frozen=True, slots=True)
class AvifOptions:
    """What the AVIF encoder is told; `subsample` is auto, on or off."""

    subsample: str | None = None


@dataclass(frozen=True, slots=True)
class AutoQuality:
    """A search for the quality: `method` is none, size (target in bytes) or dssim (target as structural distance).

    Formats that `format_min` and `format_max` name have bounds of their own. Results of more megapixels than
    `max_resolution` are not searched; 0 is no limit.
    """

    method: str = "none"
    target: float = 0.02
    minimum: int = 70
    maximum: int = 80
    allowed_error: float = 0.002
    format_min: Mapping[str, int] = field(default_factory=lambda: {"avif": 60})
    format_max: Mapping[str, int] = field(default_factory=lambda: {"avif": 65})
    max_resolution: float = 0.0


@dataclass(frozen=True, slots=True)
class AutoQualityOptions:
    """What a URL changes of it."""

    method: str | None = None
    target: float | None = None
    minimum: int | None = None
    maximum: int | None = None
    allowed_error: float | None = None
