"""AWS Secrets Manager and the Parameter Store of AWS Systems Manager, by botocore."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from imgforge.config.url_masking import mask_user_info

__all__ = ["aws_parameters", "aws_secret"]

_REGION = "us-west-1"  # where nothing names one, as imgproxy has it
_CONNECT, _READ, _TRIES = 5, 10, 2  # seconds, seconds, requests
_MOST_PAGES = 1000  # of ten parameters each


def aws_secret(identity: str, version: str, stage: str, region: str) -> str:
    """The text of the secret *identity*, a name or an ARN: of *version*, else of *stage*, else the current one.

    "" where the secret holds bytes. Raises `LookupError` with the reason.
    """
    chosen = {"VersionId": version} if version else {"VersionStage": stage} if stage else {}
    with _client("secretsmanager", region) as client:
        return str(client.get_secret_value(SecretId=identity, **chosen).get("SecretString") or "")


def aws_parameters(path: str, region: str) -> tuple[dict[str, str], set[str]]:
    """The variables of the parameters below *path*, and the names of those that AWS keeps encrypted.

    The rest of a parameter's path is its name, with underscores for slashes. Raises `LookupError` with the reason.
    """
    values: dict[str, str] = {}
    secret: set[str] = set()
    with _client("ssm", region) as client:
        chosen: dict[str, Any] = {"Path": path, "Recursive": True, "WithDecryption": True}
        for _ in range(_MOST_PAGES):
            answer = client.get_parameters_by_path(**chosen)
            for parameter in answer["Parameters"]:
                if parameter.get("DataType", "text") == "text":
                    name = parameter["Name"].removeprefix(path).removeprefix("/").replace("/", "_")
                    values[name] = parameter["Value"]
                    if parameter.get("Type") == "SecureString":
                        secret.add(name)
            if not answer.get("NextToken"):
                if not values:
                    raise LookupError(_nothing_below(path, client.meta.region_name, region))
                return values, secret
            chosen["NextToken"] = answer["NextToken"]
    raise LookupError(f"{path!r} has more than {_MOST_PAGES} pages of parameters")


def _nothing_below(path: str, region: str, given: str) -> str:
    """The line for a *path* without parameters: in most cases it is in another *region*, which no setting has *given*.

    A server without the settings that were meant to be there would be one without keys.
    """
    name = "IMGFORGE_ENV_AWS_SSM_PARAMETERS_REGION"
    advice = f"check {name} and IMGFORGE_ENV_AWS_SSM_PARAMETERS_PATH" if given else f"set {name}"
    return f"no parameters below {path} in {region}; {advice}"


@contextmanager
def _client(service: str, region: str) -> Iterator[Any]:
    """A client of botocore for *service*; its errors become `LookupError`."""
    try:
        import botocore.config
        import botocore.exceptions
        import botocore.session
    except ImportError:
        raise LookupError("it needs botocore: pip install 'twisted-imgforge[aws]'") from None
    limits = botocore.config.Config(
        connect_timeout=_CONNECT, read_timeout=_READ, retries={"total_max_attempts": _TRIES}
    )
    try:
        session = botocore.session.Session()
        # AWS_REGION is what other SDKs read, and botocore does not.
        found = region or os.environ.get("AWS_REGION") or session.get_config_variable("region") or _REGION
        yield session.create_client(service, region_name=found, config=limits)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ValueError) as error:
        raise LookupError(mask_user_info(f"{type(error).__name__}: {' '.join(str(error).split())}")) from None
