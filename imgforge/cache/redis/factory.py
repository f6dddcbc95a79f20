"""Makes the tier in Redis, and its inventory, from the settings of a shared tier."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from zope.interface import implementer

from imgforge.cache.redis.client import redis_mistake
from imgforge.cache.redis.inventory import RedisInventory
from imgforge.cache.redis.settings import RedisSettings
from imgforge.cache.redis.tier import RedisTier, lifetime
from imgforge.interfaces import ICacheTierFactory, IServerReactor

if TYPE_CHECKING:
    from imgforge.cache.shared_settings import SharedTierSettings

__all__ = ["RedisTierFactory"]

_NO_URL = "IMGFORGE_CACHE_USE=redis needs IMGFORGE_CACHE_REDIS_URL, such as redis://127.0.0.1:6379/0"


@implementer(ICacheTierFactory)
class RedisTierFactory:
    """The tier of IMGFORGE_CACHE_USE=redis."""

    name = "redis"

    def make(self, reactor: IServerReactor, settings: object) -> RedisTier:
        """See `ICacheTierFactory`; ValueError with the command that installs redis-py, where it is missing."""
        shared = cast("SharedTierSettings", settings)
        return RedisTier(reactor, _own(shared), shared.keep)

    def mistakes(self, settings: object) -> Iterator[str]:
        """A line for each setting that is missing or cannot be used; the server itself is not asked."""
        shared = cast("SharedTierSettings", settings)
        if mistake := redis_mistake():
            yield mistake
        if not isinstance(shared.redis, RedisSettings):
            yield _NO_URL
            return
        address = shared.redis.address
        for path in (address.ca_file, address.certificate_file, address.key_file):
            if path and not (os.path.isfile(path) and os.access(path, os.R_OK)):
                yield f"IMGFORGE_CACHE_REDIS_URL must name readable files of TLS: {path!r} is none"

    def inventory(self, settings: object) -> RedisInventory:
        """What the Redis of *settings* holds, for `imgforge cache`; ValueError as `make`."""
        shared = cast("SharedTierSettings", settings)
        return RedisInventory(_own(shared), lifetime(shared.keep))


def _own(settings: SharedTierSettings) -> RedisSettings:
    if not isinstance(settings.redis, RedisSettings):
        raise ValueError(_NO_URL)
    return settings.redis
