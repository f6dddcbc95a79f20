"""The application log's stream: no caller waits for its reader, nothing is lost without a word, in order."""

from __future__ import annotations

import fcntl
import os
import signal
from threading import Event, Thread

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import RequestRecord, bind_request, make_observer, parse_level_spec
from imgforge.observability.log_writer import LogWriter


class LogWriterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        self.stream = os.fdopen(writer, "w")
        self.addCleanup(os.close, self.reader)
        self.addCleanup(self.stream.close)

    def writer(self, most: int = 1_000_000, patience: float = 1.0) -> LogWriter:
        writer = LogWriter(self.stream, "{} dropped".format, most, patience)
        self.addCleanup(writer.close, 0)
        return writer

    def read(self, lines: int) -> list[str]:
        data = b""
        while data.count(b"\n") < lines:
            data += os.read(self.reader, 65536)
        return data.decode().splitlines()

    def test_lines_before_the_start_are_out_when_the_call_returns(self) -> None:
        self.writer().write("first\n")
        os.set_blocking(self.reader, False)
        self.assertEqual(os.read(self.reader, 100), b"first\n")

    def test_lines_are_written_in_order_before_during_and_after_the_thread(self) -> None:
        writer = self.writer()
        writer.write("0\n")
        writer.start()
        for number in range(1, 1000):  # more than the pipe holds
            writer.write(f"{number}\n")
        threads = [Thread(target=writer.close, args=(60,))]
        threads[0].start()
        lines = self.read(1000)
        threads[0].join()
        writer.write("1000\n")
        self.assertEqual([*lines, *self.read(1)], [str(number) for number in range(1001)])

    def test_dropped_lines_are_counted_in_their_place(self) -> None:
        writer = self.writer(most=10_000)
        writer.start()
        os.write(self.stream.fileno(), b"y" * 4095 + b"\n")  # so that the thread has to wait
        for _ in range(100):
            writer.write("x" * 999 + "\n")
        data: list[str] = []
        dropped = 0
        while sum(len(line) == 999 for line in data) + dropped < 100:
            data += self.read(1)
            dropped = sum(int(line.split()[0]) for line in data if line.endswith(" dropped"))
        self.assertEqual(dropped, 90)
        self.assertTrue(data[-1].endswith(" dropped"), data[-1])
        writer.write("next\n")
        self.assertEqual(self.read(1), ["next"])

    def test_reader_that_has_stopped_delays_the_end_by_a_bound_only(self) -> None:
        writer = self.writer()
        writer.start()
        for _ in range(100):
            writer.write("x" * 999 + "\n")
        ended = Event()

        def end() -> None:
            self.assertFalse(writer.close(0.05))
            for _ in range(100):
                writer.write("after the end\n")
            ended.set()

        Thread(target=end, daemon=True).start()
        self.assertTrue(ended.wait(60))
        self.read(100)

    def test_full_pipe_before_the_start_costs_lines_which_are_counted(self) -> None:
        writer = self.writer(patience=0.05)
        os.set_blocking(self.stream.fileno(), False)
        os.write(self.stream.fileno(), b"x" * 4095 + b"\n")
        for _ in range(5):
            writer.write("y\n")
        self.read(1)
        writer.write("z\n")
        self.assertEqual(self.read(2), ["5 dropped", "z"])

    def test_lines_that_a_closed_pipe_refused_are_counted_once_there_is_a_reader(self) -> None:
        gone, closed = os.pipe()
        os.close(gone)
        kept = os.dup(self.stream.fileno())
        self.addCleanup(os.close, kept)
        os.dup2(closed, self.stream.fileno())
        os.close(closed)
        writer = self.writer()
        writer.write("one\n")
        os.dup2(kept, self.stream.fileno())
        writer.write("two\n")
        self.assertEqual(self.read(2), ["1 dropped", "two"])

    def test_values_and_request_are_those_of_the_event(self) -> None:
        writer = self.writer()
        writer.start()
        os.write(self.stream.fileno(), b"x" * 4095 + b"\n")  # the thread waits
        log = Logger(namespace="t", observer=make_observer(writer, levels=parse_level_spec("info"), form="structured"))
        value = ["then"]
        bind_request(RequestRecord("mine"))
        self.addCleanup(bind_request, None)
        log.info("{value}", value=value)
        value[0] = "now"
        bind_request(RequestRecord("another"))
        _, line = self.read(2)
        self.assertIn('request_id="mine"', line)
        self.assertIn("then", line)
        self.assertNotIn("now", line)

    def test_fork_before_the_start_takes_no_thread_and_no_line_along(self) -> None:
        writer = self.writer()
        writer.write("parent\n")
        child = os.fork()
        if not child:
            writer.start()
            writer.write("child\n")
            os._exit(0 if writer.close(60) else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(self.read(2), ["parent", "child"])

    def test_handler_of_a_signal_may_log_in_the_midst_of_a_line(self) -> None:
        writer = self.writer()
        writer.start()
        before = signal.signal(signal.SIGUSR1, lambda *_: writer.write("handler\n"))
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        with writer._lock:  # as if the signal came within `write`
            signal.raise_signal(signal.SIGUSR1)
        self.assertEqual(self.read(1), ["handler"])
