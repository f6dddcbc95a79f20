"""The fields of `/info`: some from the source's header, others from one small picture.

    open ── header fields ── resolution check ── small picture (at most 100 pixels a side) ── colours, hashes
                                   └ all pixels, for the fields that need them: transparency, smart crop

Nothing is decoded unless an option needs pixels, and only after their number has been checked.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from imgforge.model import CENTRE, Crop, InfoOptions, ProcessingOptions
from imgforge.processing.analysis.palette import average, dominant, palette
from imgforge.processing.analysis.placeholders import blurhash, perceptual_hash, thumb_hash
from imgforge.processing.codecs import (
    FORMATS,
    Original,
    check_hash,
    jpeg_shrink,
    open_original,
    readable_header,
    whole_or_part,
)
from imgforge.processing.gravity import crop_gravity, position
from imgforge.processing.metadata import exif_of, iptc_of, resolution_of, resources, xmp_of
from imgforge.processing.pixel_estimate import source_pixel_bytes
from imgforge.processing.plan import Plan, geometry, plan
from imgforge.processing.pyvips_compat import field_names
from imgforge.processing.resources import Cancellation, PixelBudget
from imgforge.processing.rounding import min_nonzero
from imgforge.processing.settings import ProcessingSettings, chosen
from imgforge.processing.stages import interpretation

__all__ = ["describe"]

_SMALL_SIDE = 100
_HASHED_SIDE = 32
# Shrink-on-load stops at twice the small picture's size, so that resampling still has pixels to average.
_LOAD_MARGIN = 2
_OPAQUE = {"uchar": 255, "ushort": 65535}


def describe(
    source: bytes,
    options: InfoOptions,
    settings: ProcessingSettings,
    *,
    content_type: str = "",
    cancellation: Cancellation | None = None,
    pixel_budget: PixelBudget | None = None,
    size: int = 0,
) -> dict[str, object]:
    """The fields of *source* that *options* ask for, ready for JSON; *content_type* is the origin's header.

    Where *size* is not 0, *source* is the beginning of a file of *size* bytes, and has its header.
    *pixel_budget* is the bytes of pixels that all threads share: decoding waits until its own are available. Raises
    `NotAnImage`, `UnsupportedFormat`, `SourceTooLarge`, or `RequestTimeout` once *cancellation* was cancelled.
    """
    cancellation = cancellation or Cancellation()
    check_hash(source, options.hashsum)
    if size:
        source = readable_header(source, size)

    def described(partial: bool) -> dict[str, object]:
        original = open_original(source, settings, cancellation=cancellation, partial=partial)
        original.check_type(settings.allowed_mime_types)
        page = original.with_pages(options.page, 1)
        result = _header_fields(source, page, options, content_type, size or len(source))
        with ExitStack() as reserved:
            budget = pixel_budget or PixelBudget()
            return result | _pixel_fields(_Pixels(page, options, settings, cancellation, budget, reserved))

    result, truncated = whole_or_part(source, settings, cancellation, described)
    return result | {"truncated": True} if truncated else result


def _header_fields(
    source: bytes, page: Original, options: InfoOptions, content_type: str, size: int
) -> dict[str, object]:
    """The fields from the header; each of the first three options adds the Rust imgforge's fields to imgproxy's."""
    image = page.image
    result: dict[str, object] = {}
    if options.size:
        result |= {"size": size, "size_bytes": size}
    if options.format:
        mime_type = FORMATS[page.format].mime_type
        result |= {"format": page.format, "mime_type": mime_type, "content_type": content_type or None}
    if options.dimensions:
        width, height = _rotated_size(page)
        result |= {"width": width, "height": height, "orientation": page.orientation}
        result |= {"channels": image.bands, "has_alpha": bool(image.hasalpha()), "pages": page.pages}
    result |= _metadata(image, options)
    if options.colorspace:
        result["colorspace"] = interpretation(image)
    if options.bands:
        result["bands"] = image.bands
    if options.sample_format:
        result["sample_format"] = str(image.format)
    if options.pages_number:
        result["pages_number"] = page.pages
    if options.alpha:
        result["alpha"] = bool(image.hasalpha())
    if options.calc_hashsums:
        result["hashsums"] = {
            kind: hashlib.new(kind, source, usedforsecurity=False).hexdigest() for kind in options.calc_hashsums
        }
    return result


def _rotated_size(page: Original) -> tuple[int, int]:
    """Width and height after EXIF rotation."""
    return (page.height, page.width) if page.orientation > 4 else (page.width, page.height)


def _metadata(image: Any, options: InfoOptions) -> dict[str, object]:
    """EXIF, IPTC and XMP; empty objects are left out."""
    result: dict[str, object] = {}
    fields = frozenset(field_names(image))
    if options.exif:
        result["exif"] = exif_of(image, canonical=options.exif_canonical_names)
    if options.iptc:
        found: dict[int, bytes] = {}
        for name in ("photoshop-data", "iptc-data"):
            if name in fields:
                found |= resources(bytes(image.get(name)))
        result["iptc"] = iptc_of(found)
        resolution = resolution_of(found)
        result["photoshop"] = {"resolution": resolution} if resolution else {}
    if options.xmp and "xmp-data" in fields:
        result["xmp"] = xmp_of(bytes(image.get("xmp-data")))
    return {name: value for name, value in result.items() if value}


class _Pixels:
    """A page's pixels, decoded on first use; `SourceTooLarge` where there are too many.

    *reserved* ends the reservation of the pixel budget.
    """

    def __init__(
        self,
        page: Original,
        options: InfoOptions,
        settings: ProcessingSettings,
        cancellation: Cancellation,
        pixel_budget: PixelBudget,
        reserved: ExitStack,
    ) -> None:
        self.page = page
        self.options = options
        self._settings = settings
        self._cancellation = cancellation
        self._pixel_budget: PixelBudget | None = pixel_budget  # None once bytes of it are reserved
        self._reserved = reserved

    def all(self) -> Any:
        """Every pixel, as stored, from top to bottom."""
        self._check()
        return self._load()

    def upright(self) -> Any:
        """Every pixel, in memory, after EXIF rotation."""
        return self._cancellation.watch(self.all().copy_memory()).autorot()

    @cached_property
    def small(self) -> Any:
        """At most 100 pixels a side, sRGB with alpha, after EXIF rotation, in memory."""
        vector = FORMATS[self.page.format].vector
        if not vector:  # drawn in any size
            self._check()
        sides = self.page.width, self.page.height
        shrink = min(max(sides) / _SMALL_SIDE, min(sides))  # one pixel of a line's width stays
        load_options: dict[str, Any] = {}
        if vector and shrink > 1:
            load_options = {"scale": 1 / shrink}
        elif self.page.format == "webp" and self.page.whole and shrink > _LOAD_MARGIN:
            load_options = {"scale": _LOAD_MARGIN / shrink}
        elif self.page.format == "jpeg":
            load_options = {"shrink": jpeg_shrink(shrink / _LOAD_MARGIN)}
        image = self._load(**load_options)
        image = image.thumbnail_image(
            _SMALL_SIDE, height=_SMALL_SIDE, size="down", no_rotate=True, output_profile="srgb"
        )
        image = image.copy(interpretation=interpretation(image)).colourspace("srgb").cast("uchar")
        image = image if image.hasalpha() else image.addalpha()
        return self._cancellation.watch(image.copy_memory()).autorot()

    @cached_property
    def rgba(self) -> bytes:
        """The small picture's pixels."""
        return bytes(self.small.write_to_memory())

    @cached_property
    def opaque(self) -> Any:
        """The small picture on white."""
        return self.small.flatten(background=255)

    def _load(self, **options: Any) -> Any:
        if self._pixel_budget is not None:
            reservation = self._pixel_budget.reserve(source_pixel_bytes(self.page), self._cancellation)
            self._reserved.enter_context(reservation)
            self._pixel_budget = None
        if FORMATS[self.page.format].paged and not self.page.whole:
            options["page"] = min(self.options.page, self.page.pages - 1)
        return self._cancellation.watch(self.page.load(**options))

    def _check(self) -> None:
        self.page.check_resolution(
            chosen(self.options.max_src_resolution, self._settings.max_src_resolution),
            1,
            self._settings.max_animation_frame_resolution,
        )


def _pixel_fields(pixels: _Pixels) -> dict[str, object]:
    options = pixels.options
    result: dict[str, object] = {}
    if options.alpha and options.check_transparency:
        result["transparency"] = _transparent(pixels)
    if options.crop is not None and (options.crop.width or options.crop.height):
        result["crop"] = _crop(pixels, options.crop)
    if options.palette:
        result["palette"] = palette(pixels.rgba, options.palette)
    if options.average:
        result["average"] = average(pixels.rgba, ignore_transparent=options.ignore_transparent)
    if options.dominant_colors:
        result["dominant_colors"] = dominant(pixels.rgba, build_missed=options.build_missed)
    if options.blurhash_x and options.blurhash_y:
        opaque = pixels.opaque
        result["blurhash"] = blurhash(
            bytes(opaque.write_to_memory()), opaque.width, options.blurhash_x, options.blurhash_y
        )
    if options.thumb_hash:
        result["thumb_hash"] = thumb_hash(pixels.rgba, pixels.small.width)
    if options.perceptual_hash:
        grey = pixels.opaque.thumbnail_image(_HASHED_SIDE, height=_HASHED_SIDE, size="force").colourspace("b-w")
        result["perceptual_hash"] = perceptual_hash(bytes(grey.write_to_memory()), _HASHED_SIDE)
    return result


def _transparent(pixels: _Pixels) -> bool:
    """Whether any pixel is less than opaque."""
    if not pixels.page.image.hasalpha():
        return False
    image = pixels.all()
    return bool(image[image.bands - 1].min() < _OPAQUE.get(str(image.format), 1.0))


def _crop(pixels: _Pixels, crop: Crop) -> dict[str, float]:
    """The place of the crop, as fractions of the picture after EXIF rotation."""
    page = pixels.page
    source = geometry(page.width, page.height, page.orientation, auto_rotate=True)
    full, part = _crop_sizes(plan(source, ProcessingOptions(crop=crop)))
    gravity = crop_gravity(crop, CENTRE)
    if gravity.type == "sm" and part != full:
        cropped = pixels.upright().smartcrop(*part)
        left, top = -cropped.xoffset, -cropped.yoffset
    else:
        left, top = position(full, part, gravity, 1.0)
    return {
        "left": left / full[0],
        "top": top / full[1],
        "width": part[0] / full[0],
        "height": part[1] / full[1],
    }


def _crop_sizes(sizes: Plan) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height of the whole picture and of the crop, in pixels."""
    full = sizes.source.width, sizes.source.height
    part = min_nonzero(sizes.crop.width, full[0]), min_nonzero(sizes.crop.height, full[1])
    return full, (min(part[0], full[0]), min(part[1], full[1]))
