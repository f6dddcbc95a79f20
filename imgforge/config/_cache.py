"""Settings of the caches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from imgforge.config._headers import CookieNames, HeaderNames

__all__ = ["CachesSettings"]

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_NAMES = {"fs": "disk", "filesystem": "disk", "none": "", "off": "", "false": ""}


def _type(value: Any) -> Any:
    return _NAMES.get(value, value) if isinstance(value, str) else value


class CachesSettings(BaseModel):
    """What is kept, and how much of it."""

    cache_type: Annotated[Literal["", "memory", "disk", "hybrid"], BeforeValidator(_type)] = Field(
        "", description="memory, disk, hybrid (memory in front of disk) or empty for none"
    )
    cache_memory_capacity: int = Field(1000, ge=1, description="entries in the memory of each process")
    cache_memory_max_bytes: int = Field(
        67108864, ge=0, description="bytes in the memory of each process; 0 keeps nothing there"
    )
    cache_disk_path: str = Field("", description="the directory of entries on disk, which may be a share")
    cache_disk_capacity: int = Field(10000, ge=0, description="entries on disk; 0 is no limit")
    cache_disk_max_bytes: int = Field(1073741824, ge=0, description="bytes on disk; 0 is no limit")
    cache_disk_min_free_bytes: int = Field(
        -1,
        ge=-1,
        description="bytes that stay free on the file system of CACHE_DISK_PATH: the oldest entries and originals are "
        "removed for them; -1 is 256 MiB, or a twentieth of the file system if that is less; 0 is none",
    )
    cache_ttl: _Seconds = Field(
        0, description="seconds after which an entry is stale, and its original looked at again; 0 is never"
    )
    cache_stale_while_revalidate: _Seconds = Field(
        0, description="seconds that a stale entry is served while it is renewed"
    )
    cache_stale_if_error: _Seconds = Field(0, description="seconds that a stale entry is served where its origin fails")
    cache_not_found_ttl: _Seconds = Field(
        2,
        description="seconds that an origin which answered 404 is not asked for that original again, where anything is "
        "cached; nor is one that failed, where something else can be served; 0 remembers nothing",
    )
    source_cache_type: Annotated[Literal["", "memory", "disk", "hybrid"], BeforeValidator(_type)] = Field(
        "", description="where originals are kept, as in cache_type; on disk they are in CACHE_DISK_PATH/originals"
    )
    source_cache_max_bytes: int = Field(
        268435456,
        gt=0,
        description="bytes of originals on disk, or in the memory of all processes; hybrid has an eighth in memory",
    )
    watermarks_cache_size: int = Field(256, ge=0, description="watermarks fetched by URL that each process keeps")
    fallback_images_cache_size: int = Field(
        256, ge=0, description="fallback images fetched by URL, and results of them, that each process keeps"
    )
    cache_presets_only: bool = Field(False, description="keep only images whose URL names a preset")
    cache_key_headers: HeaderNames = Field(
        (), description="request headers that make entries of their own, by value: X-Tenant,Accept-Language"
    )
    cache_key_cookies: CookieNames = Field((), description="cookies that make entries of their own, by value")
    purge_secret: str = Field(
        "", description="purging needs `Authorization: Bearer <purge_secret>`; empty switches it off"
    )
