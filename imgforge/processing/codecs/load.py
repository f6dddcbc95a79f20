"""Opening sources: the header first, then again only where fewer pixels or more pages are wanted.

Opening reads no pixels: those come, top to bottom, when the result is saved.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyvips

from imgforge.errors import NotAnImage, SourceTooLarge, UnsupportedFormat
from imgforge.processing.codecs.formats import FORMATS, check_format
from imgforge.processing.codecs.pillow_frames import frame_count, read_frames
from imgforge.processing.codecs.svg import sanitised, unpacked
from imgforge.processing.codecs.svg_cost import LARGE, is_costly
from imgforge.processing.codecs.truncation import gif_is_complete, tiff_is_complete
from imgforge.processing.containers import check_png
from imgforge.processing.isolation import clean_isolated, decode_isolated
from imgforge.processing.libvips import broken, capabilities, missing, reader
from imgforge.processing.metadata import with_credits
from imgforge.processing.pyvips_compat import field_names
from imgforge.processing.resources import Cancellation
from imgforge.processing.settings import ProcessingSettings

__all__ = ["Original", "check_hash", "jpeg_shrink", "open_original"]

# Browsers render SVG at 96 dots per inch, libvips at 72 unless told.
_SVG_DPI = 96.0
_MEGA = 1_000_000
_CLEAR = (255, 255, 255, 0)


@dataclass(frozen=True, slots=True)
class Original:
    """A source and what its header says. `height` is that of one page.

    `whole` is False for a part of it, which cannot be loaded anew in another size. A vector is drawn `base_scale` times
    its own size, and counts as being of that size; of one with pages `part` says which, and what they are drawn on.
    `isolated` says that `image` has the size only: what may cost much is drawn by `load` alone, in a process that
    `cancellation` kills. `unlimited` lifts what there is of limits beside that of pixels. `partial`: of a file that
    ends too early a part is enough.
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
    isolated: bool = False
    cancellation: Cancellation = field(default_factory=Cancellation)
    unlimited: bool = False
    partial: bool = False

    def with_pages(self, first: int, count: int) -> Original:
        """The same source, with *count* pages from *first* on, below one another, taken for one picture."""
        if not FORMATS[self.format].paged or (first == 0 and count == 1):
            return self
        first = min(first, self.pages - 1)
        part = {**self.part, "page": first, "n": min(count, self.pages - first)}
        image = self.load(**part)
        vector = FORMATS[self.format].vector
        return replace(self, image=image, width=image.width, height=image.height, whole=vector, part=part)

    def with_thumbnail(self) -> Original:
        """The embedded thumbnail in place of the picture, where there is one that is smaller."""
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
        """The image anew, with options of the format's loader; `NotAnImage` where it is broken."""
        if FORMATS[self.format].vector:
            options = {**self.part, **options, "scale": options.get("scale", 1.0) * self.base_scale}
        if self.isolated:
            return self._draw_isolated(options["scale"])
        flags = {"unlimited": self.unlimited, "partial": self.partial}
        return _load(self.body, self.format, self.cancellation, **flags, **options)

    def _draw_isolated(self, scale: float, *, drawn: bool = True) -> Any:
        return _draw_isolated(self.body, self.cancellation, scale, drawn=drawn, unlimited=self.unlimited)

    def check_type(self, allowed: Sequence[str]) -> None:
        """Raise `NotAnImage` where *allowed* names MIME types and not this one's."""
        mime_type = FORMATS[self.format].mime_type
        if allowed and mime_type not in allowed:
            raise NotAnImage(f"sources of the type {mime_type} are not allowed here")

    def check_resolution(self, megapixels: float, frames: int, frame_megapixels: float) -> None:
        """Raise `SourceTooLarge` where the header says that there are more pixels than allowed, all *frames* counted.

        Of several frames only one counts where there is a limit for that.
        """
        pixels = self.width * self.height
        if frames > 1 and frame_megapixels:
            if pixels > frame_megapixels * _MEGA:
                raise SourceTooLarge(f"a frame of the source has more than {frame_megapixels:g} megapixels")
        elif megapixels and pixels * frames > megapixels * _MEGA:
            raise SourceTooLarge(f"the source has more than {megapixels:g} megapixels ({self.width}x{self.height})")

    def bounded(self, megapixels: float, frames: int, frame_megapixels: float) -> Original:
        """The source itself, if `check_resolution` lets it pass; a vector is drawn as small as is allowed instead."""
        if not FORMATS[self.format].vector:
            self.check_resolution(megapixels, frames, frame_megapixels)
            return self
        excess = self.width * self.height / (megapixels * _MEGA) if megapixels else 0
        if excess <= 1:
            return self
        scale = self.base_scale / math.sqrt(excess)
        image = self._draw_isolated(scale, drawn=False) if self.isolated else self.load(scale=1 / math.sqrt(excess))
        return replace(self, image=image, width=image.width, height=image.height, base_scale=scale)


def open_original(
    body: bytes,
    settings: ProcessingSettings,
    *,
    style: str = "",
    cancellation: Cancellation | None = None,
    partial: bool = False,
) -> Original:
    """Read the header of *body*; *style* is CSS for an SVG; *cancellation* ends a decoder's own process.

    *partial*: a file that ends too early is read as far as it goes.
    Of the formats that are *unlimited* the limits of what is no pixels are lifted. Raises `NotAnImage` for what is
    none, `UnsupportedFormat` for what libvips does not read.
    """
    name = check_format(body)
    if name not in capabilities().loads:
        raise missing(name, "read")
    if name == "raw" and not settings.enable_raw_formats:
        raise UnsupportedFormat("camera raw is not read here: it is switched off by IMGFORGE_ENABLE_RAW_FORMATS")
    cancellation = cancellation or Cancellation()
    isolated, lifted = False, name in settings.unlimited
    if name == "svg":
        if settings.sanitize_svg or style:
            body = _cleaned(body, style, cancellation, unlimited=lifted)
        isolated = is_costly(body)
    part = {"background": _CLEAR} if name == "pdf" and settings.pdf_no_background else {}
    if isolated:
        image = _draw_isolated(body, cancellation, drawn=False, unlimited=lifted)
    else:
        image = _load(body, name, cancellation, unlimited=lifted, partial=partial, **part)
    fields = frozenset(field_names(image))
    frames = frame_count(body, name) if FORMATS[name].animated_by_pillow and not partial else 1
    pages = image.get("n-pages") if "n-pages" in fields else 1
    return Original(
        body=body,
        format=name,
        image=image,
        width=image.width,
        height=image.get("page-height") if "page-height" in fields else image.height,
        pages=max(pages, frames),
        orientation=_orientation(image, fields),
        animated=frames > 1 or (pages > 1 and "delay" in fields and "loop" in fields),
        part=part,
        isolated=isolated,
        cancellation=cancellation,
        unlimited=lifted,
        partial=partial,
    )


def jpeg_shrink(most: float) -> int:
    """How many times smaller, but not more than *most*, a JPEG can be decoded."""
    return next((factor for factor in (8, 4, 2) if most >= factor), 1)


def check_hash(body: bytes, hashsum: tuple[str, str] | None) -> None:
    """Raise `NotAnImage` where *body* does not have the hash (algorithm, hexadecimal digits) that the URL names."""
    if hashsum is not None and hashlib.new(hashsum[0], body, usedforsecurity=False).hexdigest() != hashsum[1]:
        raise NotAnImage(f"the source does not have the {hashsum[0]} hash that the URL names")


def _cleaned(document: bytes, style: str, cancellation: Cancellation, *, unlimited: bool) -> bytes:
    """An SVG without what is dangerous in it; where that takes long, it is done in a process of its own."""
    if document[:2] == b"\x1f\x8b":
        document, unlimited = unpacked(document), False
    if len(document) > LARGE:
        return clean_isolated(document, style, unlimited=unlimited, cancellation=cancellation)
    return sanitised(document, style, unlimited=unlimited)


def _draw_isolated(
    body: bytes, cancellation: Cancellation, scale: float = 1.0, *, drawn: bool = True, unlimited: bool = False
) -> Any:
    """An SVG *scale* times its size; an image of that size without its pixels where it is not to be *drawn*."""
    scale_at_dpi = scale * 72 / _SVG_DPI
    images, _ = decode_isolated(
        body,
        "svg",
        _SVG_DPI,
        scale_at_dpi,
        int(drawn),
        int(unlimited),
        enlarged=scale > 1,
        cancellation=cancellation,
    )
    return images[0]


def _load(
    body: bytes,
    name: str,
    cancellation: Cancellation,
    *,
    unlimited: bool = False,
    partial: bool = False,
    **options: Any,
) -> Any:
    codec = reader(name)
    if codec is not None:
        if FORMATS[name].isolated:
            options["cancellation"] = cancellation
        if partial:
            options["partial"] = True
        return codec.load(body, name, **options)
    if name == "png" and not unlimited:
        check_png(body)
    if FORMATS[name].animated_by_pillow and "n" in options:
        return read_frames(body, name, options["n"])
    if name == "svg":
        options = {"dpi": _SVG_DPI, "scale": options.get("scale", 1.0) * 72 / _SVG_DPI}
    if unlimited:
        options["unlimited"] = True
    try:
        # Truncated files fail rather than end in grey.
        options |= {"access": "sequential", "fail_on": "none" if partial else "truncated"}
        image = pyvips.Operation.call(FORMATS[name].loader, body, **options)
    except pyvips.Error as error:
        raise broken(error) from None
    if not partial and not _is_complete(body, name, options.get("page", 0), options.get("n", 1)):
        raise NotAnImage("the source image is broken: it ends too early")
    return with_credits(_from_light(image), body) if name == "tiff" else image


def _from_light(image: Any) -> Any:
    """Grey of floating point is linear light, 0..1, as colours are, but libvips takes it for samples of 0..255."""
    if image.format not in {"float", "double"} or image.interpretation not in {"b-w", "grey16"}:
        return image
    light = image.extract_band(0)
    grey = light.bandjoin([light, light]).colourspace("grey16", source_space="scrgb")
    if image.bands > 1:
        grey = grey.bandjoin((image.extract_band(1) * 65535.0).cast("ushort"))
    grey = grey.copy(interpretation="grey16")
    grey.remove("icc-profile-data")  # it is of the light
    return grey


def _is_complete(body: bytes, name: str, page: int, pages: int) -> bool:
    """What `fail_on` does not see."""
    if name == "tiff":
        return tiff_is_complete(body, page, pages)
    return name != "gif" or pages == 1 or gif_is_complete(body)


def _orientation(image: Any, fields: frozenset[str]) -> int:
    value = image.get("orientation") if "orientation" in fields else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
