"""The gauges of the whole server: what they are, and which of its processes sends them."""

from __future__ import annotations

import tempfile
from queue import SimpleQueue
from threading import Event
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from imgforge.observability import Metrics
from imgforge.service.telemetry.server_gauges import GaugeSender, ServerGauges, server_gauges
from tests.support.logged_lines import logged_lines
from tests.support.server_reactor import server_reactor
from tests.support.stepping_reactor import SteppingReactor


class SenderCase(TestCase):
    def setUp(self) -> None:
        self.clock: Any = SteppingReactor()
        self.metrics = Metrics(namespace="shop")
        self.sent: SimpleQueue[ServerGauges] = SimpleQueue()
        self.lines = logged_lines(self, "GaugeSender")

    def sender(self, send: Any = None, metrics: Metrics | None = None) -> GaugeSender:
        sender = GaugeSender(self.clock, metrics or self.metrics, "Datadog", send or self.sent.put)
        sender.startService()
        self.addCleanup(lambda: sender.stopService() if sender.running else None)
        return sender

    async def until(self, condition: Any) -> None:
        while not condition():
            await deferLater(server_reactor, 0.005)

    async def idle(self, *senders: GaugeSender) -> None:
        """Waits for the threads."""
        await self.until(lambda: not any(sender._sending for sender in senders))


class FigureTests(SenderCase):
    def test_figures_are_those_of_the_metrics(self) -> None:
        self.metrics.concurrency_limit(8)
        self.metrics.state.load(connections=9, requests=2, images=1, fetches=0, memory_waits=0)
        vips = {"memory_bytes": 10.0, "memory_highwater_bytes": 20.0, "allocations": 3.0, "files": 0.0, "threads": 1.0}
        self.metrics.state.vips(vips)
        self.assertEqual(server_gauges(self.metrics), ServerGauges(8, 2, 1, 25, 10, 20, 3))

    def test_server_without_workers_yet_is_not_utilized(self) -> None:
        self.assertEqual(server_gauges(Metrics()), ServerGauges(0, 0, 0, 0, 0, 0, 0))


class SenderTests(SenderCase):
    async def test_sends_at_the_start_and_every_ten_seconds(self) -> None:
        sender = self.sender()
        await self.idle(sender)
        self.clock.advance(9.9)
        await self.idle(sender)
        self.assertEqual(self.sent.qsize(), 1)
        self.metrics.concurrency_limit(3)
        self.clock.advance(0.1)
        await self.idle(sender)
        self.assertEqual(self.sent.qsize(), 2)
        self.sent.get()
        self.assertEqual(self.sent.get().workers, 3)

    async def test_one_process_of_a_server_sends(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            self.metrics.directory = directory
            first = self.sender()
            await self.idle(first)
            others: SimpleQueue[ServerGauges] = SimpleQueue()
            second = self.sender(others.put)
            await self.idle(second)
            self.assertEqual((self.sent.qsize(), others.qsize()), (1, 0))
            await first.stopService()
            self.clock.advance(10)
            await self.idle(second)
            self.assertEqual((self.sent.qsize(), others.qsize()), (1, 1))

    async def test_failure_is_logged_once_until_it_works_again(self) -> None:
        broken = True

        def send(gauges: ServerGauges) -> None:
            if broken:
                raise OSError("no route to http://me:hush@h")

        sender = self.sender(send)
        for _ in range(3):
            await self.idle(sender)
            self.clock.advance(10)
        await self.idle(sender)
        broken = False
        self.clock.advance(10)
        await self.idle(sender)
        self.assertEqual(
            self.lines,
            [
                "metrics cannot be sent to Datadog: OSError: no route to http://***@h; they are tried again every 10 s",
                "metrics are sent to Datadog again",
            ],
        )

    async def test_receiver_that_hangs_is_waited_for_by_its_thread_alone(self) -> None:
        begun, released = SimpleQueue[ServerGauges](), Event()
        self.addCleanup(released.set)

        def send(gauges: ServerGauges) -> None:
            begun.put(gauges)
            released.wait(60)

        sender = self.sender(send)
        await self.until(lambda: begun.qsize() == 1)
        self.clock.advance(10)
        self.clock.advance(10)
        self.assertEqual(begun.qsize(), 1)
        stopped: Deferred[None] = sender.stopService()
        self.assertTrue(stopped.called)
