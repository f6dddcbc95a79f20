"""The shared tier in Redis or Valkey: entries, leases, purges, and what `imgforge cache` lists."""

from typing import TYPE_CHECKING

from imgforge.cache.redis.settings import RedisSettings
from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.cache.redis.client import RedisClient, redis_mistake
    from imgforge.cache.redis.factory import RedisTierFactory
    from imgforge.cache.redis.faults import RedisFault, RedisTimeout
    from imgforge.cache.redis.inventory import RedisInventory
    from imgforge.cache.redis.tier import RedisTier

__all__ = [
    "RedisClient",
    "RedisFault",
    "RedisInventory",
    "RedisSettings",
    "RedisTier",
    "RedisTierFactory",
    "RedisTimeout",
    "redis_mistake",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".client": ("RedisClient", "redis_mistake"),
        ".factory": ("RedisTierFactory",),
        ".faults": ("RedisFault", "RedisTimeout"),
        ".inventory": ("RedisInventory",),
        ".tier": ("RedisTier",),
    },
)
