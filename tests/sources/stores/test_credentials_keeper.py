"""When credentials are loaded, and which requests wait for that. The clock is the test's; loads run on real threads."""

from __future__ import annotations

from threading import Event
from typing import cast

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, fail
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from imgforge.errors import ImgforgeError, OriginFailed, OriginTimeout
from imgforge.interfaces import IServerReactor
from imgforge.sources.stores.credentials_keeper import (
    CredentialsError,
    CredentialsKeeper,
    CredentialsLate,
    CredentialsRefused,
    Loaded,
)
from imgforge.sources.stores.credentials_threads import keeper_on_threads
from tests.support.logged_lines import logged_lines
from tests.support.scripted_origin import reactor, until
from tests.support.stepping_reactor import SteppingReactor

NONE = CredentialsError("no role")


class Loads:
    """Gives the *results* one after the other, the last one for ever; blocks its thread while it is held."""

    def __init__(self, *results: Loaded[str] | Exception) -> None:
        self.results = list(results)
        self.begun = 0
        self.gate = Event()
        self.gate.set()

    def __call__(self) -> Loaded[str]:
        self.begun += 1
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        self.gate.wait(60)
        if isinstance(result, Exception):
            raise result
        return result


class KeeperCase(TestCase):
    def setUp(self) -> None:
        self.clock = SteppingReactor()
        self.lines = logged_lines(self, "CredentialsKeeper")

    def keeper(self, *results: Loaded[str] | Exception) -> CredentialsKeeper[str]:
        """A keeper of what `self.loads` gives."""
        loads = self.loads = Loads(*results)
        made = keeper_on_threads(cast("IServerReactor", self.clock), "s3", loads)

        async def close() -> None:
            loads.gate.set()
            closing = made.close()
            while not closing.called:
                self.clock.advance(0.01)
                await deferLater(reactor, 0.005)
            await closing

        self.addCleanup(lambda: ensureDeferred(close()))
        return made

    def asked(self, keeper: CredentialsKeeper[str]) -> Deferred[str]:
        return ensureDeferred(keeper.get())

    async def asked_until(self, keeper: CredentialsKeeper[str], wanted: str) -> None:
        while await keeper.get() != wanted:
            await deferLater(reactor, 0.005)

    async def failure(self, keeper: CredentialsKeeper[str], kind: type[ImgforgeError] = OriginFailed) -> ImgforgeError:
        try:
            await keeper.get()
        except kind as error:
            return error
        raise AssertionError("there are credentials")


class FirstLoadTests(KeeperCase):
    async def test_requests_share_it(self) -> None:
        keeper = self.keeper(Loaded("a"))
        self.loads.gate.clear()
        keeper.start()
        waiting = [self.asked(keeper) for _ in range(3)]
        await until(lambda: self.loads.begun)
        self.loads.gate.set()
        self.assertEqual([await one for one in waiting], ["a"] * 3)
        self.assertEqual(self.successResultOf(self.asked(keeper)), "a")
        self.assertEqual(self.loads.begun, 1)

    async def test_it_goes_on_when_all_requests_are_cancelled(self) -> None:
        keeper = self.keeper(Loaded("a"))
        self.loads.gate.clear()
        for _ in range(2):
            waiting = self.asked(keeper)
            await until(lambda: self.loads.begun)
            waiting.cancel()
            await self.assertFailure(waiting, CancelledError)
        self.loads.gate.set()
        self.assertEqual(await keeper.get(), "a")
        self.assertEqual(self.loads.begun, 1)

    async def test_credentials_without_an_end_are_loaded_once(self) -> None:
        keeper = self.keeper(Loaded("a"), Loaded("b"))
        await keeper.get()
        self.clock.advance(1e9)
        self.assertEqual(await keeper.get(), "a")
        self.assertEqual(self.loads.begun, 1)


class RenewalTests(KeeperCase):
    async def test_the_old_ones_serve_while_new_ones_are_asked_for(self) -> None:
        keeper = self.keeper(Loaded("a", 3600), Loaded("b", 3600))
        await keeper.get()
        self.clock.advance(3600 - 901)
        self.assertEqual(await keeper.get(), "a")
        self.assertEqual(self.loads.begun, 1)
        self.clock.advance(2)
        self.loads.gate.clear()
        for _ in range(3):
            self.assertEqual(self.successResultOf(self.asked(keeper)), "a")
        await until(lambda: self.loads.begun == 2)
        self.assertEqual(self.successResultOf(self.asked(keeper)), "a")
        self.loads.gate.set()
        await self.asked_until(keeper, "b")
        self.assertEqual(self.loads.begun, 2)

    async def test_short_ones_are_renewed_at_half_their_time(self) -> None:
        for lifetime in (60, 8):
            keeper = self.keeper(Loaded("a", lifetime), Loaded("b", lifetime))
            await keeper.get()
            self.clock.advance(lifetime / 2 - 0.1)
            await keeper.get()
            self.assertEqual(self.loads.begun, 1)
            self.clock.advance(0.2)
            await self.asked_until(keeper, "b")
            self.assertEqual(self.loads.begun, 2)

    async def test_a_service_that_hangs_delays_nobody_until_they_expire(self) -> None:
        keeper = self.keeper(Loaded("a", 60), Loaded("b", 60))
        await keeper.get()
        self.loads.gate.clear()
        self.clock.advance(59)
        self.assertEqual(self.successResultOf(self.asked(keeper)), "a")
        self.clock.advance(2)
        waiting = self.asked(keeper)
        self.assertNoResult(waiting)
        self.loads.gate.set()
        self.assertEqual(await waiting, "b")

    async def test_in_their_last_seconds_they_are_not_sent_for_they_might_expire_on_their_way(self) -> None:
        keeper = self.keeper(Loaded("a", 3600), Loaded("b", 3600))
        await keeper.get()
        self.clock.advance(3600 - 9)
        self.assertEqual(await keeper.get(), "b")

    async def test_a_failure_leaves_those_that_are_valid(self) -> None:
        keeper = self.keeper(Loaded("a", 60), NONE, Loaded("b", 60))
        await keeper.get()
        self.clock.advance(40)
        await keeper.get()
        await until(lambda: self.lines)
        for _ in range(3):
            self.assertEqual(await keeper.get(), "a")
        self.assertEqual(self.loads.begun, 2)
        self.assertEqual(
            self.lines,
            ["s3: cannot get credentials: no role; the present ones are valid still, and the next try is in 1 s"],
        )
        self.clock.advance(2)
        await self.asked_until(keeper, "b")
        self.assertEqual(self.lines[1:], ["s3: there are credentials again"])


class FailureTests(KeeperCase):
    async def test_a_client_learns_no_cause_and_the_operator_does(self) -> None:
        for raised, cause in (
            (NONE, "no role"),
            (OSError("a\nfile"), "OSError: a file"),
            (Loaded("a", 0), "the credentials that were found have expired"),
            (Loaded("a", -5), "the credentials that were found have expired"),
        ):
            keeper = self.keeper(raised)
            error = await self.failure(keeper)
            self.assertEqual(error.message, "this server cannot authenticate with the object store")
            self.assertEqual(error.cause, cause)
            self.assertEqual(
                self.lines.pop(),
                f"s3: cannot get credentials: {cause}; s3:// sources fail, and the next try is in 1 s",
            )
            self.assertIsNot(await self.failure(keeper), error)
            self.assertEqual(self.loads.begun, 1)

    async def test_the_next_try_is_later_each_time(self) -> None:
        keeper = self.keeper(NONE)
        for number, pause in enumerate((1, 2, 4, 8, 16, 32, 60, 60), 1):
            await self.failure(keeper)
            self.assertEqual(self.loads.begun, number)
            self.clock.advance(pause - 0.01)
            await self.failure(keeper)
            self.assertEqual(self.loads.begun, number)
            self.clock.advance(0.02)

    async def test_a_service_that_refuses_is_asked_after_ten_seconds_at_the_earliest(self) -> None:
        keeper = self.keeper(CredentialsRefused("wrong password"))
        for number, pause in enumerate((10, 10, 10, 10, 16, 32, 60), 1):
            self.assertEqual((await self.failure(keeper)).cause, "wrong password")
            self.clock.advance(pause - 0.01)
            await self.failure(keeper)
            self.assertEqual(self.loads.begun, number)
            self.clock.advance(0.02)

    async def test_a_service_that_is_late_is_a_timeout(self) -> None:
        keeper = self.keeper(CredentialsLate("http://keystone: no answer"))
        error = await self.failure(keeper, OriginTimeout)
        self.assertEqual(error.message, "the store's authentication service does not answer")
        self.assertEqual(error.cause, "http://keystone: no answer")

    async def test_it_serves_once_there_are_credentials(self) -> None:
        keeper = self.keeper(NONE, Loaded("a"))
        await self.failure(keeper)
        self.clock.advance(1)
        self.assertEqual(await keeper.get(), "a")

    async def test_a_load_without_threads_may_fail_at_once(self) -> None:
        keeper: CredentialsKeeper[str] = CredentialsKeeper(self.clock, "swift", lambda: fail(NONE), self.fail)
        keeper.start()
        self.assertEqual(self.failureResultOf(self.asked(keeper), OriginFailed).value.cause, "no role")
        self.assertEqual(len(self.lines), 1)

    async def test_expired_ones_are_not_served_and_not_asked_for_with_each_request(self) -> None:
        keeper = self.keeper(Loaded("a", 1), Loaded("b", 0.9), Loaded("c"))
        await keeper.get()
        self.clock.advance(2)
        for _ in range(3):
            self.assertIn("expired", (await self.failure(keeper)).cause)
        self.assertEqual(self.loads.begun, 2)
        self.clock.advance(4)
        self.assertEqual(await keeper.get(), "c")


class RejectionTests(KeeperCase):
    async def test_rejected_credentials_are_replaced_at_once(self) -> None:
        keeper = self.keeper(Loaded("a"), Loaded("b"))
        await keeper.get()
        replaced = [ensureDeferred(keeper.replace("a")) for _ in range(3)]
        self.assertEqual([await each for each in replaced], [True] * 3)
        self.assertEqual(await keeper.get(), "b")
        self.assertTrue(await keeper.replace("a"))  # another request, sent before
        self.assertEqual(self.loads.begun, 2)

    async def test_where_the_new_ones_are_rejected_as_well_others_are_not_asked_for_at_once(self) -> None:
        keeper = self.keeper(Loaded("a"), Loaded("b"), Loaded("c"))
        await keeper.get()
        self.assertTrue(await keeper.replace("a"))
        self.assertFalse(await keeper.replace("b"))
        self.assertEqual(self.loads.begun, 2)
        self.clock.advance(31)
        self.assertTrue(await keeper.replace("b"))

    async def test_there_may_be_no_others(self) -> None:
        keeper = self.keeper(Loaded("a"))
        await keeper.get()
        self.assertFalse(await keeper.replace("a"))
        self.assertFalse(await keeper.replace("a"))  # not asked for again so soon
        self.assertEqual(self.loads.begun, 2)

    async def test_a_service_that_fails_is_asked_with_pauses_for_rejected_ones_too(self) -> None:
        keeper = self.keeper(Loaded("a"), NONE, Loaded("b"))
        await keeper.get()
        self.assertFalse(await keeper.replace("a"))
        self.assertFalse(await keeper.replace("a"))
        self.assertEqual(self.loads.begun, 2)
        self.clock.advance(11)
        self.assertTrue(await keeper.replace("a"))


class SecretTests(KeeperCase):
    async def test_no_line_has_a_secret(self) -> None:
        keeper = self.keeper(Loaded("secret a", 60), NONE, Loaded("secret b"))
        await keeper.get()
        self.clock.advance(61)
        await self.failure(keeper)
        self.clock.advance(2)
        await keeper.get()
        self.assertTrue(self.lines)
        self.assertNotIn("secret", "".join(self.lines) + repr(vars(keeper)) + repr(self.loads.results))


class ThreadTests(KeeperCase):
    async def test_a_load_that_hangs_blocks_nothing_else(self) -> None:
        keeper = self.keeper(Loaded("a"))
        self.loads.gate.clear()
        waiting = self.asked(keeper)
        other: Deferred[str] = deferLater(reactor, 0, lambda: "served")
        self.assertEqual(await other, "served")
        self.assertNoResult(waiting)
        self.loads.gate.set()
        self.assertEqual(await waiting, "a")

    async def test_a_load_that_never_ends_is_given_up(self) -> None:
        keeper = self.keeper(Loaded("a"), Loaded("b"))
        self.loads.gate.clear()
        waiting = self.asked(keeper)
        await until(lambda: self.loads.begun)
        self.clock.advance(61)
        with self.assertRaises(OriginFailed) as caught:
            await waiting
        self.assertEqual(caught.exception.cause, "no answer within 60 s")
        self.clock.advance(1)
        waiting = self.asked(keeper)  # on another thread
        await until(lambda: self.loads.begun == 2)
        self.loads.gate.set()
        self.assertEqual(await waiting, "b")

    async def test_closing_waits_for_no_service_that_hangs(self) -> None:
        keeper = self.keeper(Loaded("a"))
        self.loads.gate.clear()
        waiting = self.asked(keeper)
        await until(lambda: self.loads.begun)
        closed = keeper.close()
        self.clock.advance(1.1)
        await closed
        self.loads.gate.set()
        self.assertEqual(await waiting, "a")
