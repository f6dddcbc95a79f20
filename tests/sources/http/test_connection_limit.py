"""The limit on simultaneous requests to an origin."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.protocol import Protocol

from imgforge.model import SourceHead
from imgforge.sources import SourceRegistry
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import ScriptedOrigin, response, until


class ConnectionLimitTests(HttpCase):
    """An origin that responds when the test calls `answer`."""

    def setUp(self) -> None:
        self.waiting: list[Any] = []
        self.slow = self.origin(lambda _: self.waiting.append)
        self.limited = self.sources(connections_per_host=2)

    def fetch_from(self, origin: ScriptedOrigin, sources: SourceRegistry | None = None) -> Deferred[Any]:
        return (sources or self.limited).fetch(origin.url(), None, {})

    def answer(self) -> None:
        self.waiting.pop(0).write(response(b"x"))

    async def let_requests_arrive(self) -> None:
        """Wait until a request would have arrived: another one, to another origin, has."""
        await self.fetch_from(self.origin(response(b"x")))

    async def test_requests_beyond_the_limit_wait(self) -> None:
        fetches = [self.fetch_from(self.slow) for _ in range(3)]
        await until(lambda: len(self.waiting) == 2)
        await self.let_requests_arrive()
        self.assertEqual(len(self.slow.heads), 2)
        self.answer()
        await until(lambda: len(self.slow.heads) == 3)
        self.answer()
        self.answer()
        images = await gatherResults(fetches)
        self.assertEqual([image.body for image in images], [b"x"] * 3)
        self.assertEqual(self.slow.connected, 2)

    async def test_a_cancelled_request_frees_its_place_and_a_cancelled_waiter_takes_none(self) -> None:
        first, second, third, fourth = [self.fetch_from(self.slow) for _ in range(4)]
        await until(lambda: len(self.waiting) == 2)
        for fetch in (third, first):
            fetch.cancel()
            await self.assertFailure(fetch, CancelledError)
        await until(lambda: len(self.slow.heads) == 3 and any(client.disconnected for client in self.waiting))
        self.waiting = [client for client in self.waiting if not client.disconnected]
        self.answer()
        self.answer()
        await gatherResults([second, fourth])
        self.assertEqual(len(self.slow.heads), 3)

    async def test_an_incomplete_body_keeps_its_place(self) -> None:
        fetches = [self.fetch_from(self.slow) for _ in range(3)]
        await until(lambda: len(self.waiting) == 2)
        rest = self.waiting.pop(0)
        rest.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx")
        await self.let_requests_arrive()
        self.assertEqual(len(self.slow.heads), 2)
        rest.write(b"x")
        await until(lambda: len(self.slow.heads) == 3)
        self.answer()
        self.answer()
        await gatherResults(fetches)

    async def test_a_fetch_that_waits_for_memory_has_no_place(self) -> None:
        reservations: list[Deferred[None]] = []

        def reserve(_: int) -> Deferred[None]:
            reservations.append(Deferred())
            return reservations[-1]

        waiting = [self.limited.fetch(self.slow.url(), None, {}, reserve) for _ in range(2)]
        await until(lambda: len(self.waiting) == 2)
        others = [self.fetch_from(self.slow) for _ in range(2)]
        self.answer()
        self.answer()
        await until(lambda: len(reservations) == 2 and len(self.waiting) == 2)
        self.answer()
        self.answer()
        await gatherResults(others)
        for reservation in reservations:
            reservation.callback(None)
        await gatherResults(waiting)

    async def test_a_redirect_frees_the_place(self) -> None:
        moved = f"HTTP/1.1 302 x\r\nLocation: {self.slow.url()}\r\nContent-Length: 0\r\n\r\n"
        here = self.origin(moved.encode())
        fetches = [self.fetch_from(here) for _ in range(3)]
        await until(lambda: len(here.heads) == 3)
        for _ in fetches:
            await until(lambda: self.waiting)
            self.answer()
        await gatherResults(fetches)

    async def test_streams_do_not_count_for_images(self) -> None:
        class Consumer(Protocol):
            def registerProducer(self, producer: Any, streaming: bool) -> None:
                """It never pauses."""

            def unregisterProducer(self) -> None:
                """Nothing ends with it."""

            def write(self, data: bytes) -> None:
                """Drop the bytes."""

        def started(_: SourceHead) -> Any:
            return Consumer()

        streams = [self.limited.stream(self.slow.url(), {}, started) for _ in range(3)]
        await until(lambda: len(self.waiting) == 2)
        fetching = self.fetch_from(self.slow)
        await until(lambda: len(self.waiting) == 3)
        self.waiting.pop().write(response(b"x"))
        self.assertEqual((await fetching).body, b"x")
        for _ in streams:
            await until(lambda: self.waiting)
            self.answer()
        await gatherResults(streams)

    async def test_0_is_unlimited(self) -> None:
        fetches = [self.fetch_from(self.slow, self.sources(connections_per_host=0)) for _ in range(80)]
        await until(lambda: len(self.waiting) == 80)
        for _ in fetches:
            self.answer()
        await gatherResults(fetches)
