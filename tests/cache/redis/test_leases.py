"""Leases in Redis: one of all who share it makes an entry."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from imgforge.cache.redis import RedisFault, leases
from imgforge.interfaces import ILease, LeaseAttempt
from tests.support.cache_directory import ENTRY, KEY, number_key
from tests.support.redis_case import RedisCase

NAME = f"imgforge:lease:{KEY.hex()}"
REFUSED = LeaseAttempt(taken=False, present=False, outcome=None)
TAKEN = LeaseAttempt(taken=True, present=False, outcome=None)


class LeaseTests(RedisCase):
    async def free(self) -> None:
        await self.until(lambda: not self.server.command("EXISTS", NAME), "the lease to be free")

    async def test_one_of_two_nodes_takes_it(self) -> None:
        first, second = (await self.node()).tier.lease(KEY), (await self.node()).tier.lease(KEY)
        verifyObject(ILease, first)
        self.assertEqual(await first.attempt(), TAKEN)
        self.assertEqual(await first.attempt(), TAKEN)
        self.assertEqual(await second.attempt(), REFUSED)
        first.release(None, succeed(None))
        await self.free()
        self.assertEqual(await second.attempt(), TAKEN)

    async def test_one_of_many_attempts_at_once_takes_it(self) -> None:
        nodes = [await self.node() for _ in range(3)]
        found = await DeferredList([nodes[number % 3].tier.lease(KEY).attempt() for number in range(60)])
        self.assertEqual([attempt.taken for _, attempt in found].count(True), 1)

    async def test_leases_of_other_keys_are_free(self) -> None:
        node = await self.node()
        for number in range(3):
            self.assertTrue((await node.tier.lease(number_key(number)).attempt()).taken)

    async def test_it_is_kept_while_the_work_goes_on(self) -> None:
        self.patch(leases, "_VALID", 60.0)
        self.patch(leases, "_RENEWAL", 0.1)
        first, second = (await self.node()).tier.lease(KEY), (await self.node()).tier.lease(KEY)
        await first.attempt()
        token = self.server.command("GET", NAME)
        for _ in range(5):
            self.server.command("PEXPIRE", NAME, 30_000)  # as if half of its time were over
            await self.until(lambda: self.server.command("PTTL", NAME) > 30_000, "a renewal")
            self.assertEqual(await second.attempt(), REFUSED)
        self.assertEqual(self.server.command("GET", NAME), token)

    async def test_a_holder_that_dies_frees_it(self) -> None:
        node, other = await self.node(), await self.node()
        await node.tier.lease(KEY).attempt()
        self.assertTrue(0 < self.server.command("PTTL", NAME) <= 5000)
        self.patch(leases, "_VALID", 3.0)  # which a test can wait for
        held = node.tier.lease(number_key(1))
        await held.attempt()
        node.tier._leases._renewing.stop()  # as a process that was killed
        waiting = other.tier.lease(number_key(1))
        self.assertFalse((await waiting.attempt()).taken)
        await self.until(lambda: not self.server.command("EXISTS", f"imgforge:lease:{number_key(1).hex()}"))
        self.assertTrue((await waiting.attempt()).taken)

    async def test_a_closed_tier_releases_its_leases(self) -> None:
        node = await self.node()
        await node.tier.lease(KEY).attempt()
        await node.close()
        self.assertEqual(self.server.command("EXISTS", NAME), 0)

    async def test_it_is_released_after_the_write_has_ended(self) -> None:
        node, other = await self.node(), await self.node()
        lease = node.tier.lease(KEY)
        await lease.attempt()
        written: Deferred[Any] = Deferred()
        lease.release(None, written)
        self.assertEqual(await other.tier.lease(KEY).attempt(), REFUSED)
        await node.tier.put(KEY, ENTRY)
        written.callback("result")
        self.assertEqual(await written, "result")
        await self.free()
        waiting = other.tier.lease(KEY)
        self.assertEqual(await waiting.attempt(), LeaseAttempt(taken=True, present=True, outcome=None))

    async def test_those_who_wait_are_told_the_outcome_once(self) -> None:
        node, other = await self.node(), await self.node()
        for outcome in (b"", b"SourceNotFound\nno such\nimage", b"SourceNotFound\nno such\nimage"):
            lease, waiting = node.tier.lease(KEY), other.tier.lease(KEY)
            await lease.attempt()
            self.assertEqual(await waiting.attempt(), REFUSED)
            lease.release(outcome, succeed(None))
            await self.free()
            self.assertEqual((await waiting.attempt()).outcome, outcome)
            waiting.release(None, succeed(None))
            await self.free()
            late = other.tier.lease(KEY)
            self.assertEqual(await late.attempt(), TAKEN)
            late.release(None, succeed(None))
            await self.free()
        self.assertTrue(0 < self.server.command("PTTL", f"imgforge:outcome:{KEY.hex()}") <= 5000)

    async def test_a_long_outcome_is_shortened(self) -> None:
        node, other = await self.node(), await self.node()
        lease, waiting = node.tier.lease(KEY), other.tier.lease(KEY)
        await lease.attempt()
        await waiting.attempt()
        lease.release(b"x" * 5000, succeed(None))
        await self.free()
        self.assertEqual((await waiting.attempt()).outcome, b"x" * 504)

    async def test_what_another_program_tells_is_bounded(self) -> None:
        waiting = (await self.node()).tier.lease(KEY)
        self.server.command("SET", NAME, "x" * 100_000)
        self.assertEqual(await waiting.attempt(), REFUSED)
        self.server.command("SET", f"imgforge:outcome:{KEY.hex()}", "x" * 100_000)
        found = await waiting.attempt()
        self.assertEqual(len(found.outcome or b""), 505)
        self.server.command("SET", f"imgforge:outcome:{KEY.hex()}", "short")
        self.assertIsNone((await waiting.attempt()).outcome)

    async def test_it_is_never_held_after_its_release(self) -> None:
        node = await self.node()
        for _ in range(20):
            lease = node.tier.lease(KEY)
            attempt = lease.attempt()
            lease.release(None, succeed(None))  # while the attempt is under way
            self.assertEqual(await attempt, REFUSED)
            await self.free()

    async def test_a_cancelled_attempt_holds_nothing(self) -> None:
        node = await self.node()
        for _ in range(20):
            lease = node.tier.lease(KEY)
            attempt = lease.attempt()
            await deferLater(reactor, 0)
            attempt.addErrback(lambda _: None)
            attempt.cancel()
            lease.release(None, succeed(None))  # the answer may have come before
        await self.free()
        await deferLater(reactor, 0.1)
        self.assertEqual(self.server.command("EXISTS", NAME), 0)
        self.assertEqual(node.tier._leases._held, set())

    async def test_the_lease_of_another_holder_is_not_deleted(self) -> None:
        node = await self.node()
        lease = node.tier.lease(KEY)
        await lease.attempt()
        self.server.command("SET", NAME, "another's")  # as after an expiry
        lease.release(None, succeed(None))
        await node.close()
        self.assertEqual(self.server.command("GET", NAME), b"another's")

    async def test_a_server_that_is_gone_refuses(self) -> None:
        node = await self.node()
        lease = node.tier.lease(KEY)
        await lease.attempt()
        self.server.kill()
        try:
            with self.assertRaises(RedisFault):
                await node.tier.lease(number_key(1)).attempt()
            lease.release(b"", succeed(None))
        finally:
            self.server.start()
