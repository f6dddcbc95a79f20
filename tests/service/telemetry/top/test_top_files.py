"""What a process writes of its tables for the others."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import ImageRequest
from imgforge.observability import RequestRecord
from imgforge.service.telemetry.top import SharedMinutes, TopTables
from imgforge.service.telemetry.top_tables import TopFiles


class Threads(Clock):
    """A reactor whose threads do all at once, or, while they *hang*, at `release`."""

    hang = False

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []

    def getThreadPool(self) -> Threads:
        return self

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        call(*arguments)

    def callInThreadWithCallback(self, ended: Any, call: Any, *arguments: Any) -> None:
        self.waiting.append(lambda: ended(True, call(*arguments)))
        if not self.hang:
            self.release()

    def release(self) -> None:
        """Does what has waited, the last one first."""
        self.hang = False
        while self.waiting:
            self.waiting.pop()()


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

    def test_the_latest_document_of_a_minute_stays_however_threads_run(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        threads = Threads()
        reactor: Any = threads
        tables = TopTables(10, reactor.seconds)
        files = TopFiles(reactor, tables, SharedMinutes(directory.name, 1))
        threads.hang = True
        for _ in range(3):
            tables.note(RequestRecord(image=ImageRequest("http://o/a"), source="http://o/a", status=200))
            files.fold()
            files.fold()
        threads.release()
        ((_, minute),) = SharedMinutes(directory.name, 2).read_others(0)
        self.assertEqual(minute.totals[0], 3)
