"""Settings of object stores that originals come from: S3, Google Cloud Storage, Azure Blob Storage, Swift."""

from imgforge.config.fields import Section, setting
from imgforge.config.value_types import Pairs, Words

__all__ = ["StoresSettings"]

_ALLOWED = "Names of the {} that URLs may name, separated by commas; empty allows all that are not denied."
_DENIED = "Names of the {} that no URL may name, separated by commas, even where they are allowed."


class StoresSettings(Section):
    """Object stores."""

    use_s3: bool = setting(
        False,
        description="Serve s3://bucket/key sources from Amazon S3 or a compatible store. Credentials are those of the "
        "AWS_* variables, ~/.aws or the machine's role; pip install 'twisted-imgforge[s3]'.",
    )
    s3_region: str = setting(
        "",
        pattern=r"^[a-z0-9-]*$",
        description="The region of S3; empty is AWS_REGION, else us-west-1. Buckets of other regions are found.",
    )
    s3_endpoint: str = setting(
        "",
        pattern=r"^[\x21-\x7e]*$",
        description="URL of an S3-compatible store, such as http://minio:9000; without a scheme it is http, and empty "
        "is Amazon's.",
    )
    s3_endpoint_use_path_style: bool = setting(
        True,
        description="Name the bucket in the path of s3_endpoint; otherwise in the host, as in bucket.store.example.",
    )
    s3_assume_role_arn: str = setting("", description="ARN of a role to assume for S3; empty is none.")
    s3_assume_role_external_id: str = setting(
        "", description="External ID that the role of s3_assume_role_arn asks for; empty is none."
    )
    s3_allowed_buckets: Words = setting((), description=_ALLOWED.format("S3 buckets"))
    s3_denied_buckets: Words = setting((), description=_DENIED.format("S3 buckets"))
    s3_access_points: Pairs = setting(
        (),
        description="S3 access points as name=arn pairs, separated by semicolons; URLs name one in place of a bucket.",
    )
    use_gcs: bool = setting(
        False,
        description="Serve gs://bucket/object sources from Google Cloud Storage; pip install 'twisted-imgforge[gcs]'.",
    )
    gcs_key: str = setting(
        "",
        description="Key of a Google service account, as JSON text; empty is GOOGLE_APPLICATION_CREDENTIALS or the "
        "machine's account.",
    )
    gcs_endpoint: str = setting(
        "",
        pattern=r"^[\x21-\x7e]*$",
        description="URL of a store that speaks Google Cloud Storage's JSON API, with or without /storage/v1/; empty "
        "is Google's.",
    )
    gcs_allowed_buckets: Words = setting((), description=_ALLOWED.format("Google buckets"))
    gcs_denied_buckets: Words = setting((), description=_DENIED.format("Google buckets"))
    use_abs: bool = setting(False, description="Serve abs://container/blob sources from Azure Blob Storage.")
    abs_name: str = setting("", pattern=r"^[a-z0-9]*$", description="Name of the Azure storage account.")
    abs_key: str = setting(
        "",
        description="Key of the Azure storage account, base64; empty is the identity of the AZURE_* variables or of "
        "the machine, and needs pip install 'twisted-imgforge[azure]'.",
    )
    abs_endpoint: str = setting(
        "",
        pattern=r"^[\x21-\x7e]*$",
        description="URL of a store that speaks Azure's API, such as http://127.0.0.1:10000/account; empty is Azure's.",
    )
    abs_allowed_buckets: Words = setting((), description=_ALLOWED.format("Azure containers"))
    abs_denied_buckets: Words = setting((), description=_DENIED.format("Azure containers"))
    use_swift: bool = setting(False, description="Serve swift://container/object sources from OpenStack Swift.")
    swift_username: str = setting("", description="Name of the user of Swift.")
    swift_api_key: str = setting("", description="Password or API key of the user of Swift.")
    swift_auth_url: str = setting(
        "",
        pattern=r"^(https?://[\x21-\x7e]+)?$",
        description="URL of the authentication service of Swift (Keystone or tempauth).",
    )
    swift_auth_version: int = setting(
        0,
        ge=0,
        le=3,
        description="Version number of Swift's authentication: 1, 2 or 3; 0 takes it from swift_auth_url.",
    )
    swift_tenant: str = setting("", description="Tenant (project) of the user of Swift, for versions 2 and 3.")
    swift_domain: str = setting("", description="Domain of the user of Swift, for version 3; empty is Default.")
    swift_allowed_buckets: Words = setting((), description=_ALLOWED.format("Swift containers"))
    swift_denied_buckets: Words = setting((), description=_DENIED.format("Swift containers"))
