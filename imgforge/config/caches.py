"""Settings of the caches."""

from typing import Annotated, Any, Literal

from imgforge.config.fields import Bounds, Reads, Section, setting
from imgforge.config.header_values import CookieNames, HeaderNames

__all__ = ["OWN_CACHES", "CachesSettings"]

_Seconds = Annotated[float, Bounds(ge=0)]

_NAMES = {"fs": "disk", "filesystem": "disk", "none": "", "off": "", "false": ""}


# Values of cache_use that are a node's own caches.
OWN_CACHES = frozenset({"memory", "disk", "hybrid", *_NAMES})


def _lower_case(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _type(value: Any) -> Any:
    return _NAMES.get(value, value) if isinstance(value, str) else value


class CachesSettings(Section):
    """Caches."""

    cache_type: Annotated[Literal["", "memory", "disk", "hybrid"], Reads(_type)] = setting(
        "",
        description="Where results are cached: memory, disk, hybrid (memory in front of disk), or empty for nowhere.",
    )
    cache_use: Annotated[str, Reads(_lower_case)] = setting(
        "",
        description="Which cache the nodes of a fleet share, behind that of cache_type: redis, a bucket by s3, gcs, "
        "abs or swift, the name of a plugin, or empty for none; fs, disk, memory and hybrid are taken as cache_type.",
    )
    cache_shared_timeout: float = setting(
        0.3,
        gt=0,
        le=60,
        description="Maximum seconds of a look-up in the shared cache; beyond them the result is made as if it was not "
        "there, and the cache is left alone until it answers again.",
    )
    cache_memory_capacity: int = setting(
        1000,
        ge=1,
        description="Maximum number of results in the memory cache of each process; beyond it the oldest that were "
        "not asked for again are evicted (SIEVE).",
    )
    cache_memory_max_bytes: int = setting(
        67108864,
        ge=0,
        description="Maximum bytes of the memory cache of each process; beyond it the oldest results that were not "
        "asked for again are evicted (SIEVE), and 0 keeps none.",
    )
    cache_disk_path: str = setting(
        "",
        description="Path of the directory of the disk cache, which may lie on a network share; disk and hybrid need "
        "it.",
    )
    cache_disk_capacity: int = setting(
        10000,
        ge=0,
        description="Maximum number of results in the disk cache; beyond it the least recently used are evicted, and "
        "0 is no limit.",
    )
    cache_disk_max_bytes: int = setting(
        1073741824,
        ge=0,
        description="Maximum bytes of the disk cache; beyond it the least recently used results are evicted, and 0 "
        "is no limit.",
    )
    cache_disk_min_free_bytes: int = setting(
        -1,
        ge=-1,
        description="Bytes to keep free on the file system of cache_disk_path, by evicting the least recently used "
        "results and originals. -1 is 256 MiB, or a twentieth of the file system if that is less, and 0 "
        "is none.",
    )
    cache_ttl: _Seconds = setting(
        0,
        description="Seconds for which a cached result is fresh; after them its original is revalidated, and 0 keeps "
        "it fresh for ever.",
    )
    cache_stale_while_revalidate: _Seconds = setting(
        0,
        description="Seconds beyond cache_ttl for which a stale result is served at once while it is revalidated in "
        "the background; 0 makes the client wait.",
    )
    cache_stale_if_error: _Seconds = setting(
        0,
        description="Seconds beyond cache_ttl for which a stale result is served when the origin fails; 0 answers "
        "with the failure.",
    )
    cache_not_found_ttl: _Seconds = setting(
        2,
        description="Seconds of the negative cache: an origin's 404, or a failure for which a stale result or a "
        "fallback image is served, is not asked for again; 0 always asks. Where it is set, CDNs may keep "
        "the 404 as long.",
    )
    source_cache_type: Annotated[Literal["", "memory", "disk", "hybrid"], Reads(_type)] = setting(
        "",
        description="Where originals are cached: memory, disk (in originals below cache_disk_path), hybrid, or empty "
        "for nowhere.",
    )
    source_cache_max_bytes: int = setting(
        268435456,
        gt=0,
        description="Maximum bytes of cached originals, on disk or in the memory of all processes together; hybrid "
        "holds an eighth of them in memory as well.",
    )
    watermarks_cache_size: int = setting(
        256, ge=0, description="Maximum number of watermarks by URL in the memory of each process; 0 caches none."
    )
    fallback_images_cache_size: int = setting(
        256,
        ge=0,
        description="Maximum number of fallback images by URL, and of results made of them, in the memory of each "
        "process; 0 caches none.",
    )
    cache_presets_only: bool = setting(False, description="Cache only images whose URL names a preset.")
    cache_key_headers: HeaderNames = setting(
        (),
        description="Names of request headers whose values are part of the cache key, separated by commas, such as "
        "X-Tenant; empty is none.",
    )
    cache_key_cookies: CookieNames = setting(
        (), description="Names of cookies whose values are part of the cache key, separated by commas; empty is none."
    )
    purge_secret: str = setting(
        "",
        description="The token that purges must carry as `Authorization: Bearer <purge_secret>`; empty switches "
        "purging off.",
    )
