"""Lines of libraries that use `logging`."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import make_observer, parse_level_spec
from imgforge.service.log_output import catch_uncaught


class ForwardedTests(SynchronousTestCase):
    def test_a_record_is_a_line_that_has_its_text_once(self) -> None:
        self.patch(logging, "lastResort", logging.lastResort)
        for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
            self.patch(module, name, getattr(module, name))
        catch_uncaught()
        written = io.StringIO()
        observer = make_observer(written, levels=parse_level_spec("info"), form="json")
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        assert logging.lastResort is not None
        logging.lastResort.handle(logging.makeLogRecord({"name": "library", "levelno": 30, "msg": "no answer"}))
        line = json.loads(written.getvalue())
        del line["time"]
        self.assertEqual(line, {"level": "warn", "namespace": "library", "message": "no answer"})
