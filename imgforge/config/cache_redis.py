"""Settings of the shared cache in Redis or Valkey."""

from typing import Annotated

from imgforge.config.fields import Checks, Section, setting

__all__ = ["CacheRedisSettings"]


def _redis_url(value: str) -> str:
    if value:
        from imgforge.model import parse_redis_url  # which a server without Redis need not have in memory

        parse_redis_url(value)
    return value


class CacheRedisSettings(Section):
    """Shared cache in Redis."""

    cache_redis_url: Annotated[str, Checks(_redis_url)] = setting(
        "",
        description="Where cache_use=redis keeps results that all nodes share: redis://[user:password@]host[:port]"
        "[/database], rediss://... for TLS, or unix:///path?db=database; Redis 6.2, Valkey, or newer.",
    )
    cache_redis_max_entry_bytes: int = setting(
        8388608,
        ge=1,
        le=268435456,
        description="Maximum bytes of a result in Redis; a larger one is kept by the caches of the node that made it "
        "only.",
    )
