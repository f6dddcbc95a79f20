"""The operator's rules for sources, and the list of those that are allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from imgforge.sources.address_policy import AddressPolicy

__all__ = ["AllowedSources", "SourceSettings"]

_QUERY = re.compile(r"[?#]")
_WILD = r"[^/?#@\\]"
_SLASH = re.compile(r"[/\\]")


def _unknown(_: bytes) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Times in seconds; an empty `allowed_sources` allows all, an empty `local_filesystem_root` serves no files.

    `media_type_of` tells the media type of what begins with some bytes, "" where it is no image: for files whose names
    do not tell.
    """

    download_timeout: float = 10.0
    max_redirects: int = 10
    retries: int = 0
    breaker_failures: int = 10
    breaker_seconds: float = 10.0
    user_agent: str = "imgforge"
    custom_headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    response_headers: tuple[str, ...] = ()  # that are handed on, in lower case
    keep_alive_timeout: float = 90.0
    connections_per_host: int = 64
    idle_connections_per_host: int = 16
    ignore_ssl_verification: bool = False
    ca_file: str = ""
    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    allowed_sources: tuple[str, ...] = ()
    local_filesystem_root: str = ""
    plugins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # settings of all plugins, by their names
    plugin: Mapping[str, str] = field(default_factory=dict)  # of the one that is handed this
    query_separator: str = "?"  # between path and query of what is not HTTP; "" where there are no queries
    media_type_of: Callable[[bytes], str] = _unknown


class AllowedSources:
    """Prefixes of source URLs; `*` stands for anything within a host or a part of a path.

    A pattern that ends inside the host must end where the host does: `https://example.com` does not let
    `https://example.com.evil.net` in; and while there is a list, no path may climb out of its prefix by `..`.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = tuple(re.compile(_expression(pattern)) for pattern in patterns)

    def allow(self, url: str) -> bool:
        """Whether *url* may be fetched."""
        if not self._patterns:
            return True
        path = _QUERY.split(url, maxsplit=1)[0]
        climbs = ".." in _SLASH.split(unquote(path))
        return not climbs and any(pattern.match(url) for pattern in self._patterns)


def _expression(pattern: str) -> str:
    first, *pieces = (re.escape(piece) for piece in re.split(r"\*+", pattern))
    expression = first
    for number, piece in enumerate(pieces, 1):
        # Where another wildcard follows, the first place of a piece is as good as any other: no time is lost on those.
        expression += rf"{_WILD}*{piece}" if number == len(pieces) else f"(?>{_WILD}*?{piece})"
    _, scheme, host = pattern.partition("://")
    return expression + (r"(?=[/?#:]|\Z)" if scheme and host and "/" not in host else "")
