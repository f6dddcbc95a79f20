"""Settings of results: formats, colour, metadata."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from imgforge.config.value_types import Base64, Formats, ResultFormat

__all__ = ["ResultSettings"]


class ResultSettings(BaseModel):
    """Processing: formats, colour, metadata, watermarks."""

    default_format: ResultFormat = Field(
        "source",
        description="The format of results whose URL names none; source decides by the original and preferred_formats.",
    )
    preferred_formats: Formats = Field(
        ("jpeg", "png", "gif"),
        min_length=1,
        description="Formats of results whose URL names none, separated by commas: the original's format where it is "
        "in the list, else the first that can hold the result.",
    )
    best_format_by_default: bool = Field(
        False, description="Treat URLs without a format as if they named the format best."
    )
    best_format_complexity_threshold: float = Field(
        5.5,
        ge=0,
        le=8,
        allow_inf_nan=False,
        description="Bits of entropy of a picture's edges below which the format best tries formats without loss as "
        "well; 0 never does.",
    )
    best_format_max_resolution: float = Field(
        0,
        ge=0,
        allow_inf_nan=False,
        description="Maximum megapixels of a result for which the format best tries several formats; above them it "
        "tries one only, and 0 is no limit.",
    )
    best_format_allow_skips: bool = Field(
        False,
        description="Let the format best serve SVG and the formats of skip_processing_formats unprocessed as well.",
    )
    auto_webp: bool = Field(
        False, description="Give WebP to clients whose Accept header names it, where the URL names no format."
    )
    auto_avif: bool = Field(
        False, description="Give AVIF to clients whose Accept header names it, where the URL names no format."
    )
    auto_jxl: bool = Field(
        False, description="Give JPEG XL to clients whose Accept header names it, where the URL names no format."
    )
    enforce_webp: bool = Field(
        False, description="Give WebP to clients whose Accept header names it, whatever format the URL names."
    )
    enforce_avif: bool = Field(
        False, description="Give AVIF to clients whose Accept header names it, whatever format the URL names."
    )
    enforce_jxl: bool = Field(
        False, description="Give JPEG XL to clients whose Accept header names it, whatever format the URL names."
    )
    enable_client_hints: bool = Field(
        False,
        description="Take width and dpr from the request headers Sec-CH-Width, Width, Sec-CH-DPR and DPR where the URL "
        "leaves them open; widths are rounded up to 10 pixels, ratios to quarters up to 8.",
    )
    max_result_dimension: int = Field(
        16384,
        ge=0,
        description="Maximum pixels of the longer side of a result, padding included; the client gets 400 for a "
        "larger one, and 0 is no limit.",
    )
    processing_memory_max_bytes: int = Field(
        0,
        ge=0,
        description="Maximum bytes of pixels in work at once, over all processes, estimated from headers; further "
        "images wait within timeout, but one always proceeds, and 0 is half of the memory.",
    )
    strip_metadata: bool = Field(
        True, description="Remove EXIF, IPTC and XMP metadata from results; what keep_copyright keeps stays."
    )
    strip_metadata_dpi: float = Field(
        72,
        gt=0,
        le=100000,
        allow_inf_nan=False,
        description="Number of dots per inch that results without metadata state as their resolution.",
    )
    keep_copyright: bool = Field(
        True,
        description="Keep EXIF copyright and artist, IPTC credits and XMP rights where strip_metadata removes "
        "metadata.",
    )
    strip_color_profile: bool = Field(True, description="Convert results to sRGB and remove their colour profile.")
    auto_rotate: bool = Field(
        True, description="Turn and mirror images as the orientation in their EXIF metadata says."
    )
    preserve_hdr: bool = Field(
        False, description="Keep 16 bits for each sample where original and result format have them, instead of 8."
    )
    enforce_thumbnail: bool = Field(
        False, description="Take the embedded thumbnail of HEIC and AVIF originals instead of the whole image."
    )
    color_profiles_dir: str = Field(
        "/usr/share/color/icc",
        description="Path of the directory in which the option color_profile finds ICC profiles.",
    )
    use_linear_colorspace: bool = Field(
        False, description="Resize in linear light, which is slower and keeps the brightness of fine detail."
    )
    disable_shrink_on_load: bool = Field(
        False,
        description="Decode JPEG, WebP and HEIC in full size, which is slower, instead of at the size that is needed.",
    )
    skip_processing_formats: Formats = Field(
        (),
        description="Formats of originals, separated by commas, that are served unprocessed where the result has the "
        "same format; empty processes all.",
    )
    png_unlimited: bool = Field(
        False,
        description="Take PNG with any number of chunks, and with texts that unpack to any number of bytes; otherwise"
        " they get 422.",
    )
    svg_unlimited: bool = Field(
        False,
        description="Take SVG of more than 10 MB and of any number of elements, within timeout and the bounds of "
        "memory; otherwise it gets 422.",
    )
    sanitize_svg: bool = Field(True, description="Remove scripts and references to other documents from SVG results.")
    always_rasterize_svg: bool = Field(
        False,
        description="Render SVG originals to pixels also where the URL names no format, unless "
        "skip_processing_formats has svg.",
    )
    pdf_no_background: bool = Field(False, description="Render pages of PDF on transparency instead of on white.")
    enable_raw_formats: bool = Field(True, description="Read camera raw files, where the library for it is installed.")
    watermark_path: str = Field("", description="Path of the image file that is the watermark; empty is none.")
    watermark_data: Base64 = Field(
        b"", description="The image that is the watermark, in base64; it wins over watermark_path. Empty is none."
    )
    watermark_url: str = Field(
        "", description="URL from which the image that is the watermark is fetched; empty is none."
    )
    truncated_images: Literal["refuse", "serve"] = Field(
        "refuse",
        description="What happens to a JPEG, PNG, GIF, TIFF or BMP that ends too early: refuse answers 422; serve "
        "shows it as far as it goes, as imgproxy does, and the answer carries `Source-Truncated: 1`.",
    )
    watermark_preprocess_url: bool = Field(
        False,
        description="Rewrite the URLs of the option watermark_url by url_replacements and base_url, as those of "
        "sources.",
    )
    watermark_opacity: float = Field(
        1,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Opacity of the watermark, as a fraction from 0 (invisible) to 1; the URL's own is multiplied "
        "with it.",
    )
