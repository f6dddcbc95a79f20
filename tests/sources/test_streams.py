"""Originals that are passed on as they come, at the pace of whoever takes them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from imgforge.errors import OriginFailed, OriginTimeout, SourceNotFound
from imgforge.model import SourceHead
from imgforge.sources.http.body import _Forwarder
from imgforge.sources.thread_producer import ThreadProducer
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import reactor, until, whole


@implementer(IConsumer)
class Taker:
    """Takes what comes, and notes the head; `producer` is None once all has been written."""

    def __init__(self) -> None:
        self.heads: list[SourceHead] = []
        self.body = b""
        self.producer: Any = None

    def started(self, head: SourceHead) -> IConsumer:
        self.heads.append(head)
        return self

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.body += data


class HttpStreamTests(HttpCase):
    def setUp(self) -> None:
        self.taker = Taker()

    def stream(self, answer: Any, headers: Mapping[str, str] | None = None, **changes: Any) -> Deferred[None]:
        self.source = self.origin(answer)
        return self.sources(**changes).stream(self.source.url(), headers or {}, self.taker.started)

    async def test_head_and_body_arrive(self) -> None:
        await self.stream(whole(b"picture", Content_Type="image/png", X_Other="1"))
        self.assertEqual(self.taker.heads, [SourceHead(200, {"content-type": "image/png"}, 7)])
        self.assertEqual((self.taker.body, self.taker.producer), (b"picture", None))

    async def test_a_range_is_asked_for_and_granted(self) -> None:
        await self.stream(whole(b"ict", "206 Part", Content_Range="bytes 1-3/7"), {"range": "bytes=1-3"})
        self.assertIn(b"range: bytes=1-3", self.source.heads[0].lower())
        self.assertEqual(self.taker.heads, [SourceHead(206, {"content-range": "bytes 1-3/7"}, 3)])

    async def test_a_part_that_nobody_asked_for_is_no_answer(self) -> None:
        with self.assertRaises(OriginFailed):
            await self.stream(whole(b"ict", "206 Part"))
        self.assertEqual(self.taker.heads, [])

    async def test_a_missing_original_has_no_head(self) -> None:
        with self.assertRaises(SourceNotFound):
            await self.stream(whole(b"", "404 No"))
        self.assertEqual(self.taker.heads, [])

    async def test_packed_bodies_are_unpacked_and_have_no_length(self) -> None:
        await self.stream(whole(gzip.compress(b"<svg/>" * 99), Content_Encoding="gzip"))
        self.assertEqual((self.taker.heads[0].length, self.taker.body), (None, b"<svg/>" * 99))

    async def test_a_short_body_fails_after_its_head(self) -> None:
        def short(transport: Any) -> None:
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            transport.loseConnection()

        with self.assertRaises(OriginFailed):
            await self.stream(lambda _: short)
        self.assertEqual((self.taker.body, self.taker.producer), (b"only this", None))

    async def test_a_consumer_that_goes_away_closes_the_connection(self) -> None:
        streaming = self.stream(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart")
        await until(lambda: self.taker.body == b"start")
        self.taker.producer.stopProducing()
        with self.assertRaises(CancelledError):
            await streaming
        self.assertIsNone(self.taker.producer)
        await until(lambda: not self.source.open)

    async def test_a_consumer_that_pauses_holds_the_origin_up(self) -> None:
        size = 30_000_000
        streaming = self.stream(whole(b"x" * size))
        await until(lambda: self.taker.producer is not None)
        self.taker.producer.pauseProducing()
        before = len(self.taker.body)
        for _ in range(20):
            await deferLater(reactor, 0)
        self.assertEqual(len(self.taker.body), before)
        self.taker.producer.resumeProducing()
        await streaming
        self.assertEqual(len(self.taker.body), size)

    async def test_a_start_that_fails_closes_the_connection(self) -> None:
        def started(_: SourceHead) -> IConsumer:
            raise ZeroDivisionError

        origin = self.origin(whole(b"x" * 100_000))
        with self.assertRaises(ZeroDivisionError):
            await self.sources().stream(origin.url(), {}, started)
        await until(lambda: not origin.open)


class PatienceTests(SynchronousTestCase):
    """How long an origin may be silent in the middle of a body."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.taker = Taker()
        self.forwarder = _Forwarder(None, self.taker, self.clock, 10)
        self.forwarder.makeConnection(StringTransport())

    def test_silence_ends_it(self) -> None:
        self.clock.advance(10)
        self.failureResultOf(self.forwarder.done, OriginTimeout)
        self.assertIsNone(self.taker.producer)

    def test_each_byte_renews_it(self) -> None:
        for _ in range(5):
            self.clock.advance(9)
            self.forwarder.dataReceived(b"x")
        self.assertNoResult(self.forwarder.done)
        self.clock.advance(10)
        self.failureResultOf(self.forwarder.done, OriginTimeout)

    def test_a_pause_of_the_consumer_is_not_the_origins_silence(self) -> None:
        self.taker.producer.pauseProducing()
        self.clock.advance(1000)
        self.assertNoResult(self.forwarder.done)
        self.taker.producer.resumeProducing()
        self.clock.advance(10)
        self.failureResultOf(self.forwarder.done, OriginTimeout)

    def test_nothing_is_left_to_run_after_the_end(self) -> None:
        self.forwarder.connectionLost()
        self.successResultOf(self.forwarder.done)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PumpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.taker = Taker()
        self.reads: list[Deferred[bytes]] = []
        self.asked: list[tuple[int, int]] = []
        pump = ThreadProducer(self._read, self.taker)
        self.assertTrue(IPushProducer.providedBy(pump))
        self.running: Deferred[None] = Deferred.fromCoroutine(pump.run(10, 16))

    def _read(self, start: int, most: int) -> Deferred[bytes]:
        self.asked.append((start, most))
        self.reads.append(Deferred())
        return self.reads[-1]

    def test_piece_after_piece(self) -> None:
        self.reads[0].callback(b"abc")
        self.reads[1].callback(b"def")
        self.successResultOf(self.running)
        self.assertEqual((self.taker.body, self.taker.producer), (b"abcdef", None))
        self.assertEqual(self.asked, [(10, 6), (13, 3)])

    def test_no_read_while_the_consumer_is_full(self) -> None:
        self.taker.producer.pauseProducing()
        self.reads[0].callback(b"abc")
        self.assertEqual((self.taker.body, len(self.reads)), (b"", 1))
        self.taker.producer.resumeProducing()
        self.assertEqual((self.taker.body, len(self.reads)), (b"abc", 2))

    def test_a_source_that_shrinks_is_no_source(self) -> None:
        self.reads[0].callback(b"abc")
        self.reads[1].callback(b"")
        self.failureResultOf(self.running, OriginFailed)

    def test_a_consumer_that_goes_away_ends_it(self) -> None:
        self.taker.producer.pauseProducing()
        self.taker.producer.stopProducing()
        self.reads[0].callback(b"abc")
        self.failureResultOf(self.running, CancelledError)
        self.assertEqual(self.taker.body, b"")

    def test_a_consumer_that_goes_away_does_not_wait_for_a_read_that_hangs(self) -> None:
        self.taker.producer.stopProducing()
        self.failureResultOf(self.running, CancelledError)
        self.assertIsNone(self.taker.producer)
