"""The headers of requests to origins as they go over the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from twisted.web.http_headers import Headers

__all__ = ["wire_headers", "wire_name"]

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@lru_cache(maxsize=1024)
def wire_name(name: str) -> bytes:
    """The header *name* as Twisted writes it; `ValueError` where it is none."""
    ((written, _),) = Headers({name: [""]}).getAllRawHeaders()
    return written


def wire_headers(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """*headers* without control characters and without the spaces around values; `ValueError` for a malformed name."""
    return {wire_name(name): _CONTROL.sub(" ", value).strip().encode("utf-8") for name, value in headers.items()}
