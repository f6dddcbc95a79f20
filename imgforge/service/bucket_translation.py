"""Translates the settings of the bucket that the cache is in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from imgforge.config import Settings
from imgforge.sources import AzureSettings, BucketUse, GcsSettings, S3Settings, SwiftSettings

if TYPE_CHECKING:
    from imgforge.cache import BucketSettings

__all__ = ["bucket_settings", "bucket_use"]

_TIMEOUT = 30.0  # seconds of a request; a look-up has IMGFORGE_CACHE_SHARED_TIMEOUT


def _s3(settings: Settings) -> S3Settings:
    return S3Settings(
        region=settings.cache_s3_region,
        endpoint=settings.cache_s3_endpoint,
        path_style=settings.cache_s3_endpoint_use_path_style,
        assume_role_arn=settings.cache_s3_assume_role_arn,
        assume_role_external_id=settings.cache_s3_assume_role_external_id,
    )


def _gcs(settings: Settings) -> GcsSettings:
    return GcsSettings(key=settings.cache_gcs_key, endpoint=settings.cache_gcs_endpoint)


def _azure(settings: Settings) -> AzureSettings:
    return AzureSettings(settings.cache_abs_name, settings.cache_abs_key, settings.cache_abs_endpoint)


def _swift(settings: Settings) -> SwiftSettings:
    return SwiftSettings(
        username=settings.cache_swift_username,
        api_key=settings.cache_swift_api_key,
        auth_url=settings.cache_swift_auth_url,
        auth_version=settings.cache_swift_auth_version,
        tenant=settings.cache_swift_tenant,
        domain=settings.cache_swift_domain,
    )


_STORES: Mapping[str, Callable[[Settings], S3Settings | GcsSettings | AzureSettings | SwiftSettings]] = {
    "s3": _s3,
    "gcs": _gcs,
    "abs": _azure,
    "swift": _swift,
}


def bucket_use(settings: Settings) -> BucketUse | None:
    """The bucket of the cache; None where the cache is in none, or the bucket has no name."""
    make = _STORES.get(settings.cache_use)
    if make is None or not settings.cache_bucket:
        return None
    timeout = settings.cache_swift_timeout_seconds if settings.cache_use == "swift" else _TIMEOUT
    return BucketUse(settings.cache_bucket, make(settings), timeout)


def bucket_settings(settings: Settings) -> BucketSettings | None:
    """What the tier in a bucket needs; None where the cache is in none."""
    use = bucket_use(settings)
    if use is None:
        return None
    from imgforge.cache import BucketSettings
    from imgforge.service.translation import source_settings
    from imgforge.sources import bucket_mistakes, open_bucket

    open_it = partial(open_bucket, settings=source_settings(settings), use=use)
    return BucketSettings(open_it, settings.cache_path_prefix, partial(bucket_mistakes, use))
