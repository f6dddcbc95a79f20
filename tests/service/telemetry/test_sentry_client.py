"""What became of reports to Sentry: its library tells which of them it has not delivered."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from imgforge.config import load_settings
from imgforge.observability import RequestRecord
from imgforge.service.telemetry.reports import ReportMetrics, Scrubber, report_of
from imgforge.service.telemetry.sentry_client import SentryClient
from tests.support.logged_lines import logged_lines
from tests.support.process import wait_for
from tests.support.report_receivers import ReportReceiver

REPORT = report_of(ValueError("x"), RequestRecord("id", "GET", b"/"), lambda _: b"", Scrubber(()))


class OutcomeTests(TestCase):
    def setUp(self) -> None:
        self.receiver = ReportReceiver()
        self.addCleanup(self.receiver.close)
        environment = {f"IMGFORGE_{name}": value for name, value in self.receiver.settings("sentry").items()}
        self.registry = CollectorRegistry()
        reactor: Any = global_reactor
        self.client = SentryClient(reactor, load_settings(None, environment), ReportMetrics(self.registry))
        self.client.startService()
        self.addCleanup(self.stop)

    def stop(self) -> Deferred[None]:
        self.receiver.release()
        return self.client.stopService()

    def counts(self) -> dict[str, int]:
        """The outcomes that were counted."""
        (family,) = self.registry.collect()
        return {
            sample.labels["outcome"]: int(sample.value)
            for sample in family.samples
            if sample.value and "outcome" in sample.labels and sample.name.endswith("_total")
        }

    def test_reports_that_arrive_are_taken(self) -> None:
        self.client.put(REPORT)
        wait_for(lambda: self.receiver.reports, "the report")
        self.assertEqual(self.counts(), {"taken": 1})

    def test_reports_that_are_refused_or_held_back_have_failed_and_a_line_says_so(self) -> None:
        lines = logged_lines(self)
        self.receiver.status = 429
        self.client.put(REPORT)
        wait_for(lambda: self.counts().get("failed") == 1, "the refusal")
        self.client.put(REPORT)  # which the library does not send: Sentry has limited the rate
        wait_for(lambda: self.counts().get("failed") == 2, "the other report")
        self.assertEqual((self.counts(), len(self.receiver.reports)), ({"taken": 2, "failed": 2}, 1))
        self.assertEqual(
            [line for line in lines if "Sentry" in line],
            ["an error report was not delivered to Sentry (status_429); check IMGFORGE_SENTRY_DSN and the network"],
        )

    def test_reports_beyond_a_hundred_are_dropped(self) -> None:
        self.receiver.hold()
        for _ in range(110):
            self.client.put(REPORT)
        counts = self.counts()
        self.assertIn(counts, [{"taken": 100 + sending, "dropped": 10 - sending} for sending in (0, 1)])
