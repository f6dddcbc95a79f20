"""Lines are written by a thread, whole and in order, and no caller waits for it."""

from __future__ import annotations

import os
from threading import Thread

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider

from imgforge.observability.line_writer import LineWriter


class LineWriterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader, writer = os.pipe()
        self.stream = os.fdopen(writer, "w")
        self.clock = Clock()
        self.addCleanup(self.close)
        self.warnings: list[LogEvent] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            if "were dropped" in str(event.get("log_format")):
                self.warnings.append(event)

        observer: ILogObserver = observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def close(self) -> None:
        os.close(self.reader)
        self.stream.close()

    def drain(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self.reader, size)
        return data

    def test_lines_are_written_in_order(self) -> None:
        lines = LineWriter(self.stream)
        for number in range(100):
            lines.put(str, (number, -number), 10)
        expected = "".join(f"{number}\n{-number}\n" for number in range(100)).encode()
        self.assertEqual(self.drain(len(expected)), expected)
        lines.close()

    def test_surplus_lines_are_dropped_with_a_warning_each_minute(self) -> None:
        lines = LineWriter(self.stream, 500_000, self.clock.seconds)
        text = "x" * 999
        for _ in range(2000):  # a pipe holds 65 of them
            lines.put(str, (text,), len(text) + 1)
        self.assertGreater(lines.dropped, 1000)
        self.assertEqual(len(self.warnings), 1)
        self.clock.advance(61)
        count = 2000
        while lines.put(str, (text,), len(text) + 1):  # in the place of those that the thread has written meanwhile
            count += 1
        self.assertEqual(len(self.warnings), 2)
        self.assertEqual(sum(event["count"] for event in self.warnings), lines.dropped)
        written = (count + 1 - lines.dropped) * 1000
        self.assertEqual(self.drain(written).count(b"x" * 999 + b"\n"), written // 1000)
        lines.close()

    def test_close_gives_up_on_a_reader_that_has_stopped(self) -> None:
        lines = LineWriter(self.stream)
        lines.put(str, ["x" * 999] * 1000, 1_000_000)
        ending = Thread(target=lines.close, args=(0.05,))
        ending.start()
        ending.join(60)
        self.assertFalse(ending.is_alive())
        self.drain(1_000_000)

    def test_lines_of_two_writers_into_one_pipe_stay_whole(self) -> None:
        writers = [LineWriter(self.stream) for _ in range(2)]
        for number, writer in enumerate(writers):
            writer.put(str, [str(number) * 700] * 500, 350_000)
        lines = self.drain(2 * 500 * 701).split()
        self.assertEqual({len(line) for line in lines}, {700})
        self.assertEqual({len(set(line)) for line in lines}, {1})

    def test_lines_after_a_failed_one_are_written(self) -> None:
        lines = LineWriter(self.stream)

        def line(number: int) -> str:
            if number == 0:
                raise ValueError("unlucky")
            return str(number)

        lines.put(line, (0,), 1)
        lines.put(line, (1,), 1)
        self.assertEqual(self.drain(2), b"1\n")
        lines.close()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_full_nonblocking_pipe_is_waited_for(self) -> None:
        os.set_blocking(self.stream.fileno(), False)
        lines = LineWriter(self.stream)
        lines.put(str, ["x" * 999] * 1000, 1_000_000)
        self.assertEqual(len(self.drain(1_000_000)), 1_000_000)
        lines.close()
