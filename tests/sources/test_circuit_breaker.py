"""The circuit breaker of an origin, and retries of a fetch."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import CircuitOpen, ImgforgeError, OriginFailed, OriginTimeout, SourceRefused
from imgforge.sources.circuit_breaker import CircuitBreaker
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import response

ORIGIN = "http://a.example:80"


class CircuitBreakerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.breaker = CircuitBreaker(self.clock, 3, 10.0, 5.0)

    def ask(self, error: BaseException | None = None, took: float = 0.1, origin: str = ORIGIN) -> None:
        with self.breaker.watch(origin):
            self.clock.advance(took)
            if error is not None:
                raise error

    def fails(
        self, times: int, error: Callable[[], BaseException] = lambda: OriginFailed("x"), took: float = 0.1
    ) -> None:
        for _ in range(times):
            self.assertRaises(type(error()), self.ask, error(), took)

    def test_it_opens_after_so_many_failures_in_a_row(self) -> None:
        self.fails(2)
        self.ask()
        self.fails(3)
        self.assertEqual(self.assertRaises(CircuitOpen, self.ask).status, 502)

    def test_other_origins_are_not_affected(self) -> None:
        self.fails(3)
        self.ask(origin="http://b.example:80")

    def test_a_timeout_counts_and_has_its_status(self) -> None:
        self.fails(3, CancelledError, took=5.0)
        self.assertEqual(self.assertRaises(CircuitOpen, self.ask).status, OriginTimeout.status)

    def test_disconnected_clients_and_refused_sources_do_not_count(self) -> None:
        for _ in range(5):
            self.fails(1, CancelledError)
            self.fails(1, lambda: SourceRefused("x"))
        self.ask()

    def test_a_clock_that_is_set_back_makes_no_pause_longer(self) -> None:
        self.clock.advance(3600)
        self.fails(3)
        self.clock.rightNow -= 3000
        self.ask()
        self.fails(3)
        self.assertRaises(CircuitOpen, self.ask)

    def test_half_open_lets_one_request_through(self) -> None:
        self.fails(3)
        self.clock.advance(10)
        with self.breaker.watch(ORIGIN):
            self.assertRaises(CircuitOpen, self.ask)
        self.ask()
        self.assertEqual(len(self.breaker), 0)

    def test_a_failed_probe_opens_it_again(self) -> None:
        self.fails(3)
        self.clock.advance(10)
        self.fails(1)
        self.assertRaises(CircuitOpen, self.ask)

    def test_after_a_cancelled_probe_the_next_request_is_let_through(self) -> None:
        self.fails(3)
        self.clock.advance(10)
        self.fails(1, CancelledError)
        self.ask()

    def test_an_older_request_that_is_cancelled_does_not_end_the_probe(self) -> None:
        older = self.breaker.watch(ORIGIN)
        older.__enter__()
        self.fails(3)
        self.clock.advance(10)
        with self.breaker.watch(ORIGIN):
            self.clock.advance(-6)
            self.assertFalse(older.__exit__(CancelledError, CancelledError(), None))
            self.clock.advance(6)
            self.assertRaises(CircuitOpen, self.ask)

    def test_simultaneous_failures_count_once(self) -> None:
        watches = [self.breaker.watch(ORIGIN) for _ in range(9)]
        for watch in watches:
            watch.__enter__()
        self.clock.advance(1)
        for watch in watches:
            self.assertFalse(watch.__exit__(OriginFailed, OriginFailed("x"), None))
        self.ask()

    def test_with_0_failures_it_never_opens(self) -> None:
        self.breaker = CircuitBreaker(self.clock, 0, 10.0, 5.0)
        self.fails(50)
        self.ask()

    def test_the_oldest_of_too_many_origins_is_dropped(self) -> None:
        for number in range(1100):
            self.assertRaises(OriginFailed, self.ask, OriginFailed("x"), origin=f"http://{number}.example:80")
        self.assertEqual(len(self.breaker), 1000)


class FetchTests(HttpCase):
    async def test_an_overloaded_origin_gets_no_more_requests(self) -> None:
        origin = self.origin(response(b"", "503 Service Unavailable"))
        sources = self.sources(breaker_failures=3)
        for _ in range(6):
            with self.assertRaises(OriginFailed):
                await sources.fetch(origin.url(), None, {})
        self.assertEqual(len(origin.heads), 3)

    async def test_404_429_and_500_of_single_sources_do_not_count(self) -> None:
        for status in ("404 Not Found", "429 Too Many Requests", "500 Oops"):
            origin = self.origin(response(b"", status))
            sources = self.sources(breaker_failures=3, retries=0)
            for _ in range(5):
                with self.assertRaises(ImgforgeError) as caught:
                    await sources.fetch(origin.url(), None, {})
                self.assertIn(status[:3], caught.exception.message)
            self.assertEqual(len(origin.heads), 5)

    async def test_500_begins_the_count_anew(self) -> None:
        answers = [response(b"", status) for status in ("503 Busy", "503 Busy", "500 Oops") * 3]
        origin = self.origin(lambda _: answers.pop(0))
        sources = self.sources(breaker_failures=3, retries=0)
        for _ in range(9):
            with self.assertRaises(ImgforgeError):
                await sources.fetch(origin.url(), None, {})
        self.assertEqual(len(origin.heads), 9)

    async def test_a_failed_fetch_is_retried(self) -> None:
        answers = [response(b"", "503 Busy"), response(b"", "500 Oops"), response(b"picture")]
        origin = self.origin(lambda _: answers.pop(0))
        self.assertEqual((await self.sources(retries=2).fetch(origin.url(), None, {})).body, b"picture")

    async def test_retries_are_limited_and_a_404_is_not_retried(self) -> None:
        for status, retries, asked in (("503 Busy", 0, 1), ("503 Busy", 2, 3), ("404 Not Found", 2, 1)):
            origin = self.origin(response(b"", status))
            with self.assertRaises(ImgforgeError):
                await self.sources(retries=retries).fetch(origin.url(), None, {})
            self.assertEqual(len(origin.heads), asked, status)
