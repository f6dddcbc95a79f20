"""Google Cloud Secret Manager, by google-auth and its REST interface."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from typing import Any
from urllib.parse import quote

from imgforge.config.url_masking import mask_user_info

__all__ = ["gcp_secret"]

_GOOGLE = "https://secretmanager.googleapis.com"
# The name that gcloud has for another endpoint, such as a regional or a private one.
_ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_PATIENCE = 10.0  # seconds for a request
_LONGEST = 1024 * 1024  # bytes of an answer; Google's secrets have 64 KiB at most


def gcp_secret(project: str, identity: str, version: str, key: str) -> str:
    """The text of *version*, or the latest one, of the secret *identity* of *project*.

    *key* is a service account's as JSON text; "" takes the account of the environment or of the machine. Raises
    `LookupError` with the reason.
    """
    try:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import AuthorizedSession
        from requests.exceptions import RequestException
    except ImportError:
        raise LookupError("it needs google-auth: pip install 'twisted-imgforge[gcs]'") from None
    names = (quote(name, safe="") for name in (project, identity, version or "latest"))
    url = "{}/v1/projects/{}/secrets/{}/versions/{}:access".format(_endpoint(), *names)
    try:
        credentials = _credentials_of(key) if key else google.auth.default(scopes=_SCOPES)[0]
        with AuthorizedSession(credentials) as session:
            answer = session.get(url, timeout=_PATIENCE, allow_redirects=False, stream=True)
            body = answer.raw.read(_LONGEST + 1, decode_content=True)
    except GoogleAuthError as error:  # further arguments repeat what the first says
        said = str(error.args[0] if error.args else error).strip().partition("\n")[0]
        raise LookupError(mask_user_info(said)) from None
    except RequestException as error:
        raise LookupError(mask_user_info(f"{type(error).__name__} at {_endpoint()}")) from None
    if answer.status_code != 200:
        raise LookupError(f"it answered {answer.status_code} {_message(body)}".rstrip())
    try:
        text = b64decode(json.loads(body)["payload"].get("data", ""), validate=True).decode()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LookupError("its answer holds no text") from None
    return text


def _endpoint() -> str:
    return (os.environ.get(_ENDPOINT) or _GOOGLE).rstrip("/")


def _credentials_of(key: str) -> Any:
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2.service_account import Credentials

    try:
        info = json.loads(key)
        if info.get("type") == "service_account":
            return Credentials.from_service_account_info(info, scopes=_SCOPES)
    except (ValueError, TypeError, AttributeError, GoogleAuthError):  # their texts may quote the key
        pass
    raise LookupError("IMGFORGE_ENV_GCP_KEY must hold the key of a service account as JSON text")


def _message(body: bytes) -> str:
    """What an answer of Google's says about an error, in one line of 200 characters at most."""
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return "".join(char for char in str(message)[:200] if char.isprintable())
