"""So many requests and no more are under way to an origin; the others have their turn, and no other origin waits."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.protocol import Protocol

from imgforge.model import SourceHead
from imgforge.sources import SourceRegistry
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import Origin, until, whole


class SlotsTests(HttpCase):
    """An origin that answers when the test says so."""

    def setUp(self) -> None:
        self.asking: list[Any] = []
        self.slow = self.origin(lambda _: self.asking.append)
        self.mine = self.sources(connections_per_host=2)

    def fetch_from(self, origin: Origin, sources: SourceRegistry | None = None) -> Deferred[Any]:
        return (sources or self.mine).fetch(origin.url(), None, {})

    def answer(self) -> None:
        self.asking.pop(0).write(whole(b"x"))

    async def some_turns(self) -> None:
        """Long enough for a request to arrive, if one was sent: another one, by the same reactor, does."""
        await self.fetch_from(self.origin(whole(b"x")))

    async def test_what_is_beyond_the_limit_waits_for_its_turn(self) -> None:
        fetches = [self.fetch_from(self.slow) for _ in range(3)]
        await until(lambda: len(self.asking) == 2)
        await self.some_turns()
        self.assertEqual(len(self.slow.heads), 2)
        self.answer()
        await until(lambda: len(self.slow.heads) == 3)
        self.answer()
        self.answer()
        images = await gatherResults(fetches)
        self.assertEqual([image.body for image in images], [b"x"] * 3)
        self.assertEqual(self.slow.connected, 2)

    async def test_who_leaves_makes_room_and_who_left_while_waiting_takes_none(self) -> None:
        first, second, third, fourth = [self.fetch_from(self.slow) for _ in range(4)]
        await until(lambda: len(self.asking) == 2)
        for fetch in (third, first):
            fetch.cancel()
            await self.assertFailure(fetch, CancelledError)
        await until(lambda: len(self.slow.heads) == 3 and any(one.disconnected for one in self.asking))
        self.asking = [one for one in self.asking if not one.disconnected]
        self.answer()
        self.answer()
        await gatherResults([second, fourth])
        self.assertEqual(len(self.slow.heads), 3)

    async def test_a_body_that_is_not_there_yet_holds_its_slot(self) -> None:
        fetches = [self.fetch_from(self.slow) for _ in range(3)]
        await until(lambda: len(self.asking) == 2)
        rest = self.asking.pop(0)
        rest.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx")
        await self.some_turns()
        self.assertEqual(len(self.slow.heads), 2)
        rest.write(b"x")
        await until(lambda: len(self.slow.heads) == 3)
        self.answer()
        self.answer()
        await gatherResults(fetches)

    async def test_who_waits_for_memory_holds_no_slot(self) -> None:
        there_is: list[Deferred[None]] = []

        def room(_: int) -> Deferred[None]:
            there_is.append(Deferred())
            return there_is[-1]

        waiting = [self.mine.fetch(self.slow.url(), None, {}, room) for _ in range(2)]
        await until(lambda: len(self.asking) == 2)
        others = [self.fetch_from(self.slow) for _ in range(2)]
        self.answer()
        self.answer()
        await until(lambda: len(there_is) == 2 and len(self.asking) == 2)
        self.answer()
        self.answer()
        await gatherResults(others)
        for one in there_is:
            one.callback(None)
        await gatherResults(waiting)

    async def test_a_redirect_gives_the_slot_back(self) -> None:
        moved = f"HTTP/1.1 302 x\r\nLocation: {self.slow.url()}\r\nContent-Length: 0\r\n\r\n"
        here = self.origin(moved.encode())
        fetches = [self.fetch_from(here) for _ in range(3)]
        await until(lambda: len(here.heads) == 3)
        for _ in fetches:
            await until(lambda: self.asking)
            self.answer()
        await gatherResults(fetches)

    async def test_streams_hold_up_no_images(self) -> None:
        class Consumer(Protocol):
            def registerProducer(self, producer: Any, streaming: bool) -> None:
                """It says itself when it goes on."""

            def unregisterProducer(self) -> None:
                """There is nothing to be told any more."""

            def write(self, data: bytes) -> None:
                """A client that is in no hurry."""

        def started(_: SourceHead) -> Any:
            return Consumer()

        streams = [self.mine.stream(self.slow.url(), {}, started) for _ in range(3)]
        await until(lambda: len(self.asking) == 2)
        fetching = self.fetch_from(self.slow)
        await until(lambda: len(self.asking) == 3)
        self.asking.pop().write(whole(b"x"))
        self.assertEqual((await fetching).body, b"x")
        for _ in streams:
            await until(lambda: self.asking)
            self.answer()
        await gatherResults(streams)

    async def test_0_is_any_number(self) -> None:
        fetches = [self.fetch_from(self.slow, self.sources(connections_per_host=0)) for _ in range(80)]
        await until(lambda: len(self.asking) == 80)
        for _ in fetches:
            self.answer()
        await gatherResults(fetches)
