"""Which events of the log are sent over OTLP, and under which names."""

from __future__ import annotations

from typing import Any

from opentelemetry._logs import LogRecord
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import parse_level_spec
from imgforge.service.telemetry.otel.log_records import LogRecords


class Sent:
    """Keeps the records that it is given."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []

    def emit(self, record: LogRecord) -> None:
        """Notes *record*."""
        self.records.append(record)


class NamespaceTests(SynchronousTestCase):
    def sent(self, namespace: str, levels: str = "info") -> list[str]:
        """The loggers of the records that an event of *namespace* makes."""
        sent: Any = Sent()
        LogRecords(sent, parse_level_spec(levels))({"log_namespace": namespace, "log_level": LogLevel.info})
        return [record.attributes["logger.name"] for record in sent.records]

    def test_what_the_log_leaves_out_is_not_sent(self) -> None:
        self.assertEqual(self.sent("log_legacy"), [])  # Twisted's own lines, which the log has from warnings on
        self.assertEqual(self.sent("log_legacy", "twisted=info"), ["twisted"])
        self.assertEqual(self.sent("imgforge.web.server", "imgforge.web=warn"), [])

    def test_loggers_have_the_names_of_the_log(self) -> None:
        self.assertEqual(self.sent("imgforge.web.server"), ["imgforge.web"])
        self.assertEqual(self.sent("urllib3.connectionpool"), [])
