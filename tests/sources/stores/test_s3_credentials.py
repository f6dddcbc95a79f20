"""When credentials are loaded, and who waits for that. The clock is the test's; loads run on real threads."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from imgforge.errors import OriginFailed
from imgforge.sources.stores.s3_credentials import CredentialsError, CredentialsKeeper, LoadedCredentials
from imgforge.sources.stores.s3_signature import Credentials
from tests.support.scripted_origin import reactor, until


class ThreadedClock(Clock):
    """A clock whose threads come back through the reactor that runs."""

    def callFromThread(self, call: Callable[..., Any], *args: Any) -> None:
        reactor.callFromThread(call, *args)


class Loads:
    """Gives the *results* one after the other, the last one for ever; waits while it is held."""

    def __init__(self, *results: LoadedCredentials | Exception) -> None:
        self.results = list(results)
        self.begun = 0
        self.gate = Event()
        self.gate.set()

    def __call__(self) -> LoadedCredentials:
        self.begun += 1
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        self.gate.wait(60)
        if isinstance(result, Exception):
            raise result
        return result


def valid(name: str, seconds: float | None = None) -> LoadedCredentials:
    return LoadedCredentials(Credentials(name, "secret-of-" + name, "token"), seconds)


class KeeperCase(TestCase):
    def setUp(self) -> None:
        self.clock = ThreadedClock()
        self.lines: list[str] = []
        observer: Any = self._observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_namespace", "").endswith("CredentialsKeeper"):
            self.lines.append(formatEvent(event))

    def keeper(self, loads: Loads) -> CredentialsKeeper:
        made = CredentialsKeeper(self.clock, loads)  # type: ignore[arg-type]

        async def close() -> None:
            loads.gate.set()
            closing = made.close()
            while not closing.called:
                self.clock.advance(0.01)
                await deferLater(reactor, 0.005)
            await closing

        self.addCleanup(lambda: ensureDeferred(close()))
        return made

    def asked(self, keeper: CredentialsKeeper) -> Deferred[Credentials]:
        return ensureDeferred(keeper.get())

    async def name(self, keeper: CredentialsKeeper) -> str:
        return (await keeper.get()).access_key


class FirstLoadTests(KeeperCase):
    async def test_requests_share_it(self) -> None:
        loads = Loads(valid("a"))
        loads.gate.clear()
        keeper = self.keeper(loads)
        keeper.start()
        waiting = [self.asked(keeper) for _ in range(3)]
        await until(lambda: loads.begun)
        loads.gate.set()
        self.assertEqual([(await one).access_key for one in waiting], ["a"] * 3)
        self.assertEqual(loads.begun, 1)

    async def test_it_goes_on_when_the_request_is_cancelled(self) -> None:
        loads = Loads(valid("a"))
        loads.gate.clear()
        keeper = self.keeper(loads)
        waiting = self.asked(keeper)
        await until(lambda: loads.begun)
        waiting.cancel()
        await self.assertFailure(waiting, CancelledError)
        loads.gate.set()
        self.assertEqual(await self.name(keeper), "a")
        self.assertEqual(loads.begun, 1)

    async def test_credentials_without_an_end_are_loaded_once(self) -> None:
        loads = Loads(valid("a"), valid("b"))
        keeper = self.keeper(loads)
        await keeper.get()
        self.clock.advance(1e6)
        self.assertEqual(await self.name(keeper), "a")
        self.assertEqual(loads.begun, 1)


class RefreshTests(KeeperCase):
    async def test_the_old_ones_serve_while_new_ones_are_asked_for(self) -> None:
        loads = Loads(valid("a", 3600), valid("b", 3600))
        keeper = self.keeper(loads)
        await keeper.get()
        self.clock.advance(3600 - 901)
        self.assertEqual(await self.name(keeper), "a")
        self.assertEqual(loads.begun, 1)
        self.clock.advance(2)
        loads.gate.clear()
        self.assertEqual(self.successResultOf(self.asked(keeper)).access_key, "a")
        await until(lambda: loads.begun == 2)
        for _ in range(3):
            self.assertEqual(self.successResultOf(self.asked(keeper)).access_key, "a")
        loads.gate.set()
        await self.asked_until(keeper, "b")
        self.assertEqual(loads.begun, 2)

    async def asked_until(self, keeper: CredentialsKeeper, name: str) -> None:
        while await self.name(keeper) != name:
            await deferLater(reactor, 0.005)

    async def test_short_ones_are_renewed_at_half_their_time(self) -> None:
        loads = Loads(valid("a", 60), valid("b", 60))
        keeper = self.keeper(loads)
        await keeper.get()
        self.clock.advance(29)
        await keeper.get()
        self.assertEqual(loads.begun, 1)
        self.clock.advance(2)
        await self.asked_until(keeper, "b")

    async def test_a_service_that_hangs_delays_nobody_until_they_expire(self) -> None:
        loads = Loads(valid("a", 60), valid("b", 60))
        keeper = self.keeper(loads)
        await keeper.get()
        loads.gate.clear()
        self.clock.advance(59)
        self.assertEqual(self.successResultOf(self.asked(keeper)).access_key, "a")
        self.clock.advance(2)
        waiting = self.asked(keeper)
        self.assertNoResult(waiting)
        loads.gate.set()
        self.assertEqual((await waiting).access_key, "b")

    async def test_a_failure_leaves_those_that_are_valid(self) -> None:
        loads = Loads(valid("a", 60), CredentialsError("no role"), valid("b", 60))
        keeper = self.keeper(loads)
        await keeper.get()
        self.clock.advance(40)
        await keeper.get()
        await until(lambda: self.lines)
        self.assertEqual(await self.name(keeper), "a")
        self.assertEqual(
            self.lines,
            ["s3: cannot get credentials: no role; the present ones are valid still, and the next try is in 1 s"],
        )
        self.clock.advance(2)
        await self.asked_until(keeper, "b")
        self.assertEqual(self.lines[1:], ["s3: there are credentials again"])


class FailureTests(KeeperCase):
    async def failure(self, keeper: CredentialsKeeper) -> OriginFailed:
        try:
            await keeper.get()
        except OriginFailed as error:
            return error
        raise AssertionError("there are credentials")

    async def test_a_client_learns_no_cause_and_the_operator_does(self) -> None:
        for raised, cause in (
            (CredentialsError("no role"), "no role"),
            (OSError("a\nfile"), "OSError: a file"),
            (valid("a", 0), "the credentials that were found have expired"),
        ):
            keeper = self.keeper(Loads(raised))
            error = await self.failure(keeper)
            self.assertEqual(error.message, "this server cannot authenticate with the object store")
            self.assertEqual(error.cause, cause)
            self.assertEqual(
                self.lines.pop(),
                f"s3: cannot get credentials: {cause}; s3:// sources fail with 502, and the next try is in 1 s",
            )

    async def test_the_next_try_is_later_each_time(self) -> None:
        loads = Loads(CredentialsError("no role"))
        keeper = self.keeper(loads)
        for number, pause in enumerate((1, 2, 4, 8, 16, 32, 60, 60), 1):
            await self.failure(keeper)
            self.assertEqual(loads.begun, number)
            self.clock.advance(pause - 0.01)
            await self.failure(keeper)
            self.assertEqual(loads.begun, number)
            self.clock.advance(0.02)

    async def test_it_serves_once_there_are_credentials(self) -> None:
        keeper = self.keeper(Loads(CredentialsError("no role"), valid("a")))
        await self.failure(keeper)
        self.clock.advance(1)
        self.assertEqual(await self.name(keeper), "a")

    async def test_a_load_that_never_ends_is_given_up(self) -> None:
        loads = Loads(valid("a"), valid("b"))
        loads.gate.clear()
        keeper = self.keeper(loads)
        waiting = self.asked(keeper)
        await until(lambda: loads.begun)
        self.clock.advance(61)
        with self.assertRaises(OriginFailed) as caught:
            await waiting
        self.assertEqual(caught.exception.cause, "no answer within 60 s")
        self.clock.advance(1)
        waiting = self.asked(keeper)  # on another thread
        await until(lambda: loads.begun == 2)
        loads.gate.set()
        self.assertEqual((await waiting).access_key, "b")

    async def test_a_service_with_nothing_but_expired_ones_is_not_asked_for_each_request(self) -> None:
        loads = Loads(valid("a", 1))
        keeper = self.keeper(loads)
        await keeper.get()
        self.clock.advance(2)
        self.assertIn("too early", (await self.failure(keeper)).cause)
        self.assertEqual(loads.begun, 1)
        self.clock.advance(4)
        self.assertEqual(await self.name(keeper), "a")


class RejectionTests(KeeperCase):
    async def test_rejected_credentials_are_replaced(self) -> None:
        loads = Loads(valid("a"), valid("b"))
        keeper = self.keeper(loads)
        await keeper.get()
        self.clock.advance(10)
        self.assertTrue(await keeper.replace("a", "token"))
        self.assertEqual(await self.name(keeper), "b")
        self.assertTrue(await keeper.replace("a", "token"))  # another request, sent before
        self.assertEqual(loads.begun, 2)

    async def test_there_may_be_no_others(self) -> None:
        loads = Loads(valid("a"))
        keeper = self.keeper(loads)
        await keeper.get()
        self.clock.advance(10)
        self.assertFalse(await keeper.replace("a", "token"))
        self.assertFalse(await keeper.replace("a", "token"))  # not asked for again so soon
        self.assertEqual(loads.begun, 2)


class SecretTests(KeeperCase):
    async def test_no_line_has_a_secret(self) -> None:
        keeper = self.keeper(Loads(valid("a", 60), CredentialsError("no role"), valid("b")))
        await keeper.get()
        self.clock.advance(61)
        await self.assertFailure(self.asked(keeper), OriginFailed)
        self.clock.advance(2)
        await keeper.get()
        self.assertTrue(self.lines)
        self.assertNotIn("secret", "".join(self.lines) + repr(vars(keeper)))
