"""The options of a URL: of processing and of delivery.

Sizes are pixels of the rotated image (after EXIF orientation and rotation) unless a field says otherwise. `None` in an
option whose name is also a setting's means that the URL does not set it, so that the setting decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.errors import Expired
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
    """A size in pixels; 0 means "not requested"."""

    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Gravity:
    """The part of an image that a crop keeps, or the place of an image on a larger canvas.

    `type` is one of no so ea we noea nowe soea sowe ce (edges, corners, centre), fp (focus point: x and y in 0..1) or
    sm (libvips' smartcrop). An offset from 1 on is in pixels, below 1 a fraction of the outer size; its sign does not
    count for that.
    """

    type: str = "ce"
    x: float = 0.0
    y: float = 0.0


CENTRE = Gravity()


@dataclass(frozen=True, slots=True)
class Crop:
    """An area of the source: a side from 1 on is in pixels, below 1 a fraction; 0 is the full side.

    `gravity` None is the request's gravity; one of an empty type has the request's type with its own offsets.
    """

    width: float = 0.0
    height: float = 0.0
    gravity: Gravity | None = None


@dataclass(frozen=True, slots=True)
class Extend:
    """Whether the canvas is extended, and the place of the image on it."""

    enabled: bool = False
    gravity: Gravity = CENTRE


@dataclass(frozen=True, slots=True)
class Padding:
    """Space around the image, in pixels before the multiplication by dpr."""

    top: int = 0
    right: int = 0
    bottom: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Trim:
    """Removal of a uniform border; `color` None is that of the top left pixel.

    `threshold` is the difference from it, in 0..255, up to which a pixel belongs to the border.
    """

    threshold: float
    color: Color | None = None
    equal_horizontal: bool = False
    equal_vertical: bool = False


@dataclass(frozen=True, slots=True)
class Watermark:
    """Placement of a watermark; `position` is a gravity type, `re` (tiled) or `ch` (chessboard).

    `opacity` is 0..1; 0 is no watermark. `x` and `y` are offsets as in `Gravity`, or gaps between tiles. `scale` is a
    fraction of the result; where it is 0 the options' `watermark_size` decides.
    """

    opacity: float = 0.0
    position: str = "ce"
    x: float = 0.0
    y: float = 0.0
    scale: float = 0.0


@dataclass(frozen=True, slots=True)
class ProcessingOptions:
    """The part of a request that decides the rendition's bytes."""

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
    crop_aspect_ratio: float = 0.0  # width over height; 0 changes nothing
    crop_aspect_ratio_enlarge: bool = False
    trim: Trim | None = None
    padding: Padding | None = None
    auto_rotate: bool | None = None
    rotate: int = 0  # degrees clockwise: 0, 90, 180 or 270
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
    round: float = 0.0  # radius in pixels; infinity is the roundest
    blur: float = 0.0  # sigma in pixels
    sharpen: float = 0.0  # sigma in pixels
    pixelate: int = 0  # side of a block in pixels
    watermark: Watermark | None = None
    watermark_url: str = ""  # "" for the operator's
    watermark_text: str = ""
    watermark_size: Size = Size()
    watermark_rotate: float = 0.0  # degrees clockwise
    watermark_shadow: float = 0.0  # sigma in pixels
    style: str = ""  # CSS for an SVG source
    quality: int = 0  # 1 to 100; 0 for the operator's
    format_quality: tuple[tuple[str, int], ...] = ()
    format: str | None = None  # None for the one that fits the source and the client
    max_bytes: int = 0  # 0 is no limit
    autoquality: AutoQualityOptions = AutoQualityOptions()
    jpeg_options: JpegOptions = JpegOptions()
    png_options: PngOptions = PngOptions()
    webp_options: WebpOptions = WebpOptions()
    avif_options: AvifOptions = AvifOptions()
    dpi: float = 0.0  # dots per inch in the file; 0 changes nothing
    color_profile: str = ""  # a name; "" converts nothing
    hashsum: tuple[str, str] | None = None  # of the source: algorithm, hexadecimal digits
    page: int = 0  # from 0 on
    pages: int = 1
    disable_animation: bool = False
    strip_metadata: bool | None = None
    keep_copyright: bool | None = None
    strip_color_profile: bool | None = None
    preserve_hdr: bool | None = None
    enforce_thumbnail: bool | None = None
    skip_processing: tuple[str, ...] = ()
    max_src_resolution: float | None = None  # megapixels
    max_src_file_size: int | None = None  # bytes
    max_animation_frames: int | None = None
    max_animation_frame_resolution: float | None = None  # megapixels
    max_result_dimension: int | None = None  # pixels a side


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """The options about the answer rather than the pixels.

    `expires` is a Unix time, None for a URL that does not expire; `filename` None leaves the name to the source's URL.
    """

    raw: bool = False
    cachebuster: str = ""
    bypass_cache: bool = False
    expires: int | None = None
    filename: str | None = None
    return_attachment: bool | None = None
    cache_tags: tuple[str, ...] = ()
    fallback_image_url: str = ""

    def check_expiry(self, now: float) -> None:
        """Raise `Expired` where the URL was good until before *now* only."""
        if self.expires is not None and 0 < self.expires < now:
            raise Expired("the URL has expired")
