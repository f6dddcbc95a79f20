"""Settings of the caches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

__all__ = ["CachesSettings"]

_NAMES = {"fs": "disk", "filesystem": "disk", "none": "", "off": "", "false": ""}


def _type(value: Any) -> Any:
    return _NAMES.get(value, value) if isinstance(value, str) else value


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
    purge_secret: str = Field(
        "", description="purging needs `Authorization: Bearer <purge_secret>`; empty switches it off"
    )
