"""Settings of the encoders."""

from typing import Literal

from imgforge.config.fields import Section, setting
from imgforge.config.value_types import FormatQuality

__all__ = ["EncoderSettings"]


class EncoderSettings(Section):
    """Encoders: quality and effort by format."""

    quality: int = setting(
        80,
        ge=1,
        le=100,
        description="Quality of lossy formats in percent, where neither the URL nor format_quality says it; more is "
        "larger and truer.",
    )
    format_quality: FormatQuality = setting(
        {"webp": 79, "avif": 63, "jxl": 77},
        description="Quality of lossy formats in percent by format, as format=quality pairs separated by commas; it "
        "wins over quality.",
    )
    jpeg_progressive: bool = setting(
        False, description="Write progressive JPEG, which appears coarse first and then sharpens."
    )
    jpeg_no_subsample: bool = setting(
        False, description="Keep the full resolution of colours in JPEG, instead of half of it in each direction."
    )
    jpeg_trellis_quant: bool = setting(
        False, description="Use trellis quantisation for smaller JPEG; it takes effect only where libvips has mozjpeg."
    )
    jpeg_overshoot_deringing: bool = setting(
        False, description="Reduce ringing around hard edges in JPEG; it takes effect only where libvips has mozjpeg."
    )
    jpeg_optimize_scans: bool = setting(
        False,
        description="Optimise the scans of progressive JPEG for size; it takes effect only where libvips has mozjpeg.",
    )
    jpeg_quant_table: int = setting(
        0,
        ge=0,
        le=8,
        description="Number of the quantisation table of JPEG; 0 is the standard's, and others take effect only where"
        " libvips has mozjpeg.",
    )
    png_interlaced: bool = setting(False, description="Write interlaced PNG, which appears coarse first and is larger.")
    png_quantize: bool = setting(False, description="Write PNG with a palette, which is lossy and smaller.")
    png_quantization_colors: int = setting(
        256, ge=2, le=256, description="Maximum number of colours in the palette of PNG, where png_quantize is on."
    )
    webp_compression: Literal["lossy", "near_lossless", "lossless"] = setting(
        "lossy",
        description="Compression of WebP: lossy by quality, lossless, or near_lossless for lossless coding of "
        "slightly changed pixels.",
    )
    webp_smart_subsample: bool = setting(
        False, description="Subsample the colours of WebP with a slower method that keeps edges sharp."
    )
    webp_effort: int = setting(
        4,
        ge=0,
        le=6,
        description="Effort of the WebP encoder, as a number of its scale: 0 is fastest, 6 makes the smallest files.",
    )
    webp_preset: Literal["default", "picture", "photo", "drawing", "icon", "text"] = setting(
        "default", description="Kind of picture that the WebP encoder is tuned for."
    )
    avif_speed: int = setting(
        8,
        ge=0,
        le=9,
        description="Speed of the AVIF encoder, as a number of its scale: 0 makes the smallest files, 9 is fastest.",
    )
    avif_subsample: Literal["auto", "on", "off"] = setting(
        "auto",
        description="Subsampling of colours in AVIF: on halves their resolution, off keeps it, auto decides by the "
        "quality.",
    )
    jxl_effort: int = setting(
        4,
        ge=1,
        le=9,
        description="Effort of the JPEG XL encoder, as a number of its scale: 1 is fastest, 9 makes the smallest "
        "files.",
    )
    autoquality_method: Literal["none", "size", "dssim"] = setting(
        "none",
        description="How the quality is searched: none keeps it fixed, size aims at a number of bytes, dssim at a "
        "distance from the original.",
    )
    autoquality_target: float = setting(
        0.02,
        gt=0,
        description="Maximum bytes of a result for the method size, or its structural distance (DSSIM, 0 is equal) "
        "for dssim.",
    )
    autoquality_min: int = setting(70, ge=1, le=100, description="Lowest quality in percent that autoquality tries.")
    autoquality_max: int = setting(80, ge=1, le=100, description="Highest quality in percent that autoquality tries.")
    autoquality_allowed_error: float = setting(
        0.002,
        ge=0,
        description="Structural distance (DSSIM) that the method dssim takes beyond autoquality_target.",
    )
    autoquality_format_min: FormatQuality = setting(
        {"avif": 60},
        description="Lowest quality in percent that autoquality tries by format, as format=quality pairs separated by"
        " commas; it wins over autoquality_min.",
    )
    autoquality_format_max: FormatQuality = setting(
        {"avif": 65},
        description="Highest quality in percent that autoquality tries by format, as format=quality pairs separated "
        "by commas; it wins over autoquality_max.",
    )
    autoquality_max_resolution: float = setting(
        0,
        ge=0,
        description="Maximum megapixels of a result for which autoquality searches; above them the quality is fixed, "
        "and 0 is no limit.",
    )
    unsharp_masking_mode: Literal["auto", "none", "always"] = setting(
        "none", description="When results are sharpened a little: auto after shrinking, always, or none."
    )
    unsharp_masking_weight: float = setting(
        1,
        gt=0,
        le=1000,
        description="Weight of the neighbouring pixels in unsharp masking, as a factor; more sharpens more.",
    )
    unsharp_masking_divider: float = setting(
        24,
        gt=0,
        le=10000,
        description="Divisor of unsharp masking, as a factor: its strength is unsharp_masking_weight divided by it.",
    )
