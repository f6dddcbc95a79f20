"""Tokens for Google Cloud Storage, by google-auth: of a key, a file, workload identity, or the metadata server.

They are sent to Google, and to other endpoints only where the operator names credentials.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC
from functools import partial
from time import time
from typing import Any
from urllib.parse import urlsplit

from imgforge.sources.store_settings import GcsSettings
from imgforge.sources.stores.credentials_keeper import CredentialsError, Loaded
from imgforge.sources.stores.setting_mistakes import StoreMistake, endpoint_url, require

__all__ = ["endpoint_of", "is_google", "needs_token", "token_loader"]

_SCOPE = "https://www.googleapis.com/auth/devstorage.{}"
_GOOGLE = "https://storage.googleapis.com"
_FILE, _METADATA_HOST = "GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"
_PATIENCE = 10.0  # seconds for one request to a token endpoint; google-auth repeats it a few times
_UNKNOWN_LIFE = 300.0  # seconds, for a token that does not say when it expires


def endpoint_of(settings: GcsSettings) -> str:
    """The URL of the endpoint; `StoreMistake` for one that cannot be used."""
    return endpoint_url("IMGFORGE_GCS_ENDPOINT", settings.endpoint or _GOOGLE)


def is_google(endpoint: str) -> bool:
    """Whether the URL *endpoint* is one of Google's own."""
    return (urlsplit(endpoint).hostname or "").endswith(".googleapis.com")


def needs_token(settings: GcsSettings) -> bool:
    """Whether requests carry a token: always to Google, elsewhere where the operator names credentials.

    An emulator asks for none, and gets none of Google's by chance.
    """
    named = settings.key or os.environ.get(_FILE) or os.environ.get(_METADATA_HOST)
    return bool(named) or is_google(endpoint_of(settings))


def token_loader(key: str, *, writes: bool = False) -> Callable[[], Loaded[str]]:
    """A function that loads an Authorization header, and blocks while it does.

    The header allows to read, and where it *writes* to write as well.
    *key* is a service account's as JSON text; "" takes the account of the environment or of the machine.
    `StoreMistake` for a key that cannot be used, and without google-auth.
    """
    for module in ("google.auth.transport.requests", "requests"):
        require("IMGFORGE_USE_GCS", module, "google-auth", "gcs")
    scopes = (_SCOPE.format("read_write" if writes else "read_only"),)
    of_key = _credentials_of(key, scopes) if key else None

    def load() -> Loaded[str]:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        request = partial(Request(), timeout=_PATIENCE)
        try:
            credentials = of_key or _found_credentials(request, scopes)
            credentials.refresh(request)
        except GoogleAuthError as error:  # further arguments repeat what the first says
            reason = str(error.args[0] if error.args else error).strip()
            raise CredentialsError(f"{reason} (check IMGFORGE_GCS_KEY or {_FILE})") from None
        expiry = credentials.expiry  # in UTC, without a zone
        seconds = _UNKNOWN_LIFE if expiry is None else expiry.replace(tzinfo=UTC).timestamp() - time()
        return Loaded(f"Bearer {credentials.token}", seconds)

    return load


def _credentials_of(key: str, scopes: tuple[str, ...]) -> Any:
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2.service_account import Credentials

    try:
        info = json.loads(key)
    except ValueError:  # its text would quote the key
        raise StoreMistake("IMGFORGE_GCS_KEY must hold the key of a service account as JSON text") from None
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise StoreMistake("IMGFORGE_GCS_KEY must hold JSON with the type service_account")
    try:
        return Credentials.from_service_account_info(info, scopes=scopes)
    except (GoogleAuthError, ValueError, TypeError) as error:
        raise StoreMistake(f"IMGFORGE_GCS_KEY holds no usable key: {_first_line(error)}") from None


def _found_credentials(request: Any, scopes: tuple[str, ...]) -> Any:
    import google.auth
    from google.auth import compute_engine
    from google.auth.credentials import with_scopes_if_required

    # What is named is taken as it is. google.auth.default would look for a metadata server at its usual address first,
    # and ask Google for the project of a workload identity.
    if os.environ.get(_FILE):
        credentials, _ = google.auth.load_credentials_from_file(os.environ[_FILE], request=request)
        return with_scopes_if_required(credentials, scopes)
    if os.environ.get(_METADATA_HOST):
        return compute_engine.Credentials(scopes=scopes)
    credentials, _ = google.auth.default(scopes=scopes, request=request)
    return credentials


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
