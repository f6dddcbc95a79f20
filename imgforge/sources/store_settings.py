"""What the operator says of each object store; a store without such a value is not served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imgforge.errors import SourceRefused

__all__ = ["AzureSettings", "BucketRules", "BucketUse", "GcsSettings", "S3Settings", "SwiftSettings"]


@dataclass(frozen=True, slots=True)
class BucketRules:
    """Which buckets (containers) URLs may name: those *allowed*, where there are any, and never those *denied*."""

    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()

    def check(self, bucket: str) -> None:
        """`SourceRefused` where no URL may name *bucket*."""
        if bucket in self.denied or (self.allowed and bucket not in self.allowed):
            raise SourceRefused("the source's bucket is not among those that this server allows")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Amazon S3 and stores that are compatible. Credentials come from the environment, see `s3_botocore`."""

    region: str = ""  # "" is AWS_REGION, else us-west-1
    endpoint: str = ""  # "" is Amazon's; without a scheme it is http
    path_style: bool = True  # of `endpoint`
    assume_role_arn: str = ""
    assume_role_external_id: str = field(default="", repr=False)
    access_points: Mapping[str, str] = field(default_factory=dict)  # ARNs by the names that URLs use for buckets
    buckets: BucketRules = BucketRules()


@dataclass(frozen=True, slots=True)
class GcsSettings:
    """Google Cloud Storage."""

    key: str = field(
        default="", repr=False
    )  # a service account's, as JSON text; "" is the environment's or the machine's
    endpoint: str = ""  # "" is Google's
    buckets: BucketRules = BucketRules()


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """Azure Blob Storage."""

    account: str = ""
    key: str = field(default="", repr=False)  # base64; "" is the identity of the environment or the machine
    endpoint: str = ""  # "" is Azure's
    buckets: BucketRules = BucketRules()


@dataclass(frozen=True, slots=True)
class SwiftSettings:
    """OpenStack Swift."""

    username: str = ""
    api_key: str = field(default="", repr=False)
    auth_url: str = ""
    auth_version: int = 0  # 0 takes it from the URL
    tenant: str = ""
    domain: str = ""  # "" is Default
    buckets: BucketRules = BucketRules()


@dataclass(frozen=True, slots=True)
class BucketUse:
    """The bucket that imgforge itself reads and writes, and the store that it is in."""

    bucket: str
    store: S3Settings | GcsSettings | AzureSettings | SwiftSettings
    timeout: float = 30.0  # seconds for one request
