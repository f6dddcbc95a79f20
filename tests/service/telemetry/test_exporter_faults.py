"""A receiver that is down does not fill the log."""

from __future__ import annotations

import logging

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.telemetry.otel.exporter_faults import ExporterFaults
from tests.support.logged_lines import logged_lines


class ExporterFaultsTests(SynchronousTestCase):
    def test_each_exporter_has_a_line_a_minute(self) -> None:
        clock, lines = Clock(), logged_lines(self)
        logger = logging.getLogger("opentelemetry")
        self.addCleanup(setattr, logger, "propagate", logger.propagate)
        self.addCleanup(logger.handlers.__setitem__, slice(None), list(logger.handlers))
        ExporterFaults(clock.seconds).install()
        for seconds in (0, 1, 58):
            clock.advance(seconds)
            logging.getLogger("opentelemetry.exporter.traces").warning("no %s:\nhttp://me:hush@collector", "answer")
        logging.getLogger("opentelemetry.exporter.logs").error("no answer either")
        logging.getLogger("opentelemetry.exporter.logs").info("nothing of note")
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith("OpenTelemetry: no answer: http://***@collector; requests are"), lines[0])
        clock.advance(1)
        logging.getLogger("opentelemetry.exporter.traces").warning("no answer")
        self.assertIn("no answer (and 2 lines more like the last one); ", lines[2])
