"""The list of sources that may be fetched (IMGFORGE_ALLOWED_SOURCES)."""

from __future__ import annotations

import re
from urllib.parse import unquote

__all__ = ["AllowedSources"]

_QUERY = re.compile(r"[?#]")
_WILDCARD = r"[^/?#@\\]"
_SLASH = re.compile(r"[/\\]")


class AllowedSources:
    """Prefixes of source URLs; `*` stands for anything within a host or a segment of a path. No prefix allows all.

    A pattern that ends inside the host must end where the host does: `https://example.com` does not allow
    `https://example.com.evil.net`. While there is a list, no path may leave its prefix by `..`.
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
        # Where another wildcard follows, the first match of a piece is as good as any later one: an atomic group
        # keeps the pattern from backtracking (no quadratic time).
        expression += rf"{_WILDCARD}*{piece}" if number == len(pieces) else f"(?>{_WILDCARD}*?{piece})"
    _, scheme, host = pattern.partition("://")
    return expression + (r"(?=[/?#:]|\Z)" if scheme and host and "/" not in host else "")
