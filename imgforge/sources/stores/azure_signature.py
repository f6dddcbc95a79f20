"""Azure's Shared Key signature of requests.

Source: "Authorize with Shared Key", Microsoft's documentation of the storage services' REST API.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

__all__ = ["shared_key_authorization", "string_to_sign"]

# In this order. The length is "" where there is no body.
_SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


def string_to_sign(
    account: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], method: str = "GET"
) -> str:
    """What is signed of a request.

    *path* is as it goes over the wire, with the account where the endpoint has it there; names and values of *query*
    are decoded; names of *headers* are in lower case.
    """
    own = sorted(name for name in headers if name.startswith("x-ms-"))
    lines = [method, *(headers.get(name, "") for name in _SIGNED_HEADERS)]
    lines += [f"{name}:{headers[name].strip()}" for name in own]
    lines += [f"/{account}{path}"]
    lines += [f"{name.lower()}:{value}" for name, value in sorted(query.items())]
    return "\n".join(lines)


def shared_key_authorization(
    account: str, key: bytes, path: str, query: Mapping[str, str], headers: Mapping[str, str], method: str = "GET"
) -> str:
    """The value of the Authorization header; *key* is the account's, decoded."""
    text = string_to_sign(account, path, query, headers, method)
    signature = hmac.new(key, text.encode("utf-8"), sha256).digest()
    return f"SharedKey {account}:{b64encode(signature).decode('ascii')}"
