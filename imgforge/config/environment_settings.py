"""Settings of the sources of variables: a file, and secret stores."""

from imgforge.config.fields import Section, setting

__all__ = ["EnvironmentSettings"]

_REGION = "The region of {}; empty is AWS_REGION or that of the profile, else us-west-1."


class EnvironmentSettings(Section):
    """Variables from a file or a secret store."""

    env_local_file_path: str = setting(
        "",
        description="Path of a file of variables, NAME=value on each line. They replace those of the environment; "
        "empty is none.",
    )
    env_aws_secret_id: str = setting(
        "",
        description="Name or ARN of a secret of AWS Secrets Manager that holds such a file; "
        "pip install 'twisted-imgforge[aws]'. Empty is none.",
    )
    env_aws_secret_version_id: str = setting("", description="ID of the version of that secret; empty is the current.")
    env_aws_secret_version_stage: str = setting(
        "", description="Staging label of the version of that secret, where no ID names one; empty is AWSCURRENT."
    )
    env_aws_secret_region: str = setting("", pattern=r"^[a-z0-9-]*$", description=_REGION.format("that secret"))
    env_aws_ssm_parameters_path: str = setting(
        "",
        description="Path of parameters of AWS Systems Manager, each of which holds one variable; the rest of a "
        "parameter's path is its name. Empty is none.",
    )
    env_aws_ssm_parameters_region: str = setting(
        "", pattern=r"^[a-z0-9-]*$", description=_REGION.format("those parameters")
    )
    env_gcp_secret_id: str = setting(
        "",
        description="Name of a secret of Google Cloud Secret Manager that holds such a file; "
        "pip install 'twisted-imgforge[gcs]'. Empty is none.",
    )
    env_gcp_secret_version_id: str = setting("", description="ID of the version of that secret; empty is the latest.")
    env_gcp_secret_project_id: str = setting(
        "", description="Name or number of the project that has that secret; needed with env_gcp_secret_id."
    )
    env_gcp_key: str = setting(
        "",
        description="Key of a Google service account for that secret, as JSON text; empty is "
        "GOOGLE_APPLICATION_CREDENTIALS or the machine's account.",
    )
