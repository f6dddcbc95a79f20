"""Settings of results: formats, colour, metadata."""

from typing import Literal

from imgforge.config.fields import Section, setting
from imgforge.config.value_types import Base64, Formats, ResultFormat

__all__ = ["ResultSettings"]


class ResultSettings(Section):
    """Processing: formats, colour, metadata, watermarks."""

    default_format: ResultFormat = setting(
        "source",
        description="The format of results whose URL names none; source decides by the original and preferred_formats.",
    )
    preferred_formats: Formats = setting(
        ("jpeg", "png", "gif"),
        min_length=1,
        description="Formats of results whose URL names none, separated by commas: the original's format where it is "
        "in the list, else the first that can hold the result.",
    )
    best_format_by_default: bool = setting(
        False, description="Treat URLs without a format as if they named the format best."
    )
    best_format_complexity_threshold: float = setting(
        5.5,
        ge=0,
        le=8,
        description="Bits of entropy of a picture's edges below which the format best tries formats without loss as "
        "well; 0 never does.",
    )
    best_format_max_resolution: float = setting(
        0,
        ge=0,
        description="Maximum megapixels of a result for which the format best tries several formats; above them it "
        "tries one only, and 0 is no limit.",
    )
    best_format_allow_skips: bool = setting(
        False,
        description="Let the format best serve SVG and the formats of skip_processing_formats unprocessed as well.",
    )
    auto_webp: bool = setting(
        False, description="Give WebP to clients whose Accept header names it, where the URL names no format."
    )
    auto_avif: bool = setting(
        False, description="Give AVIF to clients whose Accept header names it, where the URL names no format."
    )
    auto_jxl: bool = setting(
        False, description="Give JPEG XL to clients whose Accept header names it, where the URL names no format."
    )
    enforce_webp: bool = setting(
        False, description="Give WebP to clients whose Accept header names it, whatever format the URL names."
    )
    enforce_avif: bool = setting(
        False, description="Give AVIF to clients whose Accept header names it, whatever format the URL names."
    )
    enforce_jxl: bool = setting(
        False, description="Give JPEG XL to clients whose Accept header names it, whatever format the URL names."
    )
    enable_client_hints: bool = setting(
        False,
        description="Take width and dpr from the request headers Sec-CH-Width, Width, Sec-CH-DPR and DPR where the URL "
        "leaves them open; widths are rounded up to 10 pixels, ratios to quarters up to 8.",
    )
    max_result_dimension: int = setting(
        16384,
        ge=0,
        description="Maximum pixels of the longer side of a result, padding included; the client gets 400 for a "
        "larger one, and 0 is no limit.",
    )
    processing_memory_max_bytes: int = setting(
        0,
        ge=0,
        description="Maximum bytes of pixels in work at once, over all processes, estimated from headers; further "
        "images wait within timeout, but one always proceeds, and 0 is half of the memory.",
    )
    strip_metadata: bool = setting(
        True, description="Remove EXIF, IPTC and XMP metadata from results; what keep_copyright keeps stays."
    )
    strip_metadata_dpi: float = setting(
        72,
        gt=0,
        le=100000,
        description="Number of dots per inch that results without metadata state as their resolution.",
    )
    keep_copyright: bool = setting(
        True,
        description="Keep EXIF copyright and artist, IPTC credits and XMP rights where strip_metadata removes "
        "metadata.",
    )
    strip_color_profile: bool = setting(True, description="Convert results to sRGB and remove their colour profile.")
    auto_rotate: bool = setting(
        True, description="Turn and mirror images as the orientation in their EXIF metadata says."
    )
    preserve_hdr: bool = setting(
        False, description="Keep 16 bits for each sample where original and result format have them, instead of 8."
    )
    enforce_thumbnail: bool = setting(
        False, description="Take the embedded thumbnail of HEIC and AVIF originals instead of the whole image."
    )
    color_profiles_dir: str = setting(
        "/usr/share/color/icc",
        description="Path of the directory in which the option color_profile finds ICC profiles.",
    )
    use_linear_colorspace: bool = setting(
        False, description="Resize in linear light, which is slower and keeps the brightness of fine detail."
    )
    disable_shrink_on_load: bool = setting(
        False,
        description="Decode JPEG, WebP and HEIC in full size, which is slower, instead of at the size that is needed.",
    )
    skip_processing_formats: Formats = setting(
        (),
        description="Formats of originals, separated by commas, that are served unprocessed where the result has the "
        "same format; empty processes all.",
    )
    png_unlimited: bool = setting(
        False,
        description="Take PNG with any number of chunks, and with texts that unpack to any number of bytes; otherwise"
        " they get 422.",
    )
    svg_unlimited: bool = setting(
        False,
        description="Take SVG of more than 10 MB and of any number of elements, within timeout and the bounds of "
        "memory; otherwise it gets 422.",
    )
    sanitize_svg: bool = setting(True, description="Remove scripts and references to other documents from SVG results.")
    always_rasterize_svg: bool = setting(
        False,
        description="Render SVG originals to pixels also where the URL names no format, unless "
        "skip_processing_formats has svg.",
    )
    pdf_no_background: bool = setting(False, description="Render pages of PDF on transparency instead of on white.")
    enable_raw_formats: bool = setting(
        True, description="Read camera raw files, where the library for it is installed."
    )
    watermark_path: str = setting("", description="Path of the image file that is the watermark; empty is none.")
    watermark_data: Base64 = setting(
        b"", description="The image that is the watermark, in base64; it wins over watermark_path. Empty is none."
    )
    watermark_url: str = setting(
        "", description="URL from which the image that is the watermark is fetched; empty is none."
    )
    truncated_images: Literal["refuse", "serve"] = setting(
        "refuse",
        description="What happens to a JPEG, PNG, GIF, TIFF or BMP that ends too early: refuse answers 422; serve "
        "shows it as far as it goes, as imgproxy does, and the answer carries `Source-Truncated: 1`.",
    )
    watermark_preprocess_url: bool = setting(
        False,
        description="Rewrite the URLs of the option watermark_url by url_replacements and base_url, as those of "
        "sources.",
    )
    watermark_opacity: float = setting(
        1,
        ge=0,
        le=1,
        description="Opacity of the watermark, as a fraction from 0 (invisible) to 1; the URL's own is multiplied "
        "with it.",
    )
