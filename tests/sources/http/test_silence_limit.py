"""How long origins may be silent in the middle of bodies, and what a store's fetch does then."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import OriginTimeout
from imgforge.sources.http.silence_limit import SilenceLimit
from tests.sources.http.test_store_exchange import StoreCase
from tests.support.scripted_origin import reactor, response


class SilenceLimitTests(SynchronousTestCase):
    """Two seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.late: list[float] = []
        self.limit = SilenceLimit(self.clock, 2)
        self.limit.late = self.late.append

    def test_silence_is_counted_from_the_last_bytes(self) -> None:
        self.limit.start()
        for _ in range(5):
            self.clock.advance(1.9)
            self.limit.heard()
        self.assertEqual(self.late, [])
        self.clock.pump((1.9, 0.2, 10))
        self.assertEqual(self.late, [2])

    def test_nothing_is_counted_while_the_origin_has_to_wait(self) -> None:
        self.limit.start()
        self.limit.stop()
        self.limit.heard()
        self.clock.advance(60)
        self.assertEqual((self.late, self.clock.getDelayedCalls()), ([], []))
        self.limit.start()
        self.clock.advance(2)
        self.assertEqual(self.late, [2])


class SilentStoreTests(StoreCase):
    @staticmethod
    def silent(transport: Any) -> None:
        transport.write(response(b"picture")[:-3])

    async def test_a_body_that_falls_silent_is_asked_for_again_on_another_connection(self) -> None:
        source = self.store(self.silent, self.silent, response(b"picture"), download_timeout=2.0)
        image = await source.fetch("s3://photos/a.jpg", None, {})
        self.assertEqual((image.body, len(self.origin.heads), self.origin.connected), (b"picture", 3, 3))
        self.assertTrue(any("silent for 0.5 seconds in the middle of the body" in line for line in self.lines))

    async def test_the_last_attempt_has_all_the_time_that_is_left(self) -> None:
        fetching = self.store(self.silent, download_timeout=1.0).fetch("s3://photos/a.jpg", None, {})
        await self.assertFailure(fetching, OriginTimeout)
        self.assertEqual(len(self.origin.heads), 3)

    async def test_time_in_which_the_store_has_to_wait_for_memory_does_not_count(self) -> None:
        body = b"picture " * 200_000
        granted: list[Deferred[None]] = []

        def reserve(_: int) -> Deferred[None]:
            granted.append(Deferred())
            reactor.callLater(0.6, granted[-1].callback, None)  # twice the limit
            return granted[-1]

        unframed = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body

        def send(transport: Any) -> None:
            transport.write(unframed)
            transport.loseConnection()

        image = await self.store(send, download_timeout=1.0).fetch("s3://photos/a.jpg", None, {}, reserve)
        self.assertEqual((len(image.body), len(self.origin.heads)), (len(body), 1))
        self.assertGreater(len(granted), 0)
