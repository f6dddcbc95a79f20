"""The conditions and ranges that Google's and Azure's stores understand; others are left out.

Without a condition or a range the store answers with the whole object, which is always right: the rest of imgforge
then compares validators itself. Neither store knows `If-Range`, and an ignored one could join parts of two objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["understood_headers"]

_ONE_ETAG = re.compile(r'"[^",]*"')
_RANGE = re.compile(r"bytes=[0-9]{1,18}-[0-9]{0,18}")


def understood_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """*headers* (names in lower case) without what a store may refuse, or ignore with wrong bytes as the result."""
    kept = dict(headers)
    if "if-none-match" in kept:
        kept.pop("if-modified-since", None)  # means nothing beside it (RFC 9110, section 13.1.3)
        if not _ONE_ETAG.fullmatch(kept["if-none-match"]):
            del kept["if-none-match"]
    if not _RANGE.fullmatch(kept.get("range", "bytes=0-")) or "if-range" in kept:
        kept.pop("range", None)
        kept.pop("if-range", None)
    return kept
