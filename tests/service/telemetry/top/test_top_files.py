"""What a process writes of its tables for the others."""

from __future__ import annotations

import tempfile
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import ImageRequest
from imgforge.observability import RequestRecord
from imgforge.service.telemetry.top import SharedMinutes, TopTables
from imgforge.service.telemetry.top_tables import TopFiles


class Threads(Clock):
    """A reactor whose threads do all at once."""

    def getThreadPool(self) -> Threads:
        return self

    def callInThread(self, call: Any, *arguments: Any) -> None:
        call(*arguments)


class TopFilesTests(SynchronousTestCase):
    def test_a_minute_is_whole_in_its_file_whoever_began_the_next_one(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        reactor: Any = Threads()
        reactor.advance(6000.0)
        tables = TopTables(10, reactor.seconds)
        files = TopFiles(reactor, tables, SharedMinutes(directory.name, 1))

        def seen_by_another() -> float:
            return sum(one.totals[0] for _, one in SharedMinutes(directory.name, 2).read_others(0))

        for number in range(3):
            tables.note(RequestRecord(image=ImageRequest("http://o/a"), source=f"http://o/{number}", status=200))
            if number == 1:
                files.fold()
                files.fold()  # each second one writes
        self.assertEqual(seen_by_another(), 2)
        reactor.advance(60.0)
        tables.fold()  # somebody asks for the tables
        files.fold()
        self.assertEqual(seen_by_another(), 3)
