"""What systemd passes to the service, and receives from it on a socket like its own."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.platform import Notifier, sockets_from_systemd
from tests.support.loopback_server import DEADLINE
from tests.support.process import Twistd, wait_for


class ManagerCase(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = str(Path(scratch.name, "notify"))
        self.manager = self.bound(self.path)

    def bound(self, address: str) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.bind(address)
        made.settimeout(DEADLINE)
        return made

    def received(self) -> dict[str, str]:
        """The next datagram's lines."""
        return dict(line.split("=") for line in self.manager.recv(4096).decode().splitlines())

    def received_besides_the_watchdog(self) -> dict[str, str]:
        while (received := self.received()) == {"WATCHDOG": "1"}:
            """The watchdog's lines come at any time."""
        return received


class NotifierTests(ManagerCase):
    def test_states_are_lines(self) -> None:
        notifier = Notifier({"NOTIFY_SOCKET": self.path})
        notifier.ready()
        notifier.stopping()
        self.assertEqual([self.received(), self.received()], [{"READY": "1"}, {"STOPPING": "1"}])

    def test_reload_has_the_time_of_its_begin(self) -> None:
        before = time.monotonic_ns() // 1000
        Notifier({"NOTIFY_SOCKET": self.path}).reloading()
        received = self.received()
        self.assertEqual(received["RELOADING"], "1")
        self.assertTrue(before <= int(received["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000)

    def test_abstract_socket_names_are_supported(self) -> None:
        name = f"imgforge-test-{os.getpid()}"
        self.manager = self.bound(f"\0{name}")
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        self.assertEqual(self.received(), {"READY": "1"})

    def test_children_do_not_inherit_the_socket(self) -> None:
        environment = {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
        Notifier(environment)
        self.assertEqual(environment, {"HOME": "/"})

    def test_nothing_is_sent_without_systemd_and_a_missing_socket_is_a_warning(self) -> None:
        with capturedLogs() as events:
            Notifier({}).ready()
            self.assertEqual(events, [])
            Notifier({"NOTIFY_SOCKET": f"{self.path}.gone"}).ready()
        self.assertEqual(len(events), 1)


class WatchdogTests(ManagerCase):
    def setUp(self) -> None:
        super().setUp()
        self.manager.setblocking(False)
        self.clock = Clock()
        self.well = True

    def watch(self, **environment: str) -> None:
        notifier = Notifier({"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "4000000"} | environment)
        watchdog = notifier.watchdog(self.clock, lambda: self.well)
        watchdog.startService()
        self.addCleanup(watchdog.stopService)

    def signs(self) -> int:
        """The number of signs of life since the last call."""
        count = 0
        while True:
            try:
                self.assertEqual(self.received(), {"WATCHDOG": "1"})
            except BlockingIOError:
                return count
            count += 1

    def test_sign_of_life_is_sent_at_half_of_the_time(self) -> None:
        self.watch()
        self.assertEqual(self.signs(), 1)
        self.clock.pump([1.0] * 6)
        self.assertEqual(self.signs(), 3)

    def test_no_sign_of_life_after_the_stop(self) -> None:
        self.watch()
        self.doCleanups()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_sign_of_life_while_a_worker_hangs(self) -> None:
        self.watch(WATCHDOG_PID=str(os.getpid()))
        self.well = False
        self.clock.pump([1.0] * 6)
        self.assertEqual(self.signs(), 1)
        self.well = True
        self.clock.pump([1.0] * 2)
        self.assertEqual(self.signs(), 1)

    def test_no_sign_of_life_without_a_watchdog_for_this_process(self) -> None:
        for environment in (
            {"WATCHDOG_PID": "1"},
            {"WATCHDOG_USEC": ""},
            {"WATCHDOG_USEC": "0"},
            {"NOTIFY_SOCKET": ""},
        ):
            self.watch(**environment)
        self.clock.pump([1.0] * 6)
        self.assertEqual(self.signs(), 0)


class ServerTests(ManagerCase):
    """The real server."""

    def life(self, processes: str) -> None:
        server = Twistd({"PROCESSES": processes}, environment={"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "200000"})
        self.addCleanup(server.clean)
        server.launch()
        self.assertEqual(self.received_besides_the_watchdog(), {"READY": "1"})
        self.assertEqual(server.get("/status").status, 200)
        self.assertEqual(self.received(), {"WATCHDOG": "1"})
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        self.assertIn("RELOADING", self.received_besides_the_watchdog())
        self.assertEqual(self.received_besides_the_watchdog(), {"READY": "1"})
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.received_besides_the_watchdog(), {"STOPPING": "1"})

    def test_one_process_reports_its_states(self) -> None:
        self.life("1")

    def test_parent_reports_the_states_of_its_workers(self) -> None:
        self.life("2")

    def test_hanging_worker_ends_the_signs_of_life(self) -> None:
        server = Twistd({"PROCESSES": "2"}, environment={"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "200000"})
        self.addCleanup(server.clean)
        server.launch()
        self.assertEqual(self.received_besides_the_watchdog(), {"READY": "1"})
        hanging = server.children()[0]
        os.kill(hanging, signal.SIGSTOP)
        self.manager.settimeout(1.0)

        def silent() -> bool:
            try:
                self.received()
            except TimeoutError:
                return True
            return False

        wait_for(silent, "silence")
        self.manager.settimeout(DEADLINE)
        wait_for(lambda: hanging not in server.children(), "the end of the hanging worker")
        self.assertEqual(self.received(), {"WATCHDOG": "1"})


class SocketsTests(SynchronousTestCase):
    """The sockets that systemd passes, as sd_listen_fds(3) has them."""

    def passed(self, **environment: str) -> list[tuple[str, int]]:
        return sockets_from_systemd({"LISTEN_PID": str(os.getpid())} | environment)

    def test_sockets_have_names_and_descriptors_in_order(self) -> None:
        self.assertEqual(
            self.passed(LISTEN_FDS="3", LISTEN_FDNAMES="web:admin:web"), [("web", 3), ("admin", 4), ("web", 5)]
        )

    def test_sockets_without_names_are_called_unknown(self) -> None:
        self.assertEqual(self.passed(LISTEN_FDS="2"), [("unknown", 3), ("unknown", 4)])

    def test_sockets_of_another_process_are_not_taken(self) -> None:
        self.assertEqual(self.passed(LISTEN_FDS="1", LISTEN_FDNAMES="web", LISTEN_PID="1"), [])

    def test_no_sockets_without_systemd(self) -> None:
        self.assertEqual(sockets_from_systemd({}), [])
        self.assertEqual(sockets_from_systemd(), [])
