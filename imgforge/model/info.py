"""The frozen values of `/info`: the fields that a URL asks for, and the parsed request."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgforge.model.options import Crop, DeliveryOptions

__all__ = ["InfoOptions", "InfoRequest"]


@dataclass(frozen=True, slots=True)
class InfoOptions:
    """The fields that the answer has. Those that are on by default need only the header of the source.

    `None` in a limit means that the URL does not set it, so that the operator's setting decides.
    """

    size: bool = True
    format: bool = True
    dimensions: bool = True
    exif: bool = True
    exif_canonical_names: bool = False
    iptc: bool = True
    xmp: bool = True
    colorspace: bool = False
    bands: bool = False
    sample_format: bool = False
    pages_number: bool = False
    alpha: bool = False
    check_transparency: bool = False
    crop: Crop | None = None
    palette: int = 0  # at most so many colours; 0 for none
    average: bool = False
    ignore_transparent: bool = True
    dominant_colors: bool = False
    build_missed: bool = False
    blurhash_x: int = 0  # components across; 0 for none
    blurhash_y: int = 0  # components down
    thumb_hash: bool = False
    perceptual_hash: bool = False
    calc_hashsums: tuple[str, ...] = ()  # algorithms
    page: int = 0  # from 0 on
    hashsum: tuple[str, str] | None = None  # of the source: algorithm, hexadecimal digits
    max_src_resolution: float | None = None  # megapixels
    max_src_file_size: int | None = None  # bytes

    @property
    def header_only(self) -> bool:
        """Whether the header of the source has all fields: neither pixels nor all bytes of the file are needed."""
        pixels = self.palette, self.average, self.dominant_colors, self.thumb_hash, self.perceptual_hash, self.crop
        blurhash = self.blurhash_x and self.blurhash_y
        transparency = self.alpha and self.check_transparency
        return not (any(pixels) or blurhash or transparency or self.calc_hashsums or self.hashsum or self.page)


@dataclass(frozen=True, slots=True)
class InfoRequest:
    """One parsed URL of `/info`; all but the options as in `ImageRequest`."""

    source: str
    options: InfoOptions = InfoOptions()
    delivery: DeliveryOptions = field(default_factory=DeliveryOptions)
    presets: tuple[str, ...] = ()
    passed: tuple[tuple[str, str], ...] = ()
