"""The operator's defaults and limits, and their combination with a URL's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from imgforge.model import AutoQuality, ProcessingOptions, Unsharp

__all__ = ["ProcessingSettings", "chosen", "merged"]

T = TypeVar("T")

_NO_SEARCH = AutoQuality()  # its method is none


def chosen(url: T | None, operator: T) -> T:
    """The URL's value; the operator's where the URL leaves it unset (None)."""
    return operator if url is None else url


def merged(operator: T, url: Any) -> T:
    """The *operator*'s record with the fields that the *url*'s record sets (not None)."""
    changes = {one.name: value for one in fields(url) if (value := getattr(url, one.name)) is not None}
    return replace(operator, **changes)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True)
class ProcessingSettings:
    """The settings of the same names. Resolutions are in megapixels, dimensions in pixels; 0 is no limit."""

    quality: int = 80
    format_quality: Mapping[str, int] = field(default_factory=lambda: {"webp": 79, "avif": 63, "jxl": 77})
    default_format: str = "source"
    preferred_formats: tuple[str, ...] = ("jpeg", "png", "gif")
    auto_rotate: bool = True
    strip_metadata: bool = True
    strip_metadata_dpi: float = 72.0
    keep_copyright: bool = True
    strip_color_profile: bool = True
    preserve_hdr: bool = False
    enforce_thumbnail: bool = False
    use_linear_colorspace: bool = False
    disable_shrink_on_load: bool = False
    allowed_mime_types: tuple[str, ...] = ()
    max_src_resolution: float = 50.0
    max_animation_frames: int = 1
    max_animation_frame_resolution: float = 0.0
    max_result_dimension: int = 0
    skip_processing_formats: tuple[str, ...] = ()
    sanitize_svg: bool = True
    png_unlimited: bool = False
    svg_unlimited: bool = False
    always_rasterize_svg: bool = False
    pdf_no_background: bool = False
    enable_raw_formats: bool = True
    truncated_images: str = "refuse"
    jpeg_progressive: bool = False
    jpeg_no_subsample: bool = False
    jpeg_trellis_quant: bool = False
    jpeg_overshoot_deringing: bool = False
    jpeg_optimize_scans: bool = False
    jpeg_quant_table: int = 0
    png_interlaced: bool = False
    png_quantize: bool = False
    png_quantization_colors: int = 256
    webp_effort: int = 4
    webp_preset: str = "default"
    webp_compression: str = "lossy"
    webp_smart_subsample: bool = False
    avif_speed: int = 8
    avif_subsample: str = "auto"
    autoquality: AutoQuality = AutoQuality()
    jxl_effort: int = 4
    watermark_opacity: float = 1.0
    best_format_by_default: bool = False
    best_format_complexity_threshold: float = 5.5
    best_format_max_resolution: float = 0.0
    best_format_allow_skips: bool = False
    unsharp_masking: Unsharp = Unsharp()
    color_profiles_dir: str = "/usr/share/color/icc"

    @property
    def unlimited(self) -> frozenset[str]:
        """The formats whose sources are read without limits on metadata and structure."""
        return frozenset(name for name in ("png", "svg") if getattr(self, f"{name}_unlimited"))

    def quality_of(self, format_name: str, options: ProcessingOptions) -> int:
        """The quality to save with: the URL's own, the URL's by format, the operator's by format, the operator's."""
        if options.quality:
            return options.quality
        by_format = dict(options.format_quality).get(format_name) or self.format_quality.get(format_name)
        return by_format or self.quality

    def search_of(self, format_name: str, options: ProcessingOptions, megapixels: float) -> AutoQuality:
        """The quality search for a result of *megapixels*; the URL's bounds override those by format."""
        operator = self.autoquality
        if chosen(options.autoquality.method, operator.method) == "none":
            return _NO_SEARCH
        operator = replace(
            operator,
            minimum=operator.format_min.get(format_name, operator.minimum),
            maximum=operator.format_max.get(format_name, operator.maximum),
        )
        wanted = merged(operator, options.autoquality)
        return replace(wanted, method="none") if 0 < wanted.max_resolution < megapixels else wanted
