"""Settings of the encoders."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from imgforge.config._types import FormatQuality

__all__ = ["EncoderSettings"]


class EncoderSettings(BaseModel):
    """How results are written."""

    quality: int = Field(80, ge=1, le=100, description="of lossy formats")
    format_quality: FormatQuality = Field({"webp": 79, "avif": 63, "jxl": 77}, description="quality by format")
    jpeg_progressive: bool = Field(False, description="write progressive JPEG")
    jpeg_no_subsample: bool = Field(False, description="keep the full resolution of colours in JPEG")
    jpeg_trellis_quant: bool = Field(False, description="trellis quantisation, where libvips has mozjpeg")
    jpeg_overshoot_deringing: bool = Field(False, description="overshoot deringing, where libvips has mozjpeg")
    jpeg_optimize_scans: bool = Field(False, description="optimised scans of progressive JPEG, likewise")
    jpeg_quant_table: int = Field(0, ge=0, le=8, description="the quantisation table, likewise")
    png_interlaced: bool = Field(False, description="write interlaced PNG")
    png_quantize: bool = Field(False, description="write PNG with a palette")
    png_quantization_colors: int = Field(256, ge=2, le=256, description="colours of that palette at most")
    webp_compression: Literal["lossy", "near_lossless", "lossless"] = Field("lossy", description="of WebP")
    webp_smart_subsample: bool = Field(False, description="subsample the colours of WebP with more care")
    webp_effort: int = Field(4, ge=0, le=6, description="0 is fast, 6 small")
    webp_preset: Literal["default", "picture", "photo", "drawing", "icon", "text"] = Field(
        "default", description="what the WebP encoder is told of the picture"
    )
    avif_speed: int = Field(8, ge=0, le=9, description="0 is small, 9 fast")
    avif_subsample: Literal["auto", "on", "off"] = Field("auto", description="subsampling of the colours of AVIF")
    jxl_effort: int = Field(4, ge=1, le=9, description="1 is fast, 9 small")
    autoquality_method: Literal["none", "size", "dssim"] = Field("none", description="search the quality by this")
    autoquality_target: float = Field(
        0.02, gt=0, allow_inf_nan=False, description="bytes (size), or distance from the original (dssim)"
    )
    autoquality_min: int = Field(70, ge=1, le=100, description="the least quality of the search")
    autoquality_max: int = Field(80, ge=1, le=100, description="the greatest quality of the search")
    autoquality_allowed_error: float = Field(
        0.002, ge=0, allow_inf_nan=False, description="added to the target of dssim"
    )
    autoquality_format_min: FormatQuality = Field({"avif": 60}, description="the least quality by format")
    autoquality_format_max: FormatQuality = Field({"avif": 65}, description="the greatest quality by format")
    autoquality_max_resolution: float = Field(
        0, ge=0, allow_inf_nan=False, description="megapixels of results beyond which none is searched; 0 is no limit"
    )
    unsharp_masking_mode: Literal["auto", "none", "always"] = Field(
        "none", description="sharpen after shrinking (auto), always, or not"
    )
    unsharp_masking_weight: float = Field(1, gt=0, le=1000, allow_inf_nan=False, description="of the neighbours")
    unsharp_masking_divider: float = Field(24, gt=0, le=10000, allow_inf_nan=False, description="greater is weaker")
