"""Messages to real syslog sockets: their form, their order, and receivers that are away, slow or restarted."""

from __future__ import annotations

import os
import re
import socket
import tempfile
from pathlib import Path
from threading import Event, Thread
from time import localtime, mktime, strptime, time

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability.syslog import Syslog, SyslogReceiver
from tests.support.loopback_server import DEADLINE
from tests.support.process import free_port

LOCAL = re.compile(rb"<(\d+)>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) images\[(\d+)\]: (.*)\n", re.DOTALL)
NETWORK = re.compile(
    rb"<(\d+)>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)) (\S+) images\[(\d+)\]: (.*)\n", re.DOTALL
)


class SyslogCase(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = str(Path(directory.name, "log"))

    def syslog(self, network: str, address: str, most: int = 1_000_000) -> Syslog:
        syslog = Syslog(SyslogReceiver(network, address, "images"), "{} dropped".format, most)
        self.addCleanup(syslog.close, 0)
        return syslog

    def bound(self, family: int, kind: int, address: object) -> socket.socket:
        receiver = socket.socket(family, kind)
        self.addCleanup(receiver.close)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        receiver.settimeout(DEADLINE)
        receiver.bind(address)  # type: ignore[arg-type]
        if kind != socket.SOCK_DGRAM:
            receiver.listen()
        return receiver

    def accept(self, listener: socket.socket) -> socket.socket:
        connection, _ = listener.accept()
        self.addCleanup(connection.close)
        connection.settimeout(DEADLINE)
        return connection


def lines(connection: socket.socket, count: int) -> list[bytes]:
    """The next *count* lines of a stream, each with its end."""
    data = b""
    while data.count(b"\n") < count:
        part = connection.recv(65536)
        assert part, data
        data += part
    return data.splitlines(keepends=True)


class FormTests(SyslogCase):
    def test_local_datagram_has_priority_time_tag_and_process(self) -> None:
        receiver = self.bound(socket.AF_UNIX, socket.SOCK_DGRAM, self.path)
        syslog = self.syslog("unixgram", self.path)
        syslog.start()
        for level, severity in (("debug", 7), ("info", 6), ("warn", 4), ("error", 3), ("critical", 2)):
            syslog.send(LogLevel.levelWithName(level), f"at {level}")
            found = LOCAL.fullmatch(receiver.recv(10_000))
            assert found is not None
            priority, when, pid, text = found.groups()
            self.assertEqual((int(priority), int(pid), text.decode()), (8 + severity, os.getpid(), f"at {level}"))
        year = localtime().tm_year
        sent = mktime(strptime(f"{year} {when.decode()}", "%Y %b %d %H:%M:%S"))
        self.assertTrue(min(abs(time() - sent), 366 * 86400 - abs(time() - sent)) < 86400)

    def test_message_over_the_network_has_the_whole_time_and_the_host(self) -> None:
        for network, family, host in (("udp", socket.AF_INET, "127.0.0.1"), ("udp4", socket.AF_INET, "localhost")):
            receiver = self.bound(family, socket.SOCK_DGRAM, ("127.0.0.1", 0))
            syslog = self.syslog(network, f"{host}:{receiver.getsockname()[1]}")
            syslog.start()
            syslog.send(LogLevel.info, "hello")
            found = NETWORK.fullmatch(receiver.recv(10_000))
            assert found is not None
            self.assertEqual(found[1], b"14")
            self.assertEqual((found[3].decode(), found[5]), (socket.gethostname(), b"hello"))

    def test_streams_carry_a_line_a_message(self) -> None:
        for network, family, kind in (
            ("tcp", socket.AF_INET, socket.SOCK_STREAM),
            ("unix", socket.AF_UNIX, socket.SOCK_STREAM),
        ):
            address: object = self.path if family == socket.AF_UNIX else ("127.0.0.1", 0)
            listener = self.bound(family, kind, address)
            syslog = self.syslog(network, self.path if network == "unix" else f"127.0.0.1:{listener.getsockname()[1]}")
            syslog.start()
            for number in range(100):
                syslog.send(LogLevel.info, f"number {number}")
            got = lines(self.accept(listener), 100)
            form = LOCAL if network == "unix" else NETWORK
            texts = [found.groups()[-1] for line in got if (found := form.fullmatch(line))]
            self.assertEqual(texts, [f"number {number}".encode() for number in range(100)])

    def test_sequenced_packets(self) -> None:
        listener = self.bound(socket.AF_UNIX, socket.SOCK_SEQPACKET, self.path)
        syslog = self.syslog("unixpacket", self.path)
        syslog.start()
        syslog.send(LogLevel.info, "one")
        self.assertTrue(self.accept(listener).recv(1000).endswith(b": one\n"))

    def test_control_characters_are_escaped_and_long_messages_cut(self) -> None:
        receiver = self.bound(socket.AF_UNIX, socket.SOCK_DGRAM, self.path)
        syslog = self.syslog("unixgram", self.path)
        syslog.start()
        syslog.send(LogLevel.info, "a\n<0>forged\x1b[31m\udcff\0b")
        self.assertTrue(receiver.recv(1000).endswith(b": a\\n<0>forged\\x1b[31m\\udcff\\x00b\n"))
        syslog.send(LogLevel.info, "ä" * 20_000)
        long = receiver.recv(100_000)
        self.assertLessEqual(len(long), 8192)
        self.assertTrue(long.decode().endswith("ä...\n"))


class ReceiverTests(SyslogCase):
    def test_messages_wait_for_a_receiver_that_comes_later(self) -> None:
        syslog = self.syslog("unixgram", self.path)
        syslog.send(LogLevel.info, "before the start")
        syslog.start()
        syslog.send(LogLevel.info, "before the receiver")
        receiver = self.bound(socket.AF_UNIX, socket.SOCK_DGRAM, self.path)
        self.assertTrue(receiver.recv(1000).endswith(b"before the start\n"))
        self.assertTrue(receiver.recv(1000).endswith(b"before the receiver\n"))

    def test_receiver_that_restarts_gets_what_comes_after(self) -> None:
        for network, kind in (("unix", socket.SOCK_STREAM), ("unixgram", socket.SOCK_DGRAM)):
            path = f"{self.path}-{network}"
            first = self.bound(socket.AF_UNIX, kind, path)
            syslog = self.syslog(network, path)
            syslog.start()
            syslog.send(LogLevel.info, "one")
            connection = first if network == "unixgram" else self.accept(first)
            self.assertTrue(connection.recv(1000).endswith(b"one\n"))
            connection.close()
            first.close()
            os.unlink(path)
            syslog.send(LogLevel.info, "two")
            syslog.send(LogLevel.info, "three")
            second = self.bound(socket.AF_UNIX, kind, path)
            connection = second if network == "unixgram" else self.accept(second)
            got = [connection.recv(1000)] * 2 if network == "unixgram" else lines(connection, 2)
            self.assertTrue(got[0].endswith(b"two\n"), got)

    def test_tcp_receiver_that_restarts(self) -> None:
        port = free_port()
        syslog = self.syslog("tcp4", f"127.0.0.1:{port}")
        syslog.start()
        syslog.send(LogLevel.info, "one")
        for text in (b"one", b"two", b"three"):
            listener = self.bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port))
            with listener, self.accept(listener) as connection:
                self.assertTrue(lines(connection, 1)[0].endswith(b": " + text + b"\n"))
            syslog.send(LogLevel.info, {b"one": "two"}.get(text, "three"))

    def test_receiver_that_does_not_read_costs_messages_beyond_the_bound_which_are_counted(self) -> None:
        listener = self.bound(socket.AF_UNIX, socket.SOCK_STREAM, self.path)
        syslog = self.syslog("unix", self.path, most=50_000)
        syslog.start()
        for _ in range(1000):
            syslog.send(LogLevel.info, "x" * 1000)
        connection = self.accept(listener)
        got, dropped = b"", 0
        while got.count(b"x\n") + dropped < 1000:
            got += connection.recv(65536)
            dropped = sum(int(count) for count in re.findall(rb": (\d+) dropped\n", got))
        self.assertGreater(dropped, 500)

    def test_receiver_that_is_away_delays_the_end_by_a_bound_only(self) -> None:
        syslog = self.syslog("tcp", f"127.0.0.1:{free_port()}")
        syslog.start()
        syslog.send(LogLevel.info, "nobody hears")
        ended = Event()

        def end() -> None:
            syslog.close(0.05)
            ended.set()

        Thread(target=end, daemon=True).start()
        self.assertTrue(ended.wait(DEADLINE))

    def test_what_waits_is_sent_at_the_end_even_without_a_start(self) -> None:
        receiver = self.bound(socket.AF_UNIX, socket.SOCK_DGRAM, self.path)
        syslog = self.syslog("unixgram", self.path)
        syslog.send(LogLevel.info, "last words")
        self.assertTrue(syslog.close(DEADLINE))
        self.assertTrue(receiver.recv(1000).endswith(b"last words\n"))

    def test_fork_leaves_what_waits_to_its_parent(self) -> None:
        receiver = self.bound(socket.AF_UNIX, socket.SOCK_DGRAM, self.path)
        syslog = self.syslog("unixgram", self.path)
        syslog.send(LogLevel.info, "parent")
        child = os.fork()
        if not child:
            syslog.discard()
            syslog.send(LogLevel.info, "child")
            os._exit(0 if syslog.close(DEADLINE) else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        syslog.start()
        self.assertTrue(receiver.recv(1000).endswith(b": child\n"))
        self.assertTrue(receiver.recv(1000).endswith(b": parent\n"))
