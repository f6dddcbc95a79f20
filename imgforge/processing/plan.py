"""All sizes of a rendition, computed once and purely, before any pixel: `plan(source, options) -> Plan`.

The rules are imgproxy's (`processing/prepare.go`), so that sizes agree to the pixel. Sizes are pixels of the rotated
image, after EXIF's rotation and the options' own; stages that work before rotation swap the axes (`Plan.swapped`).
"Shrink" is source over target; "scale" its inverse.
"""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.errors import ResultTooLarge
from imgforge.model import ProcessingOptions, Size
from imgforge.processing.rounding import half_away, half_even, min_nonzero

__all__ = ["Geometry", "Plan", "geometry", "plan"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """A source as it is stored, in pixels, and its EXIF orientation.

    It is to be rotated clockwise by `angle` degrees, then mirrored left and right where `flip` is set. A `vector` can
    be enlarged without loss.
    """

    width: int
    height: int
    angle: int = 0
    flip: bool = False
    vector: bool = False


def geometry(width: int, height: int, orientation: int, *, auto_rotate: bool, vector: bool = False) -> Geometry:
    """The geometry of a stored size (pixels) and an EXIF orientation (1 to 8), which counts with *auto_rotate* only."""
    if not auto_rotate:
        orientation = 1
    angle = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}.get(orientation, 0)
    return Geometry(width, height, angle, orientation in {2, 4, 5, 7}, vector)


@dataclass(frozen=True, slots=True)
class Plan:
    """The sizes of a rendition, in pixels of the rotated image.

    Attributes
    ----------
    source
        The whole source.
    crop
        The area that is cropped first; 0 is a full side.
    scale_x, scale_y
        The factors from the cropped area to `scaled`; 1 is no scaling.
    scaled
        The scaled area.
    target
        The requested size times dpr and zoom, to which `extend` extends; 0 where a side was not requested.
    result_crop
        The size to which `scaled` is cropped; 0 is a full side.
    extended
        The size to which `extend_aspect_ratio` extends; 0 is no extension.
    dpr
        The factor for offsets and paddings: the requested one, or less where the source is too small for it.
    angle, flip
        EXIF's rotation (degrees clockwise) and the mirroring after it.
    swapped
        Whether rotation swaps the axes of the stored pixels.
    """

    source: Size
    crop: Size
    scale_x: float
    scale_y: float
    scaled: Size
    target: Size
    result_crop: Size
    extended: Size
    dpr: float
    angle: int
    flip: bool
    swapped: bool

    def canvas(self, options: ProcessingOptions) -> Size:
        """The size of the result in pixels, with extensions and padding."""
        width = min_nonzero(self.scaled.width, self.result_crop.width)
        height = min_nonzero(self.scaled.height, self.result_crop.height)
        if options.extend.enabled:
            width, height = max(width, self.target.width), max(height, self.target.height)
        if options.extend_aspect_ratio.enabled:
            width, height = max(width, self.extended.width), max(height, self.extended.height)
        if options.padding is not None:
            padding = options.padding
            width += half_even(padding.left * self.dpr) + half_even(padding.right * self.dpr)
            height += half_even(padding.top * self.dpr) + half_even(padding.bottom * self.dpr)
        return Size(width, height)


def plan(source: Geometry, options: ProcessingOptions, *, max_dimension: int = 0) -> Plan:
    """The sizes for *source* under *options*; `ResultTooLarge` beyond *max_dimension* pixels a side (0 is no limit)."""
    swapped = (source.angle + options.rotate) % 180 == 90
    size = Size(source.height, source.width) if swapped else Size(source.width, source.height)
    crop = _crop_size(size, options)
    cropped = Size(min_nonzero(crop.width, size.width), min_nonzero(crop.height, size.height))
    scale_x, scale_y, dpr = _scales(cropped, options, source.vector)
    sizes = _sizes(cropped, scale_x, scale_y, dpr, options)
    result = Plan(size, crop, scale_x, scale_y, *sizes, dpr, source.angle, source.flip, swapped)
    canvas = result.canvas(options)
    if max_dimension and max(canvas.width, canvas.height) > max_dimension:
        raise ResultTooLarge(
            f"the result would be {canvas.width}x{canvas.height}, more than {max_dimension} pixels a side"
        )
    _check_smartcrop(result, options, max_dimension)
    return result


def _check_smartcrop(result: Plan, options: ProcessingOptions, max_dimension: int) -> None:
    """Bound the image that smartcrop holds in memory: by the source's pixels or by those of the largest result."""
    scaled = result.scaled
    if options.gravity.type != "sm" or not max_dimension:
        return
    if scaled.width * scaled.height > max(max_dimension**2, result.source.width * result.source.height):
        raise ResultTooLarge(
            f"the image to choose a part of would be {scaled.width}x{scaled.height}: "
            f"that is more than {max_dimension}x{max_dimension} pixels"
        )


def _crop_size(full: Size, options: ProcessingOptions) -> Size:
    """The area to crop first, corrected to `crop_aspect_ratio`; 0 is a full side."""
    crop = Size()
    if options.crop is not None:
        crop = Size(_crop_side(full.width, options.crop.width), _crop_side(full.height, options.crop.height))
    ratio = options.crop_aspect_ratio
    if not ratio:
        return crop
    width, height = min_nonzero(crop.width, full.width), min_nonzero(crop.height, full.height)
    too_wide = width > height * ratio
    if too_wide != options.crop_aspect_ratio_enlarge:  # a too wide area gets narrower, or a too tall one wider
        size = height * ratio, float(height)
    else:
        size = float(width), width / ratio
    excess = max(size[0] / full.width, size[1] / full.height, 1)
    return Size(max(1, half_away(size[0] / excess)), max(1, half_away(size[1] / excess)))


def _crop_side(full: int, side: float) -> int:
    """Pixels: *side* is 0 for a full side, a fraction of *full* below 1, else pixels (imgproxy's `CalcCropSize`)."""
    if side == 0:
        return 0
    return int(side) if side >= 1 else max(1, half_away(full * side))


def _scales(source: Size, options: ProcessingOptions, vector: bool) -> tuple[float, float, float]:
    """The scale of each axis, and the dpr that the source allows (imgproxy's `calcScale`)."""
    shrink_x, shrink_y = _resize_shrinks(source, options)
    shrink_x /= options.zoom_x
    shrink_y /= options.zoom_y
    dpr = options.dpr
    if not options.enlarge and not vector:
        least = min(shrink_x, shrink_y)
        if least < 1:
            shrink_x /= least
            shrink_y /= least
            if not options.extend.enabled:
                dpr /= least
        dpr = min(dpr, shrink_x, shrink_y)
    if options.min_width and source.width / options.min_width < shrink_x:
        shrink_y /= shrink_x / (source.width / options.min_width)
        shrink_x = source.width / options.min_width
    if options.min_height and source.height / options.min_height < shrink_y:
        shrink_x /= shrink_y / (source.height / options.min_height)
        shrink_y = source.height / options.min_height
    # No side falls below one pixel.
    return 1 / min(shrink_x / dpr, source.width), 1 / min(shrink_y / dpr, source.height), dpr


def _resize_shrinks(source: Size, options: ProcessingOptions) -> tuple[float, float]:
    """The shrink of each axis by the resizing type, before zoom, dpr and minimum sizes."""
    width, height = options.width or source.width, options.height or source.height
    shrink_x, shrink_y = source.width / width, source.height / height
    kind = options.resizing_type
    if kind == "auto":
        landscape = source.width >= source.height
        kind = "fill" if landscape == (width >= height) else "fit"
    if kind == "force" or (shrink_x == 1 and shrink_y == 1):
        return shrink_x, shrink_y
    if not options.width:
        return shrink_y, shrink_y
    if not options.height:
        return shrink_x, shrink_x
    chosen = max(shrink_x, shrink_y) if kind == "fit" else min(shrink_x, shrink_y)
    return chosen, chosen


def _sizes(
    source: Size, scale_x: float, scale_y: float, dpr: float, options: ProcessingOptions
) -> tuple[Size, Size, Size, Size]:
    """The scaled, target, result crop and extended sizes (imgproxy's `calcSizes`)."""
    target = Size(half_away(options.width * (dpr * options.zoom_x)), half_away(options.height * (dpr * options.zoom_y)))
    scaled = Size(half_away(source.width * scale_x), half_away(source.height * scale_y))
    crop = target
    if options.resizing_type == "fill-down" and not options.enlarge:
        over_x, over_y = target.width / scaled.width, target.height / scaled.height
        if over_x > over_y and over_x > 1:
            crop = Size(scaled.width, half_away(scaled.width * (target.height / target.width)))
        elif over_y > over_x and over_y > 1:
            crop = Size(half_away(scaled.height * (target.width / target.height)), scaled.height)
    extended = Size()
    if options.extend_aspect_ratio.enabled and target.width and target.height:
        out = Size(min_nonzero(scaled.width, crop.width), min_nonzero(scaled.height, crop.height))
        over_x, over_y = target.width / out.width, target.height / out.height
        if over_y > over_x:
            extended = Size(out.width, half_away(out.width * (target.height / target.width)))
        elif over_x > over_y:
            extended = Size(half_away(out.height * (target.width / target.height)), out.height)
    return scaled, target, crop, extended
