"""Translates the settings of URLs."""

from __future__ import annotations

from imgforge.config import Settings
from imgforge.urls import UrlSettings

__all__ = ["url_settings"]


def url_settings(settings: Settings) -> UrlSettings:
    """The settings of the URL parser."""
    return UrlSettings(
        keys=tuple(zip(settings.key, settings.salt, strict=False)),  # another rule compares their numbers
        signature_size=settings.signature_size,
        trusted_signatures=settings.trusted_signatures,
        allow_unsigned=settings.unsigned_allowed,
        path_prefix=settings.path_prefix,
        arguments_separator=settings.arguments_separator,
        presets=settings.presets,
        info_presets=settings.info_presets,
        only_presets=settings.only_presets,
        info_only_presets=settings.only_presets if settings.info_only_presets == "" else settings.info_only_presets,
        allow_security_options=settings.allow_security_options,
        allow_bypass_cache=settings.allow_bypass_cache,
        allowed_processing_options=frozenset(settings.allowed_processing_options),
        allowed_info_options=frozenset(settings.allowed_info_options),
        max_chained_pipelines=settings.max_chained_pipelines,
        base_url=settings.base_url,
        url_replacements=settings.url_replacements,
        watermark_preprocess_url=settings.watermark_preprocess_url,
        fallback_image_preprocess_url=settings.fallback_image_preprocess_url,
        base64_url_includes_filename=settings.base64_url_includes_filename,
        encryption_key=settings.source_url_encryption_key[0] if settings.source_url_encryption_key else b"",
    )
