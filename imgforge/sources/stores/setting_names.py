"""The names of settings in lines about the bucket of the cache, whose settings are those of sources with CACHE_."""

from __future__ import annotations

import re

__all__ = ["of_the_cache"]

_SWITCH = re.compile(r"IMGFORGE_USE_(S3|GCS|ABS|SWIFT)\b")
_SETTING = re.compile(r"IMGFORGE_(?=(?:S3|GCS|ABS|SWIFT)_)")


def of_the_cache(line: str) -> str:
    """*line*, about a store that originals come from, as one about the store of the cache."""
    line = _SWITCH.sub(lambda match: f"IMGFORGE_CACHE_USE={match[1].lower()}", line)
    return _SETTING.sub("IMGFORGE_CACHE_", line)
