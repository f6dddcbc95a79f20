"""Purges in Redis: recorded in a stream, learned by all nodes, and the entries removed."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from twisted.internet.defer import DeferredList

from imgforge.cache.purge import FINAL_AFTER
from imgforge.cache.redis import RedisFault, purge_log
from imgforge.errors import PurgeFailed
from imgforge.model import CacheEntry, Purge, PurgeKind
from tests.support.cache_directory import ENTRY, KEY, number_key
from tests.support.redis_case import Node, RedisCase

STREAM = "imgforge:purges"


def purge(kind: PurgeKind, value: str) -> Purge:
    return Purge(time.time(), kind, value)


def made(source: str, *tags: str) -> CacheEntry:
    return replace(ENTRY, source=source, tags=tags, stored_at=time.time() - 10, asked_at=time.time() - 11)


class LearningTests(RedisCase):
    def add(self, *texts: bytes) -> None:
        """Add items to the stream, as other nodes do."""
        with self.server.client() as client, client.pipeline(transaction=False) as pipeline:
            for text in texts:
                pipeline.xadd(STREAM, {"purge": text})
            pipeline.execute()

    async def test_all_nodes_learn_of_a_purge(self) -> None:
        nodes = [await self.node() for _ in range(3)]
        sent = [purge("source", "http://x/ä.jpg"), purge("tag", "t"), purge("prefix", "http://x/"), purge("url", "ab")]
        for one in sent:
            await nodes[0].tier.purge(one)
        for node in nodes:
            await self.until(partial(self.knows, node, sent))

    def knows(self, node: Node, sent: list[Purge]) -> bool:
        return node.learned == sent

    async def test_a_node_that_starts_knows_what_was_purged_before(self) -> None:
        first = await self.node()
        self.add(*(b'{"at":5.0,"kind":"tag","value":"%d"}' % number for number in range(2500)))  # beyond one answer
        await first.tier.purge(purge("source", "http://x/"))
        second = await self.node()
        self.assertEqual(len(second.learned), 2501)
        self.assertEqual(second.learned[-1].value, "http://x/")
        self.assertEqual(second.learned[7], Purge(5.0, "tag", "7"))

    async def test_a_node_that_was_away_learns_before_it_serves(self) -> None:
        node = await self.node()
        await node.tier.put(KEY, ENTRY)
        self.server.kill()
        with self.assertRaises(RedisFault):
            await node.tier.get(KEY)
        self.server.start("--port", "0")  # which the node cannot reach yet
        self.add(b'{"at":5.0,"kind":"tag","value":"missed"}')
        self.server.command("CONFIG", "SET", "port", self.server.port)

        async def answers() -> bool:
            try:
                await node.tier.get(KEY)
            except RedisFault:
                return False
            return True

        while not await answers():
            pass
        self.assertEqual([one.value for one in node.learned], ["missed"])

    async def test_it_serves_nothing_while_it_does_not_hear_of_purges(self) -> None:
        self.patch(purge_log, "_CURRENT_FOR", 0.0)
        node = await self.node()
        await node.tier.put(KEY, ENTRY)
        self.server.hang()
        try:
            looked_up = node.tier.get(KEY)
            self.assertNoResult(looked_up)
        finally:
            self.server.resume()
        self.assertEqual(await looked_up, ENTRY)

    async def test_what_is_no_purge_is_passed_over(self) -> None:
        self.add(b"", b"nonsense", b"[]", b'{"at":1,"kind":"all","value":"x"}', b"\xff", b'"' + b"x" * 100_000)
        self.add(b'{"x":' + b"[" * 50_000)
        self.server.command("XADD", STREAM, "*", "other", "x")
        self.add(b'{"at":1,"kind":"tag","value":"x"}')
        node = await self.node()
        self.assertEqual(node.learned, [Purge(1.0, "tag", "x")])

    async def test_a_purge_from_the_future_covers_nothing_that_is_still_to_be_made(self) -> None:
        node = await self.node()
        await node.tier.purge(Purge(time.time() + 1000, "tag", "x"))
        await self.until(lambda: node.learned)
        self.assertLess(abs(node.learned[0].at - time.time()), 100)

    async def test_old_purges_are_forgotten(self) -> None:
        old = int(1000 * (time.time() - 3600 - FINAL_AFTER - 100))
        for number in range(1000):
            self.server.command("XADD", STREAM, f"{old}-{number + 1}", "purge", b"{}")
        node = await self.node(keep=3600)
        await node.tier.purge(purge("tag", "x"))
        self.assertLess(self.server.command("XLEN", STREAM), 500)  # whole nodes of the stream go

    async def test_a_stream_that_begins_anew_is_read_from_its_start(self) -> None:
        node = await self.node()
        await node.tier.purge(purge("tag", "x"))
        await self.until(lambda: node.learned)
        self.server.kill()
        self.server.start()
        # As by a server whose clock is behind.
        self.server.command("XADD", STREAM, "5-0", "purge", b'{"at":1,"kind":"tag","value":"y"}')
        await self.until(lambda: len(node.learned) > 1)
        self.assertEqual(node.learned[-1].value, "y")

    async def test_a_purge_that_cannot_be_recorded_fails(self) -> None:
        node = await self.node()
        self.server.kill()
        try:
            with self.assertRaises(PurgeFailed):
                await node.tier.purge(purge("tag", "x"))
        finally:
            self.server.start()
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    async def test_a_server_that_is_not_there_holds_up_no_start(self) -> None:
        self.server.kill()
        try:
            node = await self.node()
            with self.assertRaisesRegex(RedisFault, "cannot be reached"):
                await node.tier.get(KEY)
        finally:
            self.server.start()
        await node.tier.put(KEY, ENTRY)
        self.assertEqual(await node.tier.get(KEY), ENTRY)


class RemovalTests(RedisCase):
    async def filled(self) -> Node:
        node = await self.node()
        url = bytes(range(100, 120))
        for number in range(3):
            await node.tier.put(url + bytes([number]) * 12, made("http://a/1.jpg", "t", "u"))
        await node.tier.put(number_key(1), made("http://a/2.jpg", "t"))
        await node.tier.put(number_key(2), made("http://b/1.jpg"))
        # What is not ours stays, and does not disturb.
        self.server.command("SET", "imgforge:entry:xyz", "other")
        self.server.command("SET", f"imgforge:entry:{number_key(3).hex()}", "damaged")
        self.server.command("RPUSH", f"imgforge:entry:{number_key(4).hex()}", "a list")
        self.url = url.hex()
        return node

    def left(self) -> int:
        return len(self.server.keys("imgforge:entry:*")) - 3

    async def test_entries_are_removed_by_each_kind(self) -> None:
        for kind, value, removed in (
            ("url", "url", 3),
            ("source", "http://a/2.jpg", 1),
            ("tag", "t", 4),
            ("prefix", "http://", 5),
            ("tag", "none", 0),
        ):
            self.server.command("FLUSHALL")
            node = await self.filled()
            found = await node.tier.purge(purge(kind, self.url if value == "url" else value))  # type: ignore[arg-type]
            self.assertEqual((found, self.left()), (removed, 5 - removed), kind)

    async def test_entries_that_were_made_since_stay(self) -> None:
        node = await self.node()
        await node.tier.put(KEY, replace(made("http://x/"), asked_at=time.time() - 1))
        self.assertEqual(await node.tier.purge(Purge(time.time() - 5, "prefix", "http://")), 0)
        self.assertEqual(await node.tier.purge(Purge(time.time(), "prefix", "http://")), 1)

    async def test_many_purges_share_a_search(self) -> None:
        node = await self.node()
        for number in range(1200):
            await node.tier.put(number_key(number), made(f"http://x/{number % 4}", "all"))
        purges = [node.tier.purge(purge("source", f"http://x/{number}")) for number in range(4)]
        found = [removed for _, removed in await DeferredList(purges)]
        self.assertEqual(found, [300] * 4)
        self.assertEqual(self.server.keys("imgforge:entry:*"), [])

    async def test_an_entry_with_a_long_header_is_removed(self) -> None:
        node = await self.node()
        await node.tier.put(KEY, made("http://x/" + "y" * 5000, "t"))
        self.assertEqual(await node.tier.purge(purge("tag", "t")), 1)
