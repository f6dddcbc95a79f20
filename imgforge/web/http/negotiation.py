"""Content negotiation (RFC 9110, section 12.5.1): which modern format a client gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgforge.model import ImageRequest

__all__ = ["Negotiation", "accepted_formats", "accepted_types"]

# Best first: a client that accepts several gets the first.
_NEGOTIABLE = (("jxl", "image/jxl"), ("avif", "image/avif"), ("webp", "image/webp"))

# The format name by which a URL leaves the choice to imgforge.
_OPEN = "best"


def accepted_formats(accept: str) -> int:
    """The negotiable formats that an Accept header names, a bit for each: the part of it that can change a response."""
    types = frozenset(accepted_types(accept))
    return sum(1 << bit for bit, (_, media_type) in enumerate(_NEGOTIABLE) if media_type in types)


def accepted_types(accept: str) -> Iterator[str]:
    """The media types that an Accept header names with a quality above 0, in lower case.

    Wildcards are left out: every client sends them, even one that cannot decode the format.
    """
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        if media_type and "*" not in media_type and not any(_is_zero(parameter) for parameter in parameters):
            yield media_type


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and value.strip() in {"0", "0.", "0.0", "0.00", "0.000"}


@dataclass(frozen=True, slots=True)
class Negotiation:
    """The operator's choice: *auto* formats apply where the URL names no format, *enforced* ones always."""

    auto: frozenset[str] = frozenset()
    enforced: frozenset[str] = frozenset()

    def varies(self, request: ImageRequest) -> bool:
        """Whether the response depends on the Accept header."""
        return bool(self._offered(request))

    def accepted(self, request: ImageRequest, accept: str) -> tuple[str, ...]:
        """The formats, best first, that may replace the one that *request* names or leaves open."""
        offered = self._offered(request)
        if not offered:
            return ()
        types = frozenset(accepted_types(accept))
        return tuple(name for name, media_type in _NEGOTIABLE if name in offered and media_type in types)

    def _offered(self, request: ImageRequest) -> frozenset[str]:
        named = [one.format for one in (request.options, *request.chained) if one.format is not None]
        return self.enforced | self.auto if not named or named[-1] == _OPEN else self.enforced
