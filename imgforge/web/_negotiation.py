"""Which modern formats a client takes (RFC 9110, section 12.5.1), and what that makes of a request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from imgforge.model import ImageRequest

__all__ = ["Negotiation", "accepted_types"]

# Best first: the order in which a client that takes several gets them.
_NEGOTIABLE = (("jxl", "image/jxl"), ("avif", "image/avif"), ("webp", "image/webp"))

# What a URL may say of the format and still leave the choice to us.
_OPEN = frozenset({None, "best"})


def accepted_types(accept: str) -> Iterator[str]:
    """The media types that an Accept header names with a quality above 0, in lower case.

    Wildcards are left out: every client sends them, whether it can show the format or not.
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
    """The operator's choice: *auto* formats replace a format that the URL leaves open, *enforced* ones any format."""

    auto: frozenset[str] = frozenset()
    enforced: frozenset[str] = frozenset()

    def varies(self, request: ImageRequest) -> bool:
        """Whether the answer depends on the Accept header."""
        return bool(self.enforced or (self.auto and request.options.format in _OPEN))

    def apply(self, request: ImageRequest, accept: str) -> tuple[ImageRequest, tuple[str, ...]]:
        """The request to carry out and the formats, best first, that may be chosen for it."""
        if not self.varies(request):
            return request, ()
        taken = frozenset(accepted_types(accept))
        wanted = self.enforced | self.auto if request.options.format in _OPEN else self.enforced
        accepted = tuple(name for name, media_type in _NEGOTIABLE if name in wanted and media_type in taken)
        if accepted and request.options.format not in _OPEN:
            request = replace(request, options=replace(request.options, format=None))
        return request, accepted
