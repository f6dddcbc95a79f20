"""Settings of the bucket that a fleet's cache is in: imgproxy Pro's names."""

import re
from typing import Annotated, Any

from imgforge.config.fields import Reads, Section, setting

__all__ = ["BUCKETS", "CacheBucketsSettings"]

# The values of cache_use that are stores with buckets.
BUCKETS = frozenset({"s3", "gcs", "abs", "swift"})

_LONGEST_PREFIX = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


def _prefix(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be text")
    prefix = value.strip("/")
    parts = prefix.split("/") if prefix else []
    if len(prefix) > _LONGEST_PREFIX or _UNPRINTABLE.search(prefix) or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(
            f"must be the beginning of objects' names, such as images/cache: at most {_LONGEST_PREFIX} printable "
            "characters, and no empty part, . or .. between slashes"
        )
    return prefix


class CacheBucketsSettings(Section):
    """Cache in a bucket."""

    cache_bucket: str = setting(
        "",
        pattern=r"^[\x21-\x7e]{0,255}$",
        description="Name of the bucket or container of the cache; cache_use s3, gcs, abs and swift need it.",
    )
    cache_path_prefix: Annotated[str, Reads(_prefix)] = setting(
        "",
        description="What the names of the cache's objects begin with, before a slash and a hash; empty is nothing.",
    )
    cache_s3_region: str = setting(
        "",
        pattern=r"^[a-z0-9-]*$",
        description="The region of the cache's S3 bucket; empty is AWS_REGION, else us-west-1.",
    )
    cache_s3_endpoint: str = setting(
        "",
        pattern=r"^[\x21-\x7e]*$",
        description="URL of the S3-compatible store of the cache, such as http://minio:9000; without a scheme it is "
        "http, and empty is Amazon's.",
    )
    cache_s3_endpoint_use_path_style: bool = setting(
        True,
        description="Name the cache's bucket in the path of cache_s3_endpoint; otherwise in the host, as in "
        "bucket.store.example.",
    )
    cache_s3_assume_role_arn: str = setting(
        "",
        description="ARN of a role to assume for the cache's bucket; empty is none. The credentials are those of the "
        "AWS_* variables, ~/.aws or the machine's role, as for sources.",
    )
    cache_s3_assume_role_external_id: str = setting(
        "", description="External ID that the role of cache_s3_assume_role_arn asks for; empty is none."
    )
    cache_gcs_key: str = setting(
        "",
        description="Key of a Google service account that may write to the cache's bucket, as JSON text; empty is "
        "GOOGLE_APPLICATION_CREDENTIALS or the machine's account.",
    )
    cache_gcs_endpoint: str = setting(
        "",
        pattern=r"^[\x21-\x7e]*$",
        description="URL of the cache's store where it speaks Google Cloud Storage's JSON API; empty is Google's.",
    )
    cache_abs_name: str = setting(
        "", pattern=r"^[a-z0-9]*$", description="Name of the Azure storage account of the cache."
    )
    cache_abs_key: str = setting(
        "",
        description="Key of the Azure storage account of the cache, base64; empty is the identity of the AZURE_* "
        "variables or of the machine.",
    )
    cache_abs_endpoint: str = setting(
        "",
        pattern=r"^[\x21-\x7e]*$",
        description="URL of the cache's store where it speaks Azure's API; empty is Azure's.",
    )
    cache_swift_username: str = setting("", description="Name of the user of Swift that owns the cache.")
    cache_swift_api_key: str = setting("", description="Password or API key of the user of cache_swift_username.")
    cache_swift_auth_url: str = setting(
        "",
        pattern=r"^(https?://[\x21-\x7e]+)?$",
        description="URL of the authentication service of the cache's Swift (Keystone or tempauth).",
    )
    cache_swift_auth_version: int = setting(
        0,
        ge=0,
        le=3,
        description="Version number of the authentication of the cache's Swift: 1, 2 or 3; 0 takes it from "
        "cache_swift_auth_url.",
    )
    cache_swift_tenant: str = setting(
        "", description="Tenant (project) of the user of cache_swift_username, for versions 2 and 3."
    )
    cache_swift_domain: str = setting(
        "", description="Domain of the user of cache_swift_username, for version 3; empty is Default."
    )
    cache_swift_timeout_seconds: float = setting(
        60,
        gt=0,
        le=3600,
        description="Maximum seconds of a request to the cache's Swift, from the connection to the last byte; beyond "
        "them it fails. A client waits for cache_shared_timeout only.",
    )
