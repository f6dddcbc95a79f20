"""Authentication with OpenStack Swift: what is asked for a token, and what is read of the answer. Nothing is sent here.

Version 1 is Swift's own (tempauth), versions 2 and 3 are Keystone's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import DecodeError, Struct, json

from imgforge.errors import ImgforgeError
from imgforge.sources.http import OriginRequest, ServiceResponse, to_wire_url
from imgforge.sources.store_settings import SwiftSettings
from imgforge.sources.stores.credentials_keeper import CredentialsError, Loaded

__all__ = ["SwiftToken", "auth_version", "read_token", "token_requests"]

_LONGEST_TOKEN = 8192  # bytes; PKI tokens have some 5 KiB
_API_KEY_LENGTH = 32  # characters from which a secret is taken for an API key first, as imgproxy's library does
_OBJECT_STORE = "object-store"


@dataclass(frozen=True, slots=True)
class SwiftToken:
    """A token, and what came with it. Equal values are the same token."""

    value: str = field(repr=False)
    storage_url: str = field(compare=False)  # of the account, without a slash at the end


class _Endpoint(Struct):
    """An endpoint in a catalogue: version 3 has one for each interface, version 2 one for all."""

    interface: str | None = None
    url: str | None = None
    public_url: str | None = msgspec.field(name="publicURL", default=None)


class _Service(Struct):
    type: str | None = None
    endpoints: list[_Endpoint] = []


class _TokenV3(Struct):
    expires_at: str | None = None
    issued_at: str | None = None
    catalog: list[_Service] = []


class _AnswerV3(Struct):
    token: _TokenV3


class _TokenV2(Struct):
    id: str = ""
    expires: str | None = None
    issued_at: str | None = None


class _AccessV2(Struct):
    token: _TokenV2
    services: list[_Service] | dict[str, Any] = msgspec.field(
        name="serviceCatalog", default_factory=list
    )  # {} without any


class _AnswerV2(Struct):
    access: _AccessV2


def auth_version(settings: SwiftSettings) -> int:
    """1, 2 or 3; where the operator set none, the first that the URL names. `ValueError` where it names none."""
    if settings.auth_version:
        return settings.auth_version
    for version in (3, 2, 1):
        if f"v{version}" in settings.auth_url:
            return version
    raise ValueError("the URL of Swift's authentication names no version")


def token_requests(settings: SwiftSettings) -> tuple[OriginRequest, ...]:
    """The request for a token; of version 2 there are two forms, the second for a service that refuses the first."""
    version, user, secret = auth_version(settings), settings.username, settings.api_key
    if version == 1:
        headers = {"x-auth-user": _header_value(user), "x-auth-key": _header_value(secret)}
        return (OriginRequest(to_wire_url(settings.auth_url), headers),)
    base = to_wire_url(settings.auth_url).rstrip("/")
    if version == 3:
        return (_post(f"{base}/auth/tokens", _password_v3(settings)),)
    forms: Sequence[dict[str, Any]] = (
        {"passwordCredentials": {"username": user, "password": secret}},
        {"RAX-KSKEY:apiKeyCredentials": {"username": user, "apiKey": secret}},
    )
    if len(secret) >= _API_KEY_LENGTH:
        forms = forms[::-1]
    tenant = {"tenantName": settings.tenant} if settings.tenant else {}
    return tuple(_post(f"{base}/tokens", {"auth": form | tenant}) for form in forms)


def _password_v3(settings: SwiftSettings) -> dict[str, Any]:
    domain = {"name": settings.domain or "Default"}
    user = {"name": settings.username, "domain": domain, "password": settings.api_key}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if settings.tenant:
        auth["scope"] = {"project": {"name": settings.tenant, "domain": domain}}
    return {"auth": auth}


def _post(url: str, message: Mapping[str, Any]) -> OriginRequest:
    headers = {"content-type": "application/json", "accept": "application/json"}
    return OriginRequest(url, headers, body=json.encode(message), method="POST")


def _header_value(text: str) -> str:
    """*text* as UTF-8 in a header, each byte a character; line breaks and NUL become spaces."""
    return "".join(" " if character in "\r\n\0" else character for character in text.encode().decode("latin-1"))


def read_token(version: int, response: ServiceResponse, now: float) -> Loaded[SwiftToken]:
    """The token in *response*, which has a status of success, at *now* (seconds of the epoch).

    `CredentialsError` where there is none, or no object store.
    """
    try:
        if version == 1:
            return _read_v1(response.headers)
        if version == 2:
            return _read_v2(response.body, now)
        return _read_v3(response.headers, response.body, now)
    except DecodeError as error:
        raise CredentialsError(f"its answer is not what version {version} says: {error}") from None
    except (UnicodeDecodeError, RecursionError):
        raise CredentialsError(f"its answer is not what version {version} says: it is no JSON") from None


def _read_v1(headers: Mapping[str, str]) -> Loaded[SwiftToken]:
    lifetime = headers.get("x-auth-token-expires", "")
    return _token(
        headers.get("x-auth-token") or headers.get("x-storage-token", ""),
        headers.get("x-storage-url", ""),
        float(lifetime) if lifetime.isdecimal() and len(lifetime) < 12 else math.inf,
    )


def _read_v2(body: bytes, now: float) -> Loaded[SwiftToken]:
    access = json.decode(body, type=_AnswerV2).access
    services = access.services if isinstance(access.services, list) else []
    urls = (endpoint.public_url for endpoint in _object_stores(services))
    url = next(filter(None, urls), "")
    return _token(access.token.id, url, _lifetime(access.token.issued_at, access.token.expires, now))


def _read_v3(headers: Mapping[str, str], body: bytes, now: float) -> Loaded[SwiftToken]:
    token = json.decode(body, type=_AnswerV3).token
    urls = (endpoint.url for endpoint in _object_stores(token.catalog) if endpoint.interface == "public")
    url = next(filter(None, urls), "")
    return _token(headers.get("x-subject-token", ""), url, _lifetime(token.issued_at, token.expires_at, now))


def _object_stores(services: Sequence[_Service]) -> list[_Endpoint]:
    return [endpoint for service in services if service.type == _OBJECT_STORE for endpoint in service.endpoints]


def _lifetime(issued: str | None, expires: str | None, now: float) -> float:
    """Seconds; by the service's own clock where it tells the time of issue."""
    end = _seconds(expires)
    if end is None:
        return math.inf
    start = _seconds(issued)
    return end - (now if start is None else start)


def _seconds(text: str | None) -> float | None:
    """The seconds of the epoch of an ISO 8601 time; None where it is no such time."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()


def _token(value: str, url: str, lifetime: float) -> Loaded[SwiftToken]:
    if not 0 < len(value) <= _LONGEST_TOKEN or not all("!" <= character <= "~" for character in value):
        raise CredentialsError("its answer has no token")
    if not url:
        raise CredentialsError("its answer names no object store: check IMGFORGE_SWIFT_TENANT")
    try:
        checked = to_wire_url(url)
    except ImgforgeError:
        checked = ""
    if not checked.startswith(("http://", "https://")) or "?" in checked:
        raise CredentialsError("its answer names an object store whose URL is invalid")
    return Loaded(SwiftToken(value, checked.rstrip("/")), lifetime)
