"""What `imgforge cache` lists, reads and removes in Redis."""

from __future__ import annotations

import time
from dataclasses import replace

from zope.interface.verify import verifyObject

from imgforge.cache import CorruptEntry, SharedTierSettings
from imgforge.cache.redis import RedisFault, RedisInventory, RedisSettings, RedisTier, RedisTierFactory
from imgforge.interfaces import ICacheTierFactory
from imgforge.model import RedisAddress
from tests.support.cache_directory import number_key, sized
from tests.support.process import free_port
from tests.support.redis_case import REACTOR, RedisCase


def shared(address: RedisAddress) -> SharedTierSettings:
    return SharedTierSettings(use="redis", keep=3600.0, redis=RedisSettings(address))


class InventoryTests(RedisCase):
    async def filled(self, count: int) -> RedisInventory:
        node = await self.node()
        for number in range(count):
            await node.tier.put(number_key(number), sized(10_000))
        return self.inventory()

    def inventory(self) -> RedisInventory:
        inventory = RedisTierFactory().inventory(shared(self.server.address))
        self.addCleanup(inventory.close)
        return inventory

    def test_the_factory_makes_tier_and_inventory(self) -> None:
        factory = RedisTierFactory()
        verifyObject(ICacheTierFactory, factory)
        self.assertIsInstance(factory.make(REACTOR, shared(self.server.address)), RedisTier)
        with self.assertRaisesRegex(ValueError, "IMGFORGE_CACHE_REDIS_URL"):
            factory.make(REACTOR, SharedTierSettings(use="redis"))

    async def test_all_entries_are_listed_and_nothing_else(self) -> None:
        inventory = await self.filled(1200)
        self.server.command("SET", "imgforge:entry:other", "x")
        self.server.command("XADD", "imgforge:purges", "*", "purge", "x")
        listed = list(inventory.walk())
        self.assertEqual({one.key for one in listed}, {number_key(number) for number in range(1200)})
        for one in listed:
            self.assertTrue(10_000 < one.bytes < 20_000, one)
            self.assertLess(abs(one.stored_at - time.time()), 60)
            self.assertTrue(one.stored_at <= one.used_at <= time.time(), one)
        self.assertEqual(inventory.place, f"redis://127.0.0.1:{self.server.port}/0")
        self.assertEqual(inventory.name_of(number_key(1)), f"imgforge:entry:{number_key(1).hex()}")

    async def test_entries_are_read_and_removed(self) -> None:
        inventory = await self.filled(2)
        self.assertEqual(inventory.read(number_key(1)), sized(10_000))
        self.assertEqual(inventory.read_metadata(number_key(1)), (sized(0), 10_000))
        self.assertTrue(inventory.remove(number_key(1)))
        self.assertFalse(inventory.remove(number_key(1)))
        for read in (inventory.read, inventory.read_metadata):
            with self.assertRaises(FileNotFoundError):
                read(number_key(1))

    async def test_damage_is_told(self) -> None:
        inventory = await self.filled(1)
        name = f"imgforge:entry:{number_key(0).hex()}"
        self.server.command("RENAME", name, f"imgforge:entry:{number_key(1).hex()}")
        self.server.command("SET", name, "damaged")
        for number in (0, 1):
            for read in (inventory.read, inventory.read_metadata):
                with self.assertRaises(CorruptEntry):
                    read(number_key(number))

    async def test_the_entries_that_were_used_last_are_kept(self) -> None:
        inventory = await self.filled(20)
        size = next(inventory.walk()).bytes
        # Redis keeps the time of the last use in seconds; here they have times to live instead, as without an LRU.
        self.server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        try:
            for number in range(20):
                name = f"imgforge:entry:{number_key(number).hex()}"
                self.server.command("PEXPIRE", name, 3_600_000 - 60_000 * number)
            left = inventory.prune(5 * size, lambda _: None)
        finally:
            self.server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.assertEqual(left and (left.removed, left.entries, left.bytes), (15, 5, 5 * size))
        self.assertEqual(len(self.server.keys()), 5)
        self.assertEqual({one.key for one in inventory.walk()}, {number_key(number) for number in range(5)})

    async def test_the_time_of_the_last_use_is_redis_own(self) -> None:
        inventory = await self.filled(1)
        name = f"imgforge:entry:{number_key(0).hex()}"
        value, left = self.server.command("DUMP", name), 3_600_000 - 2_000_000
        self.server.command("RESTORE", name, left, value, "REPLACE", "IDLETIME", 1000)
        (listed,) = inventory.walk()
        self.assertLess(abs(listed.used_at - (time.time() - 1000)), 60)
        self.assertLess(abs(listed.stored_at - (time.time() - 2000)), 60)

    def test_a_server_that_is_not_there_is_told(self) -> None:
        inventory = RedisTierFactory().inventory(shared(replace(self.server.address, port=free_port())))
        with self.assertRaisesRegex(RedisFault, "cannot be reached"):
            list(inventory.walk())
