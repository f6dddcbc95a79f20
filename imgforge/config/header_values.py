"""Settings with names of headers and cookies, or with whole headers: none can break an HTTP message (CR, LF)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from imgforge.config.fields import Checks, Reads
from imgforge.config.value_types import Words

__all__ = ["ANSWERED", "FRAMING", "SEPARATOR", "CookieNames", "CustomHeaders", "HeaderNames", "header_pairs"]

SEPARATOR = r"\;"
_words = str.split

# Headers that frame a message, or that imgforge sets itself: connections, lengths, codings, conditions.
FRAMING = frozenset(
    _words(
        "accept-encoding accept-ranges connection content-encoding content-length content-range date expect host "
        "if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive max-forwards "
        "proxy-authorization proxy-connection range te trailer transfer-encoding upgrade"
    )
)
# Headers that imgforge's own responses set.
ANSWERED = frozenset(
    _words(
        "age allow cache-control cache-status content-disposition content-security-policy content-type etag expires "
        "last-modified retry-after server-timing vary x-cache-key x-content-type-options x-request-id"
    )
)

# RFC 9110, section 5.6.2: the characters of a header's or a cookie's name.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


def _tokens(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_TOKEN.fullmatch, names)):
        raise ValueError("must be names of headers or cookies, separated by commas")
    return names


def header_pairs(value: Any, separator: str = SEPARATOR) -> dict[str, str]:
    r"""`Name=value\;Name=value` or a table as a dict; `ValueError` where a name or a value may not be in a header."""
    if isinstance(value, str):
        parts = (part.partition("=") for part in value.split(separator) if part.strip())
        pairs = {name.strip(): text.strip() if equals else None for name, equals, text in parts}
    else:
        pairs = dict(value) if isinstance(value, dict) else {"": None}
    for name, text in pairs.items():
        if not _TOKEN.fullmatch(str(name)) or not isinstance(text, str) or not _VALUE.fullmatch(text):
            raise ValueError("must be headers Name=value of plain ASCII, with CUSTOM_HEADERS_SEPARATOR between them")
    return pairs  # type: ignore[return-value]  # None was refused above


HeaderNames = Annotated[Words, Checks(_tokens), Checks(lambda names: tuple(map(str.lower, names)))]
CookieNames = Annotated[Words, Checks(_tokens)]
_TEXT = {"type": "string"}
CustomHeaders = Annotated[
    dict[str, str],
    Reads(header_pairs, {"anyOf": [_TEXT, {"type": "object", "additionalProperties": _TEXT}]}),
]
