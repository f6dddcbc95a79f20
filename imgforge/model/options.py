"""What a URL asks for: the options of processing and of delivery.

Sizes are pixels of the image as it is seen (after EXIF orientation and rotation) unless a field says otherwise. `None`
in an option means that the URL does not set it, so that the operator's setting decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.model.effects import (
    AutoQualityOptions,
    AvifOptions,
    BlurAreas,
    Color,
    Colorize,
    Duotone,
    Gradient,
    JpegOptions,
    Monochrome,
    PngOptions,
    ProgressiveBlur,
    UnsharpOptions,
    WebpOptions,
)

__all__ = [
    "CENTRE",
    "Crop",
    "DeliveryOptions",
    "Extend",
    "Gravity",
    "Padding",
    "ProcessingOptions",
    "Size",
    "Trim",
    "Watermark",
]


@dataclass(frozen=True, slots=True)
class Size:
    """A size in pixels; 0 means "not asked for"."""

    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Gravity:
    """Which part of an image stays when another is cut, or where an image lies on a larger canvas.

    `type` is one of no so ea we noea nowe soea sowe ce (edges and corners), fp (focus point: x and y in 0..1) or sm
    (libvips' smartcrop). An offset of at least 1 in size is in pixels, below that a fraction of the outer size.
    """

    type: str = "ce"
    x: float = 0.0
    y: float = 0.0


CENTRE = Gravity()


@dataclass(frozen=True, slots=True)
class Crop:
    """An area of the source: a side of at least 1 is pixels, below 1 a fraction, 0 is the full side."""

    width: float = 0.0
    height: float = 0.0
    gravity: Gravity | None = None  # None: the request's own gravity; of an empty type: its type with other offsets


@dataclass(frozen=True, slots=True)
class Extend:
    """Whether the canvas grows to what was asked for, and where the image lies on it."""

    enabled: bool = False
    gravity: Gravity = CENTRE


@dataclass(frozen=True, slots=True)
class Padding:
    """Space added around the image, in pixels before dpr."""

    top: int = 0
    right: int = 0
    bottom: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Trim:
    """Removal of a uniform border; `color` None takes the top left pixel's."""

    threshold: float
    color: Color | None = None
    equal_horizontal: bool = False
    equal_vertical: bool = False


@dataclass(frozen=True, slots=True)
class Watermark:
    """Placement of a watermark; `position` is a gravity type, `re` (tiled) or `ch` (chessboard).

    `scale` is a fraction of the result; where it is 0 the `watermark_size` of the options counts.
    """

    opacity: float = 0.0
    position: str = "ce"
    x: float = 0.0
    y: float = 0.0
    scale: float = 0.0


@dataclass(frozen=True, slots=True)
class ProcessingOptions:
    """What is to be done with the pixels: the part of a request that decides the rendition's bytes."""

    resizing_type: str = "fit"
    resizing_algorithm: str = "lanczos3"
    width: int = 0
    height: int = 0
    min_width: int = 0
    min_height: int = 0
    zoom_x: float = 1.0
    zoom_y: float = 1.0
    dpr: float = 1.0
    enlarge: bool = False
    extend: Extend = Extend()
    extend_aspect_ratio: Extend = Extend()
    gravity: Gravity = CENTRE
    crop: Crop | None = None
    crop_aspect_ratio: float = 0.0  # width over height; 0 is as it is
    crop_aspect_ratio_enlarge: bool = False
    trim: Trim | None = None
    padding: Padding | None = None
    auto_rotate: bool | None = None
    rotate: int = 0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    background: Color | None = None
    background_alpha: float = 1.0
    brightness: int = 0
    contrast: float = 1.0
    saturation: float = 1.0
    monochrome: Monochrome = Monochrome()
    duotone: Duotone = Duotone()
    colorize: Colorize = Colorize()
    gradient: Gradient = Gradient()
    unsharp_masking: UnsharpOptions = UnsharpOptions()
    blur_areas: BlurAreas = BlurAreas()
    progressive_blur: ProgressiveBlur = ProgressiveBlur()
    round: float = 0.0  # pixels; infinity is as round as can be
    blur: float = 0.0
    sharpen: float = 0.0
    pixelate: int = 0
    watermark: Watermark | None = None
    watermark_url: str = ""
    watermark_text: str = ""
    watermark_size: Size = Size()
    watermark_rotate: float = 0.0
    watermark_shadow: float = 0.0
    style: str = ""
    quality: int = 0
    format_quality: tuple[tuple[str, int], ...] = ()
    format: str | None = None
    max_bytes: int = 0
    autoquality: AutoQualityOptions = AutoQualityOptions()
    jpeg_options: JpegOptions = JpegOptions()
    png_options: PngOptions = PngOptions()
    webp_options: WebpOptions = WebpOptions()
    avif_options: AvifOptions = AvifOptions()
    dpi: float = 0.0
    color_profile: str = ""
    hashsum: tuple[str, str] | None = None  # of the source: algorithm, hexadecimal digits
    page: int = 0
    pages: int = 1
    disable_animation: bool = False
    strip_metadata: bool | None = None
    keep_copyright: bool | None = None
    strip_color_profile: bool | None = None
    preserve_hdr: bool | None = None
    enforce_thumbnail: bool | None = None
    skip_processing: tuple[str, ...] = ()
    max_src_resolution: float | None = None
    max_src_file_size: int | None = None
    max_animation_frames: int | None = None
    max_animation_frame_resolution: float | None = None
    max_result_dimension: int | None = None


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """What the options say about the answer rather than the pixels."""

    raw: bool = False
    cachebuster: str = ""
    bypass_cache: bool = False
    expires: int | None = None
    filename: str | None = None
    return_attachment: bool | None = None
    cache_tags: tuple[str, ...] = ()
    fallback_image_url: str = ""
