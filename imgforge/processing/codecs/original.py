"""Originals: opened by their header, and again only where fewer pixels or more pages are wanted.

Opening reads no pixels: libvips reads them, top to bottom, when the result is saved.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from imgforge.errors import NotAnImage, SourceTooLarge, UnsupportedFormat
from imgforge.processing.codecs.available_formats import capabilities, missing
from imgforge.processing.codecs.decoding import decode
from imgforge.processing.codecs.formats import FORMATS, check_format
from imgforge.processing.codecs.pillow_frames import frame_count
from imgforge.processing.codecs.svg_cost import SvgCost, svg_cost
from imgforge.processing.codecs.svg_rendering import clean, draw, measure
from imgforge.processing.pixel_buffers import MOST_PIXELS
from imgforge.processing.resources import Cancellation
from imgforge.processing.settings import ProcessingSettings

__all__ = ["Original", "check_hash", "jpeg_shrink", "open_original"]

_MEGA = 1_000_000
_TRANSPARENT = (255, 255, 255, 0)


@dataclass(frozen=True, slots=True)
class Original:
    """A source and the facts of its header; sizes are in pixels, `height` is that of one page.

    `whole` is False for a thumbnail or some pages, which cannot be loaded anew in another size. A vector is drawn
    `base_scale` times its own size, and counts as being of that size; `part` holds the loader's options for its pages
    and their background. Where `isolated`, `image` has the size only, of an SVG: `load` draws the pixels, by its `cost`
    perhaps in a process that `cancellation` kills. `unlimited` lifts all limits but that of pixels. `partial` accepts a
    file that ends too early.
    """

    body: bytes
    format: str
    image: Any
    width: int
    height: int
    pages: int
    orientation: int
    animated: bool
    whole: bool = True
    base_scale: float = 1.0
    part: dict[str, Any] = field(default_factory=dict)
    cost: SvgCost = field(default_factory=SvgCost)
    isolated: bool = False
    cancellation: Cancellation = field(default_factory=Cancellation)
    unlimited: bool = False
    partial: bool = False
    most_pixels: float = MOST_PIXELS  # that a library may decode which decodes at once

    def with_pages(self, first: int, count: int) -> Original:
        """The same source as one picture of *count* pages, one below the other, from *first* (0 is the first) on."""
        if not FORMATS[self.format].paged or (first == 0 and count == 1):
            return self
        first = min(first, self.pages - 1)
        part = {**self.part, "page": first, "n": min(count, self.pages - first)}
        image = self.load(**part)
        vector = FORMATS[self.format].vector
        return replace(self, image=image, width=image.width, height=image.height, whole=vector, part=part)

    def with_thumbnail(self) -> Original:
        """The embedded thumbnail, where there is one and it is narrower than the picture; else the source itself."""
        if not FORMATS[self.format].thumbnail:
            return self
        try:
            image = self.load(thumbnail=True)
        except NotAnImage:
            return self
        if image.width >= self.width:
            return self
        return replace(self, image=image, width=image.width, height=image.height, whole=False)

    def load(self, **options: Any) -> Any:
        """Decodes the image anew, with *options* of the format's loader; `NotAnImage` where it is broken."""
        if FORMATS[self.format].vector:
            options = {**self.part, **options, "scale": options.get("scale", 1.0) * self.base_scale}
        if self.format == "svg":
            return draw(self.body, self.cost, self.cancellation, options["scale"], unlimited=self.unlimited)
        flags: dict[str, Any] = {"unlimited": self.unlimited, "partial": self.partial, "most_pixels": self.most_pixels}
        return decode(self.body, self.format, self.cancellation, **flags, **options)

    def check_type(self, allowed: Sequence[str]) -> None:
        """Raises `NotAnImage` where *allowed* names MIME types, but not that of this source."""
        mime_type = FORMATS[self.format].mime_type
        if allowed and mime_type not in allowed:
            raise NotAnImage(f"sources of the type {mime_type} are not allowed here")

    def check_resolution(self, megapixels: float, frames: int, frame_megapixels: float) -> None:
        """Raises `SourceTooLarge` where all *frames* together have more than *megapixels*; 0 is no limit.

        Where *frame_megapixels* is not 0, it alone is the limit of an animation, for each frame.
        """
        pixels = self.width * self.height
        if frames > 1 and frame_megapixels:
            if pixels > frame_megapixels * _MEGA:
                raise SourceTooLarge(f"a frame of the source has more than {frame_megapixels:g} megapixels")
        elif megapixels and pixels * frames > megapixels * _MEGA:
            raise SourceTooLarge(f"the source has more than {megapixels:g} megapixels ({self.width}x{self.height})")

    def bounded(self, megapixels: float, frames: int, frame_megapixels: float) -> Original:
        """The source itself, once `check_resolution` accepts it; too large a vector is drawn smaller instead."""
        if not FORMATS[self.format].vector:
            self.check_resolution(megapixels, frames, frame_megapixels)
            return self
        excess = self.width * self.height / (megapixels * _MEGA) if megapixels else 0
        if excess <= 1:
            return self
        scale = self.base_scale / math.sqrt(excess)
        isolated = False
        if self.format == "svg":
            image, isolated = measure(self.body, self.cost, self.cancellation, scale, unlimited=self.unlimited)
        else:
            image = self.load(scale=1 / math.sqrt(excess))
        size = image.width, image.height
        return replace(self, image=image, width=size[0], height=size[1], base_scale=scale, isolated=isolated)


def open_original(
    body: bytes,
    settings: ProcessingSettings,
    *,
    style: str = "",
    cancellation: Cancellation | None = None,
    partial: bool = False,
    megapixels: float = 0,
) -> Original:
    """Reads the header of *body*; *style* is CSS for an SVG; *cancellation* kills the process of an isolated decoder.

    *partial* accepts a file that ends too early, and reads it as far as it goes. *megapixels* is the limit that
    `bounded` will be called with, 0 for none: a library that decodes at once decodes no more.

    Raises `NotAnImage` where *body* is not an image, and `UnsupportedFormat` for a format that is not read here.
    """
    name = check_format(body)
    if name not in capabilities().loads:
        raise missing(name, "read")
    if name == "raw" and not settings.enable_raw_formats:
        raise UnsupportedFormat("camera raw is not read here: it is switched off by IMGFORGE_ENABLE_RAW_FORMATS")
    cancellation = cancellation or Cancellation()
    cost, isolated, lifted = SvgCost(), False, name in settings.unlimited
    most_pixels = megapixels * _MEGA or MOST_PIXELS
    if name == "svg":
        if settings.sanitize_svg or style:
            body = clean(body, style, cancellation, unlimited=lifted)
        cost = svg_cost(body)
        image, isolated = measure(body, cost, cancellation, unlimited=lifted)
    part = {"background": _TRANSPARENT} if name == "pdf" and settings.pdf_no_background else {}
    if name != "svg":
        image = decode(body, name, cancellation, unlimited=lifted, partial=partial, most_pixels=most_pixels, **part)
    frames = frame_count(body, name) if FORMATS[name].animated_by_pillow and not partial else 1
    pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
    return Original(
        body=body,
        format=name,
        image=image,
        width=image.width,
        height=image.get("page-height") if image.get_typeof("page-height") else image.height,
        pages=max(pages, frames),
        orientation=_orientation(image),
        animated=frames > 1 or (pages > 1 and bool(image.get_typeof("delay") and image.get_typeof("loop"))),
        part=part,
        cost=cost,
        isolated=isolated,
        cancellation=cancellation,
        unlimited=lifted,
        partial=partial,
        most_pixels=most_pixels,
    )


def jpeg_shrink(most: float) -> int:
    """The largest factor, *most* at most, by which libjpeg decodes a JPEG smaller: 1, 2, 4 or 8."""
    return next((factor for factor in (8, 4, 2) if most >= factor), 1)


def check_hash(body: bytes, hashsum: tuple[str, str] | None) -> None:
    """Raises `NotAnImage` where *body* does not have the hash (algorithm, hexadecimal digits) that the URL names."""
    if hashsum is not None and hashlib.new(hashsum[0], body, usedforsecurity=False).hexdigest() != hashsum[1]:
        raise NotAnImage(f"the source does not have the {hashsum[0]} hash that the URL names")


def _orientation(image: Any) -> int:
    value = image.get("orientation") if image.get_typeof("orientation") else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
