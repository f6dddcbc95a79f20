"""The URL of an object in a store: `scheme://bucket/key`, and after a separator the version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from imgforge.errors import SourceNotFound

__all__ = ["ObjectName", "object_name"]


@dataclass(frozen=True, slots=True)
class ObjectName:
    """Names an object. Nothing is decoded: a `%2F` in the key is these three characters."""

    bucket: str
    key: str
    version: str  # "" is the newest


@lru_cache(maxsize=64)  # a fetch asks several times
def object_name(url: str, separator: str) -> ObjectName:
    """The object that *url* names; `SourceNotFound` where bucket or key are empty.

    The image URL has been decoded once, when it was parsed: what is left of percent signs belongs to the key, and so do
    `#`, `//` and `..`. As in imgproxy, slashes before the key do not, and an empty *separator* cuts off no version.
    """
    bucket, _, key = url.partition("://")[2].partition("/")
    key = key.lstrip("/")
    version = ""
    if separator:
        key, _, version = key.partition(separator)
    if not bucket or not key:
        raise SourceNotFound("the source's URL lacks the bucket or the key of an object")
    try:
        url.encode("utf-8")
    except UnicodeEncodeError:
        raise SourceNotFound("the source's URL is no valid text") from None
    return ObjectName(bucket, key, version)
