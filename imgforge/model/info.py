"""The frozen values of `/info`: what a URL asks about a source, and the request that carries it."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgforge.model.options import Crop, DeliveryOptions

__all__ = ["InfoOptions", "InfoRequest"]


@dataclass(frozen=True, slots=True)
class InfoOptions:
    """Which fields the answer has; the first six need the header of the source only, and are on by default."""

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
    palette: int = 0  # colours, 0 for none
    average: bool = False
    ignore_transparent: bool = True
    dominant_colors: bool = False
    build_missed: bool = False
    blurhash_x: int = 0
    blurhash_y: int = 0
    thumb_hash: bool = False
    perceptual_hash: bool = False
    calc_hashsums: tuple[str, ...] = ()
    page: int = 0
    hashsum: tuple[str, str] | None = None  # of the source: algorithm, hexadecimal digits
    max_src_resolution: float | None = None
    max_src_file_size: int | None = None


@dataclass(frozen=True, slots=True)
class InfoRequest:
    """One parsed URL of `/info`: the source and what to tell of it; `passed` as in `ImageRequest`."""

    source: str
    wanted: InfoOptions = InfoOptions()
    delivery: DeliveryOptions = field(default_factory=DeliveryOptions)
    passed: tuple[tuple[str, str], ...] = ()
