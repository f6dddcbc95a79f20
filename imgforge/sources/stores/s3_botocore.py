"""What botocore is asked for: credentials, by all ways that AWS' tools know, and the region of a profile.

These functions block: they read files, and ask metadata services and STS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from imgforge.sources.store_settings import S3Settings
from imgforge.sources.stores.credentials_keeper import CredentialsError, Loaded
from imgforge.sources.stores.s3_signature import Credentials
from imgforge.sources.stores.setting_mistakes import require

__all__ = ["credentials_loader", "profile_region", "require_botocore"]

_TIMEOUT = 5.0  # seconds in which STS has to accept a connection, and for each of its silences
_TRIES = 3  # of a request to STS
_LONGEST_VALID = 1 << 30  # seconds, some 34 years
_NONE_FOUND = (
    "botocore finds none: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the like, or give this "
    "machine a role"
)


def require_botocore() -> None:
    """`StoreMistake` with the command that installs botocore, where it is missing."""
    require("IMGFORGE_USE_S3", "botocore.session", "botocore", "s3")


def profile_region() -> str:
    """The region that the shared configuration file has for the profile in use, or ""."""
    botocore = _botocore()
    session = botocore.session.Session()
    try:
        return str(session.get_config_variable("region") or "")
    except botocore.exceptions.BotoCoreError:  # the load of credentials fails by it again, and says so
        return ""


def credentials_loader(settings: S3Settings, region: str) -> Callable[[], Loaded[Credentials]]:
    """A function that loads the credentials anew each time; STS is asked in *region*."""
    botocore = _botocore()

    def load() -> Loaded[Credentials]:
        session = botocore.session.Session()
        session.set_config_variable("region", region)
        session.set_default_client_config(
            botocore.config.Config(
                connect_timeout=_TIMEOUT, read_timeout=_TIMEOUT, retries={"total_max_attempts": _TRIES}
            )
        )
        try:
            found = session.get_credentials()
            if found is None:
                raise CredentialsError(_NONE_FOUND)
            if settings.assume_role_arn:
                return _assumed_role(session, found.get_frozen_credentials(), settings)
            frozen = found.get_frozen_credentials()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise CredentialsError(f"{type(error).__name__}: {error}") from None
        return Loaded(_credentials(frozen), _seconds_left(found))

    return load


def _assumed_role(session: Any, frozen: Any, settings: S3Settings) -> Loaded[Credentials]:
    client = session.create_client(
        "sts",
        aws_access_key_id=frozen.access_key,
        aws_secret_access_key=frozen.secret_key,
        aws_session_token=frozen.token,
    )
    role = {"RoleArn": settings.assume_role_arn, "RoleSessionName": "imgforge"}
    if settings.assume_role_external_id:
        role["ExternalId"] = settings.assume_role_external_id
    answer = client.assume_role(**role)["Credentials"]
    left = (answer["Expiration"] - datetime.now(UTC)).total_seconds()
    return Loaded(Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]), left)


def _credentials(frozen: Any) -> Credentials:
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")


def _seconds_left(credentials: Any) -> float:
    """How long botocore's *credentials* are valid.

    botocore tells only whether they expire within a given time: a binary search finds the shortest such time.
    """
    expires_within = getattr(credentials, "refresh_needed", None)
    if expires_within is None or not expires_within(_LONGEST_VALID):
        return math.inf
    less, enough = 0, _LONGEST_VALID
    while enough - less > 1:
        middle = (less + enough) // 2
        less, enough = (less, middle) if expires_within(middle) else (middle, enough)
    return float(less)


def _botocore() -> Any:
    """The library; imported where it is needed, for it is an extra, and large."""
    require_botocore()
    import botocore.config
    import botocore.exceptions
    import botocore.session

    return botocore
