"""The headers of origins' responses, as text that is safe to log and to send on."""

from __future__ import annotations

from collections.abc import Collection

from twisted.web.iweb import IResponse

__all__ = ["joined_headers", "kept_headers", "named_headers"]

_KEPT_HEADERS = tuple(
    (name, name.encode("ascii"))
    for name in ("content-type", "etag", "last-modified", "cache-control", "expires", "content-range", "accept-ranges")
)
_UNPRINTABLE = bytes(byte for byte in range(256) if not 0x20 <= byte < 0x7F)


def kept_headers(response: IResponse) -> dict[str, str]:
    """The headers that imgforge uses; the last value of each."""
    headers = response.headers
    return {name: _plain(values[-1]) for name, raw in _KEPT_HEADERS if (values := headers.getRawHeaders(raw))}


def named_headers(response: IResponse, names: Collection[str]) -> dict[str, str]:
    """The headers *names*; several field lines are joined into one (RFC 9110, section 5.3)."""
    headers = response.headers
    return {
        name: _plain(b", ".join(values)) for name in names if (values := headers.getRawHeaders(name.encode("ascii")))
    }


def joined_headers(response: IResponse) -> dict[str, str]:
    """All headers, by names in lower case; several field lines are joined into one."""
    return {_plain(name).lower(): _plain(b", ".join(values)) for name, values in response.headers.getAllRawHeaders()}


def _plain(value: bytes) -> str:
    """The printable ASCII characters of *value*, without line breaks."""
    return value.translate(None, _UNPRINTABLE).decode("ascii")
