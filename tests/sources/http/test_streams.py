"""Streams of originals, under the consumer's back-pressure."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import OriginFailed, OriginTimeout, SourceNotFound
from imgforge.model import SourceHead
from imgforge.sources.http.body import _Forwarder
from imgforge.testing import MemoryConsumer
from tests.support.http_case import HttpCase
from tests.support.scripted_origin import reactor, response, until


class HttpStreamTests(HttpCase):
    def setUp(self) -> None:
        self.consumer = MemoryConsumer()

    def stream(self, answer: Any, headers: Mapping[str, str] | None = None, **changes: Any) -> Deferred[None]:
        self.scripted_origin = self.origin(answer)
        return self.sources(**changes).stream(self.scripted_origin.url(), headers or {}, self.consumer.started)

    async def test_a_stream_has_head_and_body(self) -> None:
        await self.stream(response(b"picture", Content_Type="image/png", X_Other="1"))
        self.assertEqual(self.consumer.head, SourceHead(200, {"content-type": "image/png"}, 7))
        self.assertEqual((self.consumer.body, self.consumer.producer), (b"picture", None))

    async def test_a_range_is_requested_and_granted(self) -> None:
        await self.stream(response(b"ict", "206 Part", Content_Range="bytes 1-3/7"), {"range": "bytes=1-3"})
        self.assertIn(b"range: bytes=1-3", self.scripted_origin.heads[0].lower())
        self.assertEqual(self.consumer.head, SourceHead(206, {"content-range": "bytes 1-3/7"}, 3))

    async def test_a_206_without_a_range_in_the_request_fails(self) -> None:
        with self.assertRaises(OriginFailed):
            await self.stream(response(b"ict", "206 Part"))
        self.assertIsNone(self.consumer.head)

    async def test_a_missing_original_has_no_head(self) -> None:
        with self.assertRaises(SourceNotFound):
            await self.stream(response(b"", "404 No"))
        self.assertIsNone(self.consumer.head)

    async def test_compressed_bodies_are_unpacked_and_have_no_length(self) -> None:
        await self.stream(response(gzip.compress(b"<svg/>" * 99), Content_Encoding="gzip"))
        assert self.consumer.head is not None
        self.assertEqual((self.consumer.head.length, self.consumer.body), (None, b"<svg/>" * 99))

    async def test_a_short_body_fails_after_its_head(self) -> None:
        def short(transport: Any) -> None:
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            transport.loseConnection()

        with self.assertRaises(OriginFailed):
            await self.stream(lambda _: short)
        self.assertEqual((self.consumer.body, self.consumer.producer), (b"only this", None))

    async def test_a_consumer_that_stops_closes_the_connection(self) -> None:
        streaming = self.stream(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart")
        await until(lambda: self.consumer.body == b"start")
        self.consumer.producer.stopProducing()
        with self.assertRaises(CancelledError):
            await streaming
        self.assertIsNone(self.consumer.producer)
        await until(lambda: not self.scripted_origin.open)

    async def test_a_consumer_that_pauses_stops_the_reading(self) -> None:
        size = 30_000_000
        streaming = self.stream(response(b"x" * size))
        await until(lambda: self.consumer.producer is not None)
        self.consumer.producer.pauseProducing()
        before = len(self.consumer.body)
        for _ in range(20):
            await deferLater(reactor, 0)
        self.assertEqual(len(self.consumer.body), before)
        self.consumer.producer.resumeProducing()
        await streaming
        self.assertEqual(len(self.consumer.body), size)

    async def test_a_failing_start_closes_the_connection(self) -> None:
        def started(_: SourceHead) -> IConsumer:
            raise ZeroDivisionError

        origin = self.origin(response(b"x" * 100_000))
        with self.assertRaises(ZeroDivisionError):
            await self.sources().stream(origin.url(), {}, started)
        await until(lambda: not origin.open)


class SilenceTests(SynchronousTestCase):
    """How long an origin may be silent in the middle of a body."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.consumer = MemoryConsumer()
        self.forwarder = _Forwarder(self.consumer, self.clock, 10)
        self.forwarder.makeConnection(StringTransport())

    def test_silence_times_out(self) -> None:
        self.clock.advance(10)
        self.failureResultOf(self.forwarder.done, OriginTimeout)
        self.assertIsNone(self.consumer.producer)

    def test_each_byte_restarts_the_timer(self) -> None:
        for _ in range(5):
            self.clock.advance(9)
            self.forwarder.dataReceived(b"x")
        self.assertNoResult(self.forwarder.done)
        self.clock.advance(10)
        self.failureResultOf(self.forwarder.done, OriginTimeout)

    def test_a_pause_of_the_consumer_does_not_count_as_silence(self) -> None:
        self.consumer.producer.pauseProducing()
        self.clock.advance(1000)
        self.assertNoResult(self.forwarder.done)
        self.consumer.producer.resumeProducing()
        self.clock.advance(10)
        self.failureResultOf(self.forwarder.done, OriginTimeout)

    def test_no_timer_is_left_after_the_end(self) -> None:
        self.forwarder.connectionLost()
        self.successResultOf(self.forwarder.done)
        self.assertEqual(self.clock.getDelayedCalls(), [])
