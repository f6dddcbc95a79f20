"""The frozen values that travel between the layers.

Sizes are pixels of the image as it is seen (after EXIF orientation and rotation) unless a field says otherwise; times
are seconds since the epoch; URLs and option values are `str`, bodies are `bytes`. `None` in an option means that the
URL does not say, so that the operator's setting decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from imgforge.effects import (
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
from imgforge.hints import NO_HINTS, Hints

__all__ = [
    "CENTRE",
    "CacheEntry",
    "Color",
    "Crop",
    "DeliveryOptions",
    "Extend",
    "Gravity",
    "ImageRequest",
    "Padding",
    "ProcessingOptions",
    "Rendition",
    "Size",
    "SourceHead",
    "SourceImage",
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


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One parsed image URL: the source, what to make of it, and how to deliver it.

    `then` are the options of chained pipelines, each of which works on the result before. `presets` are the names that
    the URL used, in order. `passed` are headers of the client's, by name in lower case, that the origin is to be told.
    `unset` are the options of `Hints` that the URL leaves open.
    """

    source: str
    options: ProcessingOptions = ProcessingOptions()
    then: tuple[ProcessingOptions, ...] = ()
    delivery: DeliveryOptions = DeliveryOptions()
    presets: tuple[str, ...] = ()
    passed: tuple[tuple[str, str], ...] = ()
    hints: Hints = NO_HINTS
    unset: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True)
class SourceHead:
    """What an origin says of an original before its bytes; header names in lower case.

    `status` is 200, or 206 where a byte range was asked for and granted; `length` is None where it is not known.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An original as it came from its origin, with the validators that came with it.

    `unchanged`: the origin was asked by validators, and they still hold; there is no body.
    """

    body: bytes
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    cache_control: str = ""
    expires: str = ""
    unchanged: bool = False
    headers: tuple[tuple[str, str], ...] = ()  # that are handed on, by name in lower case
    asked_at: float = 0.0  # when its origin was asked for it, where that was not just now
    stored_at: float = 0.0  # since when it is kept, of one that is stale and stands in: what is made of it is no newer
    redirected_to: str = ""  # where redirects ended, without the query, of one that was just fetched: for logs only


@dataclass(frozen=True, slots=True)
class Rendition:
    """A finished image: the bytes of an answer and what describes them. `format` is a key of the format table."""

    body: bytes
    format: str
    content_type: str
    width: int = 0
    height: int = 0
    source_format: str = ""
    source_width: int = 0
    source_height: int = 0
    source_bytes: int = 0
    truncated: bool = False  # the source ends too early, and is shown as far as it goes


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What a cache tier keeps: a rendition (or, with format "", an original) and what HTTP needs to know of it.

    `etag` is the strong validator of our answer, without quotes; `source_*` are the origin's own words, kept for
    revalidation and passthrough; `stored_at` is when it was made. For purging there are `source`, the original's URL,
    `tags`, and `asked_at`, when the origin was asked for it (0: just then): a later purge covers the entry.
    """

    rendition: Rendition
    stored_at: float
    etag: str
    source: str = ""
    source_etag: str = ""
    source_last_modified: str = ""
    source_cache_control: str = ""
    source_expires: str = ""
    tags: tuple[str, ...] = ()
    asked_at: float = 0.0
    source_headers: tuple[tuple[str, str], ...] = ()
