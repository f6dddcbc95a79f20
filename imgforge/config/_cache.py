"""Settings of the caches."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from imgforge.config._types import Words

__all__ = ["CachesSettings"]

_NAMES = {"fs": "disk", "filesystem": "disk", "none": "", "off": "", "false": ""}


def _type(value: Any) -> Any:
    return _NAMES.get(value, value) if isinstance(value, str) else value


# RFC 9110, section 5.6.2: what names of headers and cookies are made of.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _tokens(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_TOKEN.fullmatch, names)):
        raise ValueError("must be names of headers or cookies, separated by commas")
    return names


HeaderNames = Annotated[Words, AfterValidator(_tokens), AfterValidator(lambda names: tuple(map(str.lower, names)))]
CookieNames = Annotated[Words, AfterValidator(_tokens)]


class CachesSettings(BaseModel):
    """What is kept, and how much of it."""

    cache_type: Annotated[Literal["", "memory", "disk", "hybrid"], BeforeValidator(_type)] = Field(
        "", description="memory, disk, hybrid (memory in front of disk) or empty for none"
    )
    cache_memory_capacity: int = Field(1000, ge=1, description="entries in the memory of each process")
    cache_memory_max_bytes: int = Field(67108864, ge=0, description="bytes in the memory of each process")
    cache_disk_path: str = Field("", description="the directory of entries on disk, which may be a share")
    cache_disk_capacity: int = Field(10000, ge=0, description="entries on disk; 0 is no limit")
    cache_disk_max_bytes: int = Field(1073741824, ge=0, description="bytes on disk; 0 is no limit")
    cache_ttl: float = Field(
        0, ge=0, allow_inf_nan=False, description="seconds after which an entry is made anew; 0 is never"
    )
    cache_presets_only: bool = Field(False, description="keep only images whose URL names a preset")
    cache_key_headers: HeaderNames = Field(
        (), description="request headers that make entries of their own, by value: X-Tenant,Accept-Language"
    )
    cache_key_cookies: CookieNames = Field((), description="cookies that make entries of their own, by value")
    purge_secret: str = Field(
        "", description="purging needs `Authorization: Bearer <purge_secret>`; empty switches it off"
    )
