"""The conditions and ranges that stores understand; others are left out.

Without a condition or a range a store answers with the whole object, which is always right: the rest of imgforge then
compares validators itself. Not every store knows `If-Range`, and an ignored one could join parts of two objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["understood_headers"]

_ETAG = re.compile(r'"[\x21\x23-\x2b\x2d-\x7e]{1,200}"')  # one, and a strong one
_RANGE = re.compile(r"bytes=[0-9]{1,18}-[0-9]{0,18}")  # a single one
_LAST_BYTES = re.compile(r"bytes=-[0-9]{1,18}")


def understood_headers(headers: Mapping[str, str], *, last_bytes: bool = False) -> dict[str, str]:
    """*headers* (names in lower case) without what a store may refuse, or read in another way.

    *last_bytes* is whether it knows ranges such as `bytes=-500`: those of S3 do, Google's API and Azure do not.
    """
    kept = dict(headers)
    if "if-none-match" in kept:
        kept.pop("if-modified-since", None)  # means nothing beside it (RFC 9110, section 13.1.3), but S3 heeds it
        if not _ETAG.fullmatch(kept["if-none-match"]):
            del kept["if-none-match"]
    wanted = kept.get("range", "bytes=0-")
    known = _RANGE.fullmatch(wanted) or (last_bytes and _LAST_BYTES.fullmatch(wanted))
    if not known or "if-range" in kept:
        kept.pop("range", None)
        kept.pop("if-range", None)
    return kept
