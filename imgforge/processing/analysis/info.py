"""What `/info` tells of a source: the header's part at once, the pixels' part from one small picture.

    open ── header fields ── resolution check ── small picture (at most 100 pixels a side) ── colours, hashes
                                   └ all pixels, where only they tell: transparency, smart crop

Nothing is decoded unless an option needs pixels, and then not before their number has been checked.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from imgforge.model import CENTRE, Crop, InfoOptions, ProcessingOptions
from imgforge.processing.analysis.palette import average, dominant, palette
from imgforge.processing.analysis.placeholders import blurhash, perceptual_hash, thumb_hash
from imgforge.processing.codecs.formats import FORMATS
from imgforge.processing.codecs.load import Original, check_hash, jpeg_shrink, open_original
from imgforge.processing.codecs.partial_files import whole_or_part
from imgforge.processing.gravity import crop_gravity, position
from imgforge.processing.libvips import field_names
from imgforge.processing.metadata.exif import exif_of
from imgforge.processing.metadata.iptc import iptc_of, resolution_of, resources
from imgforge.processing.metadata.xmp import xmp_of
from imgforge.processing.plan import geometry, plan
from imgforge.processing.resources.cancellation import Cancellation
from imgforge.processing.resources.pixel_budget import PixelBudget, pixels_of_source
from imgforge.processing.rounding import min_nonzero
from imgforge.processing.settings import ProcessingSettings, chosen
from imgforge.processing.stages.colour_space import interpretation

__all__ = ["describe"]

_SMALL = 100
_HASHED = 32
# Shrunk while loading only to twice the small picture's size, so that resampling still has something to weigh.
_MARGIN = 2
_FULL = {"uchar": 255, "ushort": 65535}


def describe(
    source: bytes,
    wanted: InfoOptions,
    settings: ProcessingSettings,
    *,
    content_type: str = "",
    cancellation: Cancellation | None = None,
    memory: PixelBudget | None = None,
) -> dict[str, object]:
    """The fields that are *wanted* of *source*, ready for JSON; *content_type* is the origin's word.

    Raises `NotAnImage`, `UnsupportedFormat`, `SourceTooLarge`, or `RequestTimeout` once *cancellation* was cancelled.
    """
    cancellation = cancellation or Cancellation()
    check_hash(source, wanted.hashsum)

    def described(partial: bool) -> dict[str, object]:
        original = open_original(source, settings, cancellation=cancellation, partial=partial)
        original.check_type(settings.allowed_mime_types)
        page = original.with_pages(wanted.page, 1)
        told = _header(source, page, wanted, content_type)
        with ExitStack() as held:
            return told | _from_pixels(_Pixels(page, wanted, settings, cancellation, memory or PixelBudget(), held))

    told, truncated = whole_or_part(source, settings, cancellation, described)
    return told | {"truncated": True} if truncated else told


def _header(source: bytes, page: Original, wanted: InfoOptions, content_type: str) -> dict[str, object]:
    """What the header tells; each of the first three options brings the Rust imgforge's fields beside imgproxy's."""
    image = page.image
    told: dict[str, object] = {}
    if wanted.size:
        told |= {"size": len(source), "size_bytes": len(source)}
    if wanted.format:
        mime_type = FORMATS[page.format].mime_type
        told |= {"format": page.format, "mime_type": mime_type, "content_type": content_type or None}
    if wanted.dimensions:
        width, height = _seen(page)
        told |= {"width": width, "height": height, "orientation": page.orientation}
        told |= {"channels": image.bands, "has_alpha": bool(image.hasalpha()), "pages": page.pages}
    told |= _metadata(image, wanted)
    if wanted.colorspace:
        told["colorspace"] = interpretation(image)
    if wanted.bands:
        told["bands"] = image.bands
    if wanted.sample_format:
        told["sample_format"] = str(image.format)
    if wanted.pages_number:
        told["pages_number"] = page.pages
    if wanted.alpha:
        told["alpha"] = bool(image.hasalpha())
    if wanted.calc_hashsums:
        told["hashsums"] = {
            kind: hashlib.new(kind, source, usedforsecurity=False).hexdigest() for kind in wanted.calc_hashsums
        }
    return told


def _seen(page: Original) -> tuple[int, int]:
    """The size after the EXIF orientation."""
    return (page.height, page.width) if page.orientation > 4 else (page.width, page.height)


def _metadata(image: Any, wanted: InfoOptions) -> dict[str, object]:
    """EXIF, IPTC and XMP; an object that would be empty is left out."""
    told: dict[str, object] = {}
    fields = frozenset(field_names(image))
    if wanted.exif:
        told["exif"] = exif_of(image, canonical=wanted.exif_canonical_names)
    if wanted.iptc:
        found: dict[int, bytes] = {}
        for name in ("photoshop-data", "iptc-data"):
            if name in fields:
                found |= resources(bytes(image.get(name)))
        told["iptc"] = iptc_of(found)
        resolution = resolution_of(found)
        told["photoshop"] = {"resolution": resolution} if resolution else {}
    if wanted.xmp and "xmp-data" in fields:
        told["xmp"] = xmp_of(bytes(image.get("xmp-data")))
    return {name: value for name, value in told.items() if value}


class _Pixels:
    """A page's pixels, decoded when they are first asked for; `SourceTooLarge` where there are too many."""

    def __init__(
        self,
        page: Original,
        wanted: InfoOptions,
        settings: ProcessingSettings,
        cancellation: Cancellation,
        memory: PixelBudget,
        held: ExitStack,
    ) -> None:
        self.page = page
        self.wanted = wanted
        self._settings = settings
        self._cancellation = cancellation
        self._memory: PixelBudget | None = memory  # until some of it is held
        self._held = held

    def all(self) -> Any:
        """Every pixel, as stored, from top to bottom."""
        self._check()
        return self._load()

    def upright(self) -> Any:
        """Every pixel, in memory, as it is seen."""
        return self._cancellation.watch(self.all().copy_memory()).autorot()

    @cached_property
    def small(self) -> Any:
        """At most 100 pixels a side, sRGB with alpha, as it is seen, in memory."""
        vector = FORMATS[self.page.format].vector
        if not vector:  # rendered in whatever size is asked for
            self._check()
        sides = self.page.width, self.page.height
        shrink = min(max(sides) / _SMALL, min(sides))  # of a line as much as one pixel of its width stays
        options: dict[str, Any] = {}
        if vector and shrink > 1:
            options = {"scale": 1 / shrink}
        elif self.page.format == "webp" and self.page.whole and shrink > _MARGIN:
            options = {"scale": _MARGIN / shrink}
        elif self.page.format == "jpeg":
            options = {"shrink": jpeg_shrink(shrink / _MARGIN)}
        image = self._load(**options)
        image = image.thumbnail_image(_SMALL, height=_SMALL, size="down", no_rotate=True, output_profile="srgb")
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
        if self._memory is not None:
            self._held.enter_context(self._memory.reserve(pixels_of_source(self.page), self._cancellation))
            self._memory = None
        if FORMATS[self.page.format].paged and not self.page.whole:
            options["page"] = min(self.wanted.page, self.page.pages - 1)
        return self._cancellation.watch(self.page.load(**options))

    def _check(self) -> None:
        self.page.check_resolution(
            chosen(self.wanted.max_src_resolution, self._settings.max_src_resolution),
            1,
            self._settings.max_animation_frame_resolution,
        )


def _from_pixels(pixels: _Pixels) -> dict[str, object]:
    wanted = pixels.wanted
    told: dict[str, object] = {}
    if wanted.alpha and wanted.check_transparency:
        told["transparency"] = _transparent(pixels)
    if wanted.crop is not None and (wanted.crop.width or wanted.crop.height):
        told["crop"] = _crop(pixels, wanted.crop)
    if wanted.palette:
        told["palette"] = palette(pixels.rgba, wanted.palette)
    if wanted.average:
        told["average"] = average(pixels.rgba, ignore_transparent=wanted.ignore_transparent)
    if wanted.dominant_colors:
        told["dominant_colors"] = dominant(pixels.rgba, build_missed=wanted.build_missed)
    if wanted.blurhash_x and wanted.blurhash_y:
        opaque = pixels.opaque
        told["blurhash"] = blurhash(bytes(opaque.write_to_memory()), opaque.width, wanted.blurhash_x, wanted.blurhash_y)
    if wanted.thumb_hash:
        told["thumb_hash"] = thumb_hash(pixels.rgba, pixels.small.width)
    if wanted.perceptual_hash:
        grey = pixels.opaque.thumbnail_image(_HASHED, height=_HASHED, size="force").colourspace("b-w")
        told["perceptual_hash"] = perceptual_hash(bytes(grey.write_to_memory()), _HASHED)
    return told


def _transparent(pixels: _Pixels) -> bool:
    """Whether any pixel is less than opaque."""
    if not pixels.page.image.hasalpha():
        return False
    image = pixels.all()
    return bool(image[image.bands - 1].min() < _FULL.get(str(image.format), 1.0))


def _crop(pixels: _Pixels, crop: Crop) -> dict[str, float]:
    """Where the part lies, as fractions of the picture as it is seen."""
    page = pixels.page
    source = geometry(page.width, page.height, page.orientation, auto_rotate=True)
    full, part = _sides(plan(source, ProcessingOptions(crop=crop)))
    gravity = crop_gravity(crop, CENTRE)
    if gravity.type == "sm" and part != full:
        cut = pixels.upright().smartcrop(*part)
        left, top = -cut.xoffset, -cut.yoffset
    else:
        left, top = position(full, part, gravity, 1.0)
    return {
        "left": left / full[0],
        "top": top / full[1],
        "width": part[0] / full[0],
        "height": part[1] / full[1],
    }


def _sides(made: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    full = made.source.width, made.source.height
    part = min_nonzero(made.crop.width, full[0]), min_nonzero(made.crop.height, full[1])
    return full, (min(part[0], full[0]), min(part[1], full[1]))
