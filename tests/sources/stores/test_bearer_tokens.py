"""Tokens: loaded once for all that wait, renewed early in the background, and not asked for too often."""

from __future__ import annotations

from threading import Event
from typing import Any, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from imgforge.errors import OriginFailed
from imgforge.interfaces import IServerReactor
from imgforge.sources.stores.bearer_tokens import BearerTokens, Token
from tests.support.scripted_origin import reactor, until
from tests.support.stepping_reactor import SteppingReactor


class BearerTokenTests(TestCase):
    def setUp(self) -> None:
        self.clock = SteppingReactor()
        self.loads = 0
        self.life = 3600.0
        self.open = Event()
        self.open.set()
        self.failure: Exception | None = None
        self.tokens = BearerTokens(cast("IServerReactor", self.clock), "The Store", self.load)
        self.addCleanup(self.tokens.close)
        self.addCleanup(self.open.set)

    def load(self) -> Token:
        """Blocks a thread, as vendors' libraries do."""
        self.loads += 1
        self.open.wait()
        if self.failure is not None:
            raise self.failure
        return Token(f"t{self.loads}", self.clock.seconds() + self.life)

    def current(self) -> Deferred[str]:
        return ensureDeferred(self.tokens.current())

    async def settled(self) -> None:
        """Wait for the load under way to arrive."""
        await until(lambda: not self.tokens._loading)

    async def test_all_that_wait_share_the_first_load(self) -> None:
        self.open.clear()
        waiting = [self.current() for _ in range(5)]
        self.open.set()
        self.assertEqual([await each for each in waiting], ["t1"] * 5)
        self.assertEqual((await self.current(), self.loads), ("t1", 1))

    async def test_a_load_goes_on_when_its_only_caller_is_gone(self) -> None:
        self.open.clear()
        waiting = self.current()
        waiting.cancel()
        self.open.set()
        await self.settled()
        self.assertEqual((await self.current(), self.loads), ("t1", 1))
        self.assertIsInstance(self.failureResultOf(waiting).value, BaseException)

    async def test_it_is_renewed_in_the_background_while_the_old_one_serves(self) -> None:
        await self.current()
        self.clock.advance(3600 - 301)
        self.assertEqual((await self.current(), self.loads), ("t1", 1))
        self.clock.advance(2)
        self.open.clear()
        self.assertEqual(self.successResultOf(self.current()), "t1")
        self.assertEqual(self.successResultOf(self.current()), "t1")
        self.open.set()
        await self.settled()
        self.assertEqual((await self.current(), self.loads), ("t2", 2))

    async def test_a_short_life_is_renewed_in_its_last_quarter(self) -> None:
        self.life = 8.0
        await self.current()
        self.clock.advance(5.9)
        self.assertEqual((await self.current(), self.loads), ("t1", 1))
        self.clock.advance(0.2)
        await self.current()
        await self.settled()
        self.assertEqual(self.loads, 2)

    async def test_an_expired_one_is_never_handed_out(self) -> None:
        await self.current()
        self.clock.advance(3600 - 9)
        self.assertEqual(await self.current(), "t2")

    async def test_the_old_one_serves_while_the_endpoint_fails_and_it_is_asked_with_pauses(self) -> None:
        await self.current()
        self.failure = RuntimeError("down")
        self.clock.advance(3500)
        for _ in range(3):
            self.assertEqual(await self.current(), "t1")
            await self.settled()
        self.assertEqual(self.loads, 2)
        self.clock.advance(2.1)
        self.failure = None
        self.assertEqual(await self.current(), "t1")
        await self.settled()
        self.assertEqual(await self.current(), "t3")

    async def test_a_failure_has_its_cause_in_one_line_and_is_remembered_for_a_moment(self) -> None:
        self.failure = RuntimeError("no\nsuch account")
        for _ in range(2):
            with self.assertRaises(OriginFailed) as caught:
                await self.current()
        self.assertEqual(self.loads, 1)
        self.assertEqual(caught.exception.message, "this server cannot authenticate with the object store")
        self.assertEqual(caught.exception.cause, "no such account")
        self.clock.advance(2.1)
        self.failure = None
        self.assertEqual(await self.current(), "t2")

    async def test_a_refused_one_is_renewed_once(self) -> None:
        refused = await self.current()
        renewed = [ensureDeferred(self.tokens.renew(refused)) for _ in range(3)]
        self.assertEqual([await each for each in renewed], [True] * 3)
        self.assertEqual((await self.current(), self.loads), ("t2", 2))
        # The new one is refused as well: not the token's age is the cause.
        self.assertFalse(await self.tokens.renew("t2"))
        self.assertEqual(self.loads, 2)
        self.clock.advance(31)
        self.assertTrue(await self.tokens.renew("t2"))

    async def test_a_start_loads_at_once(self) -> None:
        self.tokens.start()
        await self.settled()
        self.assertEqual(self.successResultOf(self.current()), "t1")

    async def test_a_load_that_hangs_blocks_nothing_else(self) -> None:
        self.open.clear()
        waiting = self.current()
        other: Deferred[Any] = deferLater(reactor, 0, lambda: "served")
        self.assertEqual(await other, "served")
        self.assertNoResult(waiting)
        self.open.set()
        self.assertEqual(await waiting, "t1")

    async def test_closing_waits_for_no_endpoint_that_hangs(self) -> None:
        self.open.clear()
        waiting = self.current()
        closed = self.tokens.close()
        self.clock.advance(1.1)
        await closed
        self.open.set()
        self.assertEqual(await waiting, "t1")
