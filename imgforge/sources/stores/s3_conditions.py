"""The conditions and ranges that all S3 stores understand; others are left out, which brings the whole object."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["understood_headers"]

_ETAG = re.compile(r'"[\x21\x23-\x2b\x2d-\x7e]{1,200}"')  # one, and a strong one
_RANGE = re.compile(r"bytes=([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")  # a single one


def understood_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """*headers* (names in lower case) without those that a store may refuse, or read in another way.

    Some stores do not know `If-Range`: what they answered could join parts of two versions of an object.
    `If-Modified-Since` means nothing beside `If-None-Match` (RFC 9110, section 13.1.3), and S3 heeds it all the same.
    """
    kept = dict(headers)
    known = kept.get("if-none-match")
    if known is not None:
        kept.pop("if-modified-since", None)
        if not _ETAG.fullmatch(known):
            del kept["if-none-match"]
    if "if-range" in kept or not _RANGE.fullmatch(kept.get("range", "bytes=0-")):
        kept.pop("if-range", None)
        kept.pop("range", None)
    return kept
