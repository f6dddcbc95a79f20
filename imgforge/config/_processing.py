"""Settings of results: formats, colour, metadata."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from imgforge.config._types import Base64, Formats, ResultFormat

__all__ = ["ResultSettings"]


class ResultSettings(BaseModel):
    """What is made of originals."""

    default_format: ResultFormat = Field(
        "source", description="the format where the URL names none; source keeps the original's"
    )
    preferred_formats: Formats = Field(
        ("jpeg", "png", "gif"),
        min_length=1,
        description="where the URL names no format: the source's own if it is one of these, else the first that holds"
        " the result",
    )
    best_format_by_default: bool = Field(False, description="as if URLs without a format said `best`")
    best_format_complexity_threshold: float = Field(
        5.5, ge=0, le=8, allow_inf_nan=False, description="bits of edges below which `best` tries formats without loss"
    )
    best_format_max_resolution: float = Field(
        0, ge=0, allow_inf_nan=False, description="megapixels beyond which `best` tries one format only; 0 is no limit"
    )
    best_format_allow_skips: bool = Field(
        False, description="`best` serves SVG and the formats to skip as they are, too"
    )
    auto_webp: bool = Field(False, description="WebP for clients that take it, where the URL names no format")
    auto_avif: bool = Field(False, description="AVIF for clients that take it, where the URL names no format")
    auto_jxl: bool = Field(False, description="JPEG XL for clients that take it, where the URL names no format")
    enforce_webp: bool = Field(False, description="WebP for clients that take it, whatever the URL names")
    enforce_avif: bool = Field(False, description="AVIF for clients that take it, whatever the URL names")
    enforce_jxl: bool = Field(False, description="JPEG XL for clients that take it, whatever the URL names")
    max_result_dimension: int = Field(
        16384, ge=0, description="pixels of the longest side of a result, padding included; 0 is no limit"
    )
    processing_memory_max_bytes: int = Field(
        0,
        ge=0,
        description="bytes of pixels that are worked on at once, over all processes, by estimates from headers; who "
        "needs more waits, but one image alone never does; 0 is half of the memory",
    )
    strip_metadata: bool = Field(True, description="remove EXIF, IPTC and XMP")
    strip_metadata_dpi: float = Field(
        72, gt=0, le=100000, allow_inf_nan=False, description="the resolution of results without metadata"
    )
    keep_copyright: bool = Field(True, description="but for the copyright")
    strip_color_profile: bool = Field(True, description="convert to sRGB and remove the profile")
    auto_rotate: bool = Field(True, description="obey the EXIF orientation")
    preserve_hdr: bool = Field(False, description="keep 16 bits where the format can")
    enforce_thumbnail: bool = Field(False, description="use the thumbnail that a HEIC or AVIF carries")
    color_profiles_dir: str = Field("/usr/share/color/icc", description="where color_profile: finds profiles")
    use_linear_colorspace: bool = Field(False, description="resize in linear light: slower, truer")
    disable_shrink_on_load: bool = Field(False, description="decode JPEG, WebP and HEIC in full")
    skip_processing_formats: Formats = Field((), description="originals of these formats are served as they are")
    png_unlimited: bool = Field(
        False, description="PNG may have any number of chunks, and texts that unpack to anything"
    )
    svg_unlimited: bool = Field(
        False, description="SVG may have more than 10 MB and any number of elements; time and memory stay bounded"
    )
    sanitize_svg: bool = Field(True, description="remove scripts and foreign references from SVG")
    always_rasterize_svg: bool = Field(
        False, description="SVG becomes pixels even where the URL names no format, unless it is to be skipped"
    )
    pdf_no_background: bool = Field(False, description="draw the pages of PDF on nothing instead of on white")
    enable_raw_formats: bool = Field(True, description="read camera raw, where the extra for it is installed")
    truncated_images: Literal["refuse", "serve"] = Field(
        "refuse",
        description="what becomes of a JPEG, PNG, GIF, TIFF or BMP that ends too early: refuse answers 422; serve shows"
        " it as far as it goes, as imgproxy does, and the answer says `Source-Truncated: 1`",
    )
    watermark_path: str = Field("", description="a file with the watermark")
    watermark_data: Base64 = Field(b"", description="the watermark itself, as base64")
    watermark_url: str = Field("", description="where to fetch the watermark")
    watermark_preprocess_url: bool = Field(
        False, description="rewrite the URLs of `watermark_url:` as sources are, by url_replacements and base_url"
    )
    watermark_opacity: float = Field(
        1, ge=0, le=1, allow_inf_nan=False, description="of the watermark, times the URL's own"
    )
