"""The tier in Redis: entries on a real server."""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from zope.interface.verify import verifyObject

from imgforge.cache import CorruptEntry
from imgforge.cache.entry_format import encode
from imgforge.cache.redis import RedisFault
from imgforge.interfaces import ICacheTier
from imgforge.model import Purge
from tests.support.cache_directory import ENTRY, KEY, number_key, sized
from tests.support.redis_case import RedisCase

NAME = f"imgforge:entry:{KEY.hex()}"


class EntryTests(RedisCase):
    async def test_an_entry_is_found_by_every_node(self) -> None:
        first, second = await self.node(), await self.node()
        verifyObject(ICacheTier, first.tier)
        self.assertIsNone(await first.tier.get(KEY))
        self.assertEqual(await first.tier.size_of(KEY), 0)
        await first.tier.put(KEY, ENTRY)
        self.assertEqual(await second.tier.get(KEY), ENTRY)
        self.assertEqual(self.server.keys(), [NAME.encode()])
        size = self.server.command("STRLEN", NAME)
        self.assertEqual(await second.tier.size_of(KEY), size)
        self.assertIsNone(second.tier.usage())

    async def test_an_entry_is_replaced_and_removed(self) -> None:
        node = await self.node()
        newer = replace(ENTRY, etag="newer")
        await DeferredList([node.tier.put(KEY, ENTRY), node.tier.put(KEY, newer)])
        self.assertEqual(await node.tier.get(KEY), newer)
        self.assertTrue(await node.tier.remove(KEY))
        self.assertFalse(await node.tier.remove(KEY))
        self.assertIsNone(await node.tier.get(KEY))

    async def test_an_entry_expires(self) -> None:
        node = await self.node(keep=0.2)
        await node.tier.put(KEY, ENTRY)
        await self.until(lambda: not self.server.keys(), "the entry to expire")
        self.assertIsNone(await node.tier.get(KEY))

    async def test_every_entry_has_a_time_to_live(self) -> None:
        for keep, milliseconds in ((90.0, 90_000), (0.0, 30 * 86400 * 1000)):
            node = await self.node(keep=keep)
            await node.tier.put(KEY, ENTRY)
            left = self.server.command("PTTL", NAME)
            self.assertTrue(milliseconds - 20_000 < left <= milliseconds, (keep, left))
            # Purges are remembered for longer than what they cover.
            self.assertLess(node.tier.purged_before(), time.time() - milliseconds / 1000)

    async def test_a_larger_entry_than_allowed_is_not_stored(self) -> None:
        node = await self.node(max_entry_bytes=2000)
        with self.assertRaises(OSError) as caught:
            await node.tier.put(KEY, sized(2000))
        self.assertEqual(caught.exception.errno, errno.EFBIG)
        self.assertEqual(self.server.keys(), [])
        start, body = encode(KEY, sized(500))
        exact = await self.node(max_entry_bytes=len(start) + len(body))
        await exact.tier.put(KEY, sized(500))
        self.assertEqual(await exact.tier.get(KEY), sized(500))

    async def test_a_larger_entry_of_another_node_is_a_miss_and_stays(self) -> None:
        large, small = await self.node(), await self.node(max_entry_bytes=2000)
        await large.tier.put(KEY, sized(5000))
        self.assertIsNone(await small.tier.get(KEY))
        self.assertEqual(await small.tier.size_of(KEY), 0)
        self.assertEqual(await large.tier.get(KEY), sized(5000))

    async def test_an_entry_under_another_name_is_damaged_and_removed(self) -> None:
        node = await self.node()
        await node.tier.put(number_key(1), ENTRY)
        self.server.command("RENAME", f"imgforge:entry:{number_key(1).hex()}", NAME)
        with self.assertRaises(CorruptEntry):
            await node.tier.get(KEY)
        self.assertIsNone(await node.tier.get(KEY))

    async def test_damage_is_found_and_removed(self) -> None:
        node = await self.node()
        whole = b"".join(encode(KEY, ENTRY))
        damaged = (b"x", b"imgforg2", whole[:-1], whole + b"x", whole[:100] + b"\xff" + whole[101:], bytes(5000))
        for data in damaged:
            self.server.command("SET", NAME, data)
            with self.assertRaises(CorruptEntry):
                await node.tier.get(KEY)
            self.assertEqual(self.server.keys(), [])

    async def test_an_entry_of_another_version_is_a_miss(self) -> None:
        node = await self.node()
        self.server.command("SET", NAME, b"imgforg1" + b"".join(encode(KEY, ENTRY))[8:])
        self.assertIsNone(await node.tier.get(KEY))
        self.assertEqual(self.server.keys(), [])

    async def test_a_value_of_another_program_is_told_and_replaced(self) -> None:
        node = await self.node()
        self.server.command("RPUSH", NAME, "a list")
        with self.assertRaisesRegex(RedisFault, "another program"):
            await node.tier.get(KEY)
        await node.tier.put(KEY, ENTRY)
        self.assertEqual(await node.tier.get(KEY), ENTRY)

    async def test_databases_are_apart(self) -> None:
        first = await self.node()
        second = await self.node(replace(self.server.address, database=2))
        await first.tier.put(KEY, ENTRY)
        self.assertIsNone(await second.tier.get(KEY))

    async def test_the_socket_of_the_file_system(self) -> None:
        node = await self.node(replace(self.server.address, host="", path=self.server.socket, database=1))
        await node.tier.put(KEY, ENTRY)
        self.assertEqual(await node.tier.get(KEY), ENTRY)

    async def test_a_process_has_few_connections_under_load(self) -> None:
        node = await self.node()
        work: list[Deferred[Any]] = [node.tier.put(number_key(number), sized(20_000)) for number in range(100)]
        work += [node.tier.get(number_key(number)) for number in range(300)]
        work += [node.tier.lease(number_key(number)).attempt() for number in range(100)]
        work.append(node.tier.purge(Purge(1.0, "prefix", "http://")))
        most = 0
        gathered = DeferredList(work, consumeErrors=True)
        while not gathered.called:
            await self.until(lambda: True)
            most = max(most, len(self.server.connections()))
            await node.tier.size_of(KEY)
        self.assertEqual([outcome for success, outcome in await gathered if not success], [])
        self.assertTrue(4 < most <= 16, most)
        self.assertEqual({one["name"] for one in self.server.connections()}, {"imgforge"})

    async def test_a_closed_tier_has_no_connections_and_threads(self) -> None:
        node = await self.node()
        written = [node.tier.put(number_key(number), sized(1000)) for number in range(50)]
        await node.close()
        self.assertTrue(all(one.called for one in written))
        self.assertEqual(len(self.server.keys()), 50)
        await self.until(lambda: not self.server.connections(), "the connections to end")
        await self.until(
            lambda: not [one for one in threading.enumerate() if "redis" in one.name], "the threads to end"
        )

    async def test_a_cancelled_look_up_lets_go(self) -> None:
        node = await self.node()
        await node.tier.put(KEY, ENTRY)
        self.server.hang()
        try:
            cancelled = [node.tier.get(KEY) for _ in range(50)]
            for one in cancelled:
                one.cancel()
                self.failureResultOf(one, CancelledError)
        finally:
            self.server.resume()
        await self.until(lambda: True)
        self.assertEqual(await node.tier.get(KEY), ENTRY)
