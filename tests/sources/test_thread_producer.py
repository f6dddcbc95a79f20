"""The producer that sends what threads read."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import OriginFailed
from imgforge.sources.thread_producer import ThreadProducer
from imgforge.testing import MemoryConsumer


class ThreadProducerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.consumer = MemoryConsumer()
        self.reads: list[Deferred[bytes]] = []
        self.requested: list[tuple[int, int]] = []
        producer = ThreadProducer(self._read, self.consumer)
        self.assertTrue(IPushProducer.providedBy(producer))
        self.running: Deferred[None] = Deferred.fromCoroutine(producer.run(10, 16))

    def _read(self, start: int, most: int) -> Deferred[bytes]:
        self.requested.append((start, most))
        self.reads.append(Deferred())
        return self.reads[-1]

    def test_chunks_are_read_in_order(self) -> None:
        self.reads[0].callback(b"abc")
        self.reads[1].callback(b"def")
        self.successResultOf(self.running)
        self.assertEqual((self.consumer.body, self.consumer.producer), (b"abcdef", None))
        self.assertEqual(self.requested, [(10, 6), (13, 3)])

    def test_a_paused_consumer_stops_the_reads(self) -> None:
        self.consumer.producer.pauseProducing()
        self.reads[0].callback(b"abc")
        self.assertEqual((self.consumer.body, len(self.reads)), (b"", 1))
        self.consumer.producer.resumeProducing()
        self.assertEqual((self.consumer.body, len(self.reads)), (b"abc", 2))

    def test_a_file_that_becomes_shorter_fails(self) -> None:
        self.reads[0].callback(b"abc")
        self.reads[1].callback(b"")
        self.failureResultOf(self.running, OriginFailed)

    def test_a_consumer_that_stops_ends_it(self) -> None:
        self.consumer.producer.pauseProducing()
        self.consumer.producer.stopProducing()
        self.reads[0].callback(b"abc")
        self.failureResultOf(self.running, CancelledError)
        self.assertEqual(self.consumer.body, b"")

    def test_a_consumer_that_stops_does_not_wait_for_a_blocked_read(self) -> None:
        self.consumer.producer.stopProducing()
        self.failureResultOf(self.running, CancelledError)
        self.assertIsNone(self.consumer.producer)
