"""What a Redis holds, for `imgforge cache`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from imgforge.cache.entry_format import LONGEST_BODY, CorruptEntry, decode
from imgforge.cache.eviction import Sweep
from imgforge.cache.inventory import ListedEntry, Watch, prune_by_walks
from imgforge.cache.redis.client import RedisClient
from imgforge.cache.redis.names import entry_name, key_of
from imgforge.cache.redis.settings import RedisSettings
from imgforge.cache.redis.stored_entries import batches, leave_untouched, read_metadata
from imgforge.model import CacheEntry

__all__ = ["RedisInventory"]

# Seconds that the server may take for an answer, of which the longest is a page of a scan; it is asked twice.
_PATIENCE = 5.0


class RedisInventory:
    """The entries in the Redis of *settings*, which expire *lifetime* seconds after they are written."""

    def __init__(self, settings: RedisSettings, lifetime: float) -> None:
        self.place = str(settings.address)
        self._lifetime = lifetime
        self._client = RedisClient(settings.address, _PATIENCE, 1)

    def name_of(self, key: bytes) -> str:
        """See `Inventory`."""
        return entry_name(key).decode("ascii")

    def walk(self) -> Iterator[ListedEntry]:
        """See `Inventory`; bytes are those of memory, and under an LFU policy the times are those of the writes."""
        leave_untouched(self._client)
        for names in batches(self._client):
            with self._client.session() as redis, redis.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.memory_usage(name)
                    pipeline.object("IDLETIME", name)
                    pipeline.pttl(name)
                answers: list[Any] = pipeline.execute(raise_on_error=False)
            now = time.time()
            for index, name in enumerate(names):
                size, idle, left = answers[3 * index : 3 * index + 3]
                key = key_of(name)
                if key is None or not isinstance(left, int) or left == -2:  # it has expired meanwhile
                    continue
                stored_at = now - self._lifetime + left / 1000 if left >= 0 else 0.0
                used_at = now - idle if isinstance(idle, int) else stored_at
                yield ListedEntry(key, size if isinstance(size, int) else 0, stored_at, max(used_at, stored_at))

    def read(self, key: bytes) -> CacheEntry:
        """See `Inventory`."""
        with self._client.session() as redis:
            data: Any = redis.getrange(entry_name(key), 0, LONGEST_BODY)
        if not data:
            raise FileNotFoundError
        return decode(key, data)

    def read_metadata(self, key: bytes) -> tuple[CacheEntry, int]:
        """See `Inventory`."""
        (found,) = read_metadata(self._client, [entry_name(key)])
        if found is None:
            raise FileNotFoundError
        if isinstance(found, CorruptEntry):
            raise found
        return found.entry, found.size

    def remove(self, key: bytes) -> bool:
        """See `Inventory`."""
        with self._client.session() as redis:
            return bool(redis.unlink(entry_name(key)))

    def prune(self, max_bytes: int, watch: Watch) -> Sweep | None:
        """See `Inventory`."""
        return prune_by_walks(self, max_bytes, watch)

    def close(self) -> None:
        """See `Inventory`."""
        self._client.close()
