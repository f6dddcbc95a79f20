"""The queue of a reporter: one report at a time, few that wait, pauses while the service fails, a short stop."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import RequestRecord
from imgforge.service.telemetry.reports import (
    Honeybadger,
    Payload,
    ReportMetrics,
    ReportQueue,
    Scrubber,
    report_of,
)
from tests.support.logged_lines import logged_lines

REPORT = report_of(ValueError("x"), RequestRecord("id", "GET", b"/"), lambda _: b"", Scrubber(()))


class QueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.posts: list[Deferred[int]] = []
        self.cancelled = 0
        self.registry = CollectorRegistry()
        notifier = Honeybadger("key", "eu", "http://127.0.0.1")
        self.queue = ReportQueue(self.clock, notifier, self.post, ReportMetrics(self.registry))
        self.queue.startService()

    async def post(self, payload: Payload) -> int:
        self.assertEqual(payload.url, "http://127.0.0.1/v1/notices")
        answer: Deferred[int] = Deferred(self.cancel)
        self.posts.append(answer)
        return await answer

    def cancel(self, _: Deferred[int]) -> None:
        self.cancelled += 1

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("error_reports_total", {"outcome": outcome}) or 0

    def test_one_is_sent_at_a_time_and_a_hundred_wait(self) -> None:
        for _ in range(110):
            self.queue.put(REPORT)
        self.assertEqual((len(self.posts), self.count("dropped")), (1, 9))
        self.posts[0].callback(201)
        self.assertEqual((len(self.posts), self.count("sent")), (2, 1))

    def test_service_that_fails_is_asked_after_longer_and_longer_pauses(self) -> None:
        for _ in range(3):
            self.queue.put(REPORT)
        self.posts[0].callback(500)
        self.assertEqual(len(self.posts), 1)
        self.clock.advance(1.0)
        self.posts[1].errback(ConnectionError("refused"))
        self.clock.advance(1.9)
        self.assertEqual(len(self.posts), 2)
        self.clock.advance(0.1)
        self.posts[2].callback(201)
        self.assertEqual((self.count("failed"), self.count("sent")), (2, 1))
        self.queue.put(REPORT)
        self.assertEqual(len(self.posts), 4)  # at once

    def test_the_line_about_a_failure_has_no_password(self) -> None:
        lines = logged_lines(self)
        self.queue.put(REPORT)
        self.posts[0].errback(ConnectionError("http://me:hush@h refused"))
        (line,) = lines
        self.assertIn("was not delivered to honeybadger: http://***@h refused;", line)

    def test_stop_sends_what_waits(self) -> None:
        self.queue.put(REPORT)
        self.queue.put(REPORT)
        stopping = self.queue.stopService()
        self.posts[0].callback(201)
        self.assertNoResult(stopping)
        self.posts[1].callback(201)
        self.successResultOf(stopping)

    def test_stop_waits_for_a_silent_service_two_and_a_half_seconds(self) -> None:
        self.queue.put(REPORT)
        self.queue.put(REPORT)
        stopping = self.queue.stopService()
        self.clock.advance(2.4)
        self.assertNoResult(stopping)
        self.clock.advance(0.1)
        self.successResultOf(stopping)
        self.assertEqual((self.cancelled, self.count("failed"), self.count("dropped")), (1, 1, 1))

    def test_stop_does_not_wait_for_a_service_that_fails(self) -> None:
        self.queue.put(REPORT)
        self.queue.put(REPORT)
        self.posts[0].callback(503)
        self.successResultOf(self.queue.stopService())
        self.assertEqual((len(self.posts), self.count("dropped")), (1, 1))
