"""The values of options that change colours, blur areas, add overlays or tune an encoder.

Fractions are 0..1 of the side that they belong to; angles are degrees, clockwise. `None` in a record called Options
means that the URL does not set the field, so that the operator's setting decides.
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
    """An sRGB colour; each channel is 0..255."""

    red: int
    green: int
    blue: int


@dataclass(frozen=True, slots=True)
class Monochrome:
    """Shades of one colour, mixed in by `intensity` (0..1; 0 is off)."""

    intensity: float = 0.0
    color: Color = Color(0xB3, 0xB3, 0xB3)


@dataclass(frozen=True, slots=True)
class Duotone:
    """Two colours, for dark and light pixels, mixed in by `intensity` (0..1; 0 is off)."""

    intensity: float = 0.0
    dark: Color = Color(0, 0, 0)
    light: Color = Color(255, 255, 255)


@dataclass(frozen=True, slots=True)
class Unsharp:
    """Sharpening with a 3x3 kernel: -`weight` around the centre, sum `divider`.

    `mode` is auto (after shrinking, unless `sharpen` is set), none or always.
    """

    mode: str = "none"
    weight: float = 1.0
    divider: float = 24.0


@dataclass(frozen=True, slots=True)
class UnsharpOptions:
    """The fields of `Unsharp` that a URL sets."""

    mode: str | None = None
    weight: float | None = None
    divider: float | None = None


@dataclass(frozen=True, slots=True)
class BlurAreas:
    """Areas that are blurred: left, top, width and height as fractions of the source after EXIF rotation.

    `sigma` is in pixels of the result; 0 is off.
    """

    sigma: float = 0.0
    areas: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ProgressiveBlur:
    """A blur that grows from nothing at `start` to `sigma` (pixels) at `stop`.

    `direction` 0 is downwards, 90 to the left; `start` and `stop` are fractions of the way across the picture.
    """

    sigma: float = 0.0
    direction: float = 0.0
    start: float = 0.0
    stop: float = 1.0


@dataclass(frozen=True, slots=True)
class Colorize:
    """A colour over the whole picture; with `keep_alpha` transparent pixels stay as transparent as they are."""

    opacity: float = 0.0
    color: Color = Color(0, 0, 0)
    keep_alpha: bool = False


@dataclass(frozen=True, slots=True)
class Gradient:
    """A colour that rises from nothing at `start` to `opacity` at `stop`; directions as in `ProgressiveBlur`."""

    opacity: float = 0.0
    color: Color = Color(0, 0, 0)
    direction: float = 0.0
    start: float = 0.0
    stop: float = 1.0


@dataclass(frozen=True, slots=True)
class JpegOptions:
    """Options of the JPEG encoder; all but the first two need a libvips with mozjpeg."""

    progressive: bool | None = None
    no_subsample: bool | None = None
    trellis_quant: bool | None = None
    overshoot_deringing: bool | None = None
    optimize_scans: bool | None = None
    quant_table: int | None = None


@dataclass(frozen=True, slots=True)
class PngOptions:
    """Options of the PNG encoder; `colors` is the size of the palette with `quantize`."""

    interlaced: bool | None = None
    quantize: bool | None = None
    colors: int | None = None


@dataclass(frozen=True, slots=True)
class WebpOptions:
    """Options of the WebP encoder; `compression` is lossy, near_lossless or lossless."""

    compression: str | None = None
    smart_subsample: bool | None = None
    preset: str | None = None


@dataclass(frozen=True, slots=True)
class AvifOptions:
    """Options of the AVIF encoder; `subsample` is auto, on or off."""

    subsample: str | None = None


@dataclass(frozen=True, slots=True)
class AutoQuality:
    """A search for the quality.

    Attributes
    ----------
    method
        none, size (the target is in bytes) or dssim (the target is a structural distance, (1 - SSIM) / 2).
    target
        The size or the distance to reach.
    minimum, maximum
        The bounds of the quality, 1 to 100.
    allowed_error
        The distance beyond the target that is accepted.
    format_min, format_max
        Bounds of their own for some formats.
    max_resolution
        The largest result, in megapixels, that is searched for; 0 is no limit.
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
    """The fields of `AutoQuality` that a URL sets."""

    method: str | None = None
    target: float | None = None
    minimum: int | None = None
    maximum: int | None = None
    allowed_error: float | None = None
