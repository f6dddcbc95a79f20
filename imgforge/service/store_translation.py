"""What the object stores need of the settings, in the form in which the stores take it."""

from __future__ import annotations

from imgforge.config import Settings
from imgforge.sources import AzureSettings, BucketRules, GcsSettings, S3Settings, SwiftSettings

__all__ = ["azure_settings", "gcs_settings", "s3_settings", "swift_settings"]


def s3_settings(settings: Settings) -> S3Settings:
    """The settings of S3."""
    return S3Settings(
        region=settings.s3_region,
        endpoint=settings.s3_endpoint,
        path_style=settings.s3_endpoint_use_path_style,
        assume_role_arn=settings.s3_assume_role_arn,
        assume_role_external_id=settings.s3_assume_role_external_id,
        access_points=dict(settings.s3_access_points),
        buckets=BucketRules(settings.s3_allowed_buckets, settings.s3_denied_buckets),
    )


def gcs_settings(settings: Settings) -> GcsSettings:
    """The settings of Google Cloud Storage."""
    return GcsSettings(
        key=settings.gcs_key,
        endpoint=settings.gcs_endpoint,
        buckets=BucketRules(settings.gcs_allowed_buckets, settings.gcs_denied_buckets),
    )


def azure_settings(settings: Settings) -> AzureSettings:
    """The settings of Azure Blob Storage."""
    return AzureSettings(
        account=settings.abs_name,
        key=settings.abs_key,
        endpoint=settings.abs_endpoint,
        buckets=BucketRules(settings.abs_allowed_buckets, settings.abs_denied_buckets),
    )


def swift_settings(settings: Settings) -> SwiftSettings:
    """The settings of Swift."""
    return SwiftSettings(
        username=settings.swift_username,
        api_key=settings.swift_api_key,
        auth_url=settings.swift_auth_url,
        auth_version=settings.swift_auth_version,
        tenant=settings.swift_tenant,
        domain=settings.swift_domain,
        buckets=BucketRules(settings.swift_allowed_buckets, settings.swift_denied_buckets),
    )
