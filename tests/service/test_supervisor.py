"""The supervisor on a clock: what workers get, when dead workers are replaced, reloads, the stop."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import ConfigurationError, Settings, parse_bind
from imgforge.interfaces import IServerReactor
from imgforge.service.net import open_listeners
from imgforge.service.supervisor import Launcher, PoolOutput, Supervisor, SupervisorParts, report_failure
from imgforge.service.supervisor.reload import installed_code


class Child:
    """The transport of a worker that lives until a test ends it."""

    def __init__(self, pid: int, protocol: ProcessProtocol, document: bytes, shared: Sequence[int]) -> None:
        self.pid = pid
        self.protocol = protocol
        self.document = document
        self.shared = shared
        self.signals: list[str] = []
        self.gone = False  # before `processEnded` is called

    def signalProcess(self, name: str) -> None:
        if self.gone:
            raise ProcessExitedAlready
        self.signals.append(name)

    def fail(self, error: Exception) -> None:
        """Report that the worker cannot start, and end it."""
        reader, writer = os.pipe()
        try:
            raise error
        except Exception as raised:
            report_failure(writer, raised)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            self.protocol.childDataReceived(5, pipe.read())
        self.end(ProcessTerminated(exitCode=1))

    def beat(self) -> None:
        self.protocol.childDataReceived(5, b".")

    def end(self, reason: Exception) -> None:
        self.protocol.processEnded(Failure(reason))


class Machine(Clock):
    """A reactor, and a launcher whose processes are `Child`s; without `can_fork` none can be started."""

    def __init__(self) -> None:
        super().__init__()
        self.children: list[Child] = []
        self.readers: set[Any] = set()  # of the workers' stderr
        self.can_fork = True
        self.retired = 0
        self.closed = False

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def launch(self, protocol: ProcessProtocol, document: bytes, log: int, stderr: int, shared: Sequence[int]) -> None:
        if not self.can_fork:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        child = Child(1000 + len(self.children), protocol, document, shared)
        self.children.append(child)
        protocol.makeConnection(cast("Any", child))

    def retire(self) -> None:
        self.retired += 1

    def close(self) -> None:
        self.closed = True


class SupervisorCase(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.mistakes: list[str] = []
        self.events: list[str] = []
        self.machine = Machine()
        self.listeners = open_listeners(parse_bind("127.0.0.1:0,127.0.0.1:0"))
        for listener in self.listeners:
            self.addCleanup(listener.socket.close)
        self.supervisor = Supervisor(
            cast("IServerReactor", self.machine),
            Settings.from_given({"key": "736563726574", "salt": "70657070657270", "graceful_stop_timeout": 7.0}),
            SupervisorParts(
                listeners=self.listeners,
                workers=2,
                threads=3,
                output=PoolOutput(scratch.name),
                launcher=cast("Launcher", self.machine),
                load=lambda: maybeDeferred(self.load),
                on_listening=lambda: self.events.append("listening"),
                on_failure=lambda: self.events.append("failed"),
            ),
        )
        self.supervisor.startService()
        self.addCleanup(self.close_readers)

    def close_readers(self) -> None:
        for reader in tuple(self.machine.readers):
            reader.connectionLost(Failure(CONNECTION_DONE))

    def load(self) -> Settings:
        """The configuration as it is now."""
        if self.mistakes:
            raise ConfigurationError(self.mistakes)
        return Settings.from_given({"key": "6e6577", "salt": "70657070657270"})

    @property
    def children(self) -> list[Child]:
        return self.machine.children

    def crash(self, child: Child) -> None:
        child.end(ProcessTerminated(signal=11))

    def replaced_within(self, seconds: float) -> bool:
        """Whether a new child is there *seconds* later, give or take 10 ms, and not before."""
        before = len(self.children)
        self.machine.advance(seconds - 0.01)
        early = len(self.children) > before
        self.machine.advance(0.02)
        return len(self.children) > before and not early


class StartTests(SupervisorCase):
    def test_workers_inherit_all_sockets_and_get_the_settings(self) -> None:
        self.assertEqual(len(self.children), 2)
        for child in self.children:
            opened = [listener.socket.fileno() for listener in self.listeners]
            self.assertEqual(child.shared[2:], tuple(opened))
            document = json.loads(child.document)
            self.assertEqual((document["threads"], document["processes"]), (3, 2))
            self.assertEqual(Settings.from_given(document["settings"]).key, (b"secret",))

    def test_workers_share_one_memory_of_connection_counts(self) -> None:
        documents = [json.loads(child.document) for child in self.children]
        self.assertEqual([(one["slots"], one["metrics"][1]) for one in documents], [(4, "0"), (4, "1")])
        self.assertEqual(len({child.shared[0] for child in self.children}), 1)
        self.crash(self.children[0])
        self.machine.advance(10)
        self.assertEqual(json.loads(self.children[2].document)["metrics"][1], "0")


class RestartTests(SupervisorCase):
    def setUp(self) -> None:
        super().setUp()
        for child in self.children:
            child.beat()

    def test_dead_worker_is_replaced_after_the_restart_delay(self) -> None:
        self.machine.advance(3600)
        self.crash(self.children[0])
        self.assertTrue(self.replaced_within(0.1))

    def test_restart_delay_doubles_up_to_five_seconds_for_workers_that_die_at_once(self) -> None:
        for wait in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
            self.crash(self.children[-1])
            self.assertTrue(self.replaced_within(wait), wait)

    def test_restart_delay_is_reset_by_a_worker_that_lived_for_a_while(self) -> None:
        for wait in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2):
            self.crash(self.children[-1])
            self.assertTrue(self.replaced_within(wait), wait)
        self.machine.advance(60)
        self.crash(self.children[-1])
        self.assertTrue(self.replaced_within(0.1))

    def test_failed_fork_is_retried(self) -> None:
        self.machine.advance(60)
        self.machine.can_fork = False
        self.crash(self.children[0])
        self.machine.advance(30)
        self.assertEqual(len(self.children), 2)
        self.machine.can_fork = True
        self.machine.advance(5)
        self.assertEqual(len(self.children), 3)


class FailedStartTests(SupervisorCase):
    """Workers that end before they serve."""

    def lines(self, work: Callable[[], None]) -> list[str]:
        """The lines that *work* logs, without the times of the next attempts."""
        with capturedLogs() as events:
            work()
        self.flushLoggedErrors(RuntimeError)
        return [formatEvent(event).partition(";")[0] for event in events]

    def fail_all(self, times: int) -> None:
        for _ in range(times):
            living, before = self.children[-2:], len(self.children)
            for child in living:
                child.fail(ValueError("no\ntoken"))
            self.machine.pump([0.1] * 100)
            self.assertLessEqual(len(self.children), before + 2)

    def test_server_is_listening_once_the_first_worker_serves(self) -> None:
        self.assertEqual(self.events, [])
        for child in self.children:
            child.beat()
        self.assertEqual(self.events, ["listening"])

    def test_server_fails_after_three_failed_starts_of_each_worker(self) -> None:
        lines = self.lines(lambda: self.fail_all(3))
        self.assertEqual((self.events, len(self.children)), (["failed"], 6))
        self.assertEqual(lines[-1], "imgforge cannot start: ValueError: no token")

    def test_repeated_traceback_is_logged_once(self) -> None:
        with capturedLogs() as events:
            self.fail_all(2)
        failures = [event["log_failure"] for event in events if "log_failure" in event]
        self.assertEqual(len(failures), 1)
        self.assertIn("Traceback (most recent call last)", failures[0].getTraceback())
        self.flushLoggedErrors(RuntimeError)

    def test_server_that_has_served_goes_on_restarting_workers(self) -> None:
        self.children[0].beat()
        for _ in range(10):
            self.children[-1].fail(ValueError("no token"))
            self.machine.advance(6)
        self.flushLoggedErrors(RuntimeError)
        self.assertEqual((self.events, len(self.children)), (["listening"], 12))

    def test_server_fails_where_every_fork_fails(self) -> None:
        self.machine.can_fork = False
        lines = self.lines(lambda: self.lose_all())
        self.assertEqual(self.events, ["failed"])
        self.assertEqual(lines[-1], "imgforge cannot start: no worker can be started: Resource temporarily unavailable")

    def lose_all(self) -> None:
        for child in self.children:
            self.crash(child)
        self.machine.pump([0.1] * 100)

    def test_worker_killed_before_it_serves_counts_as_a_failed_start(self) -> None:
        for number in range(6):
            self.children[number].end(ProcessTerminated(signal=9))
            self.machine.advance(2)
        self.assertEqual(self.events, ["failed"])


class NameTests(SupervisorCase):
    """The names under which workers keep the values of their metrics."""

    def name(self, child: Child) -> str:
        name: str = json.loads(child.document)["metrics"][1]
        return name

    def test_successor_takes_the_name_of_the_dead_worker(self) -> None:
        self.machine.advance(60)
        self.crash(self.children[0])
        self.machine.advance(1)
        self.assertEqual([self.name(child) for child in self.children], ["0", "1", "0"])


class HeartbeatTests(SupervisorCase):
    def test_worker_that_misses_heartbeats_is_killed_and_replaced(self) -> None:
        silent, lively = self.children
        silent.beat()
        for _ in range(20):
            lively.beat()
            self.machine.advance(1)
        self.assertEqual((silent.signals, lively.signals), (["KILL"], []))
        silent.end(ProcessTerminated(signal=9))
        self.assertTrue(self.replaced_within(0.1))

    def test_first_heartbeat_may_take_a_minute(self) -> None:
        self.machine.pump([1.0] * 50)
        self.assertEqual([child.signals for child in self.children], [[], []])
        self.machine.pump([1.0] * 20)
        self.assertEqual([child.signals for child in self.children], [["KILL"], ["KILL"]])

    def test_clock_that_jumps_kills_no_worker_with_a_heartbeat_in_its_pipe(self) -> None:
        for child in self.children:
            child.beat()
        self.machine.advance(3600)
        for child in self.children:
            child.beat()
        self.machine.advance(5)
        self.assertEqual([child.signals for child in self.children], [[], []])


class ReloadTests(SupervisorCase):
    def setUp(self) -> None:
        super().setUp()
        for child in self.children:
            child.beat()

    def keys(self) -> list[tuple[bytes, ...]]:
        """The key that each worker got, in the order of their starts."""
        return [Settings.from_given(json.loads(child.document)["settings"]).key for child in self.children]

    def test_each_worker_is_replaced_after_its_successor_serves(self) -> None:
        self.supervisor.reload()
        self.assertEqual((len(self.children), self.children[0].signals), (3, []))
        self.children[2].beat()
        self.assertEqual((len(self.children), self.children[0].signals), (3, ["HUP"]))
        self.children[0].end(ProcessDone(0))
        self.assertEqual((len(self.children), self.children[1].signals), (4, []))
        self.children[3].beat()
        self.children[1].end(ProcessDone(0))
        self.machine.advance(1)
        self.assertEqual(self.keys(), [(b"secret",)] * 2 + [(b"new",)] * 2)

    def test_mistakes_are_logged_and_change_nothing(self) -> None:
        self.mistakes = ["IMGFORGE_QUALITY=0 must be more", "nonsense is no setting"]
        with capturedLogs() as events:
            self.supervisor.reload()
        lines = [formatEvent(event) for event in events]
        self.assertEqual([line.partition("used: ")[2] for line in lines], self.mistakes)
        self.assertEqual(len(self.children), 2)

    def test_configuration_that_a_successor_cannot_start_with_is_dropped(self) -> None:
        self.supervisor.reload()
        self.crash(self.children[2])
        self.machine.advance(1)
        self.assertEqual([child.signals for child in self.children[:2]], [[], []])
        self.crash(self.children[0])
        self.machine.advance(1)
        self.assertEqual(self.keys(), [(b"secret",)] * 2 + [(b"new",), (b"secret",)])

    def test_worker_that_dies_while_its_successor_starts_has_no_second_successor(self) -> None:
        self.supervisor.reload()
        self.crash(self.children[0])
        self.children[2].beat()
        self.children[3].beat()
        self.children[1].end(ProcessDone(0))
        self.machine.advance(10)
        self.assertEqual(self.keys(), [(b"secret",)] * 2 + [(b"new",)] * 2)

    def test_worker_and_successor_that_both_die_are_replaced_with_the_old_configuration(self) -> None:
        self.supervisor.reload()
        self.crash(self.children[0])
        self.crash(self.children[2])
        self.machine.advance(1)
        self.assertEqual(self.keys(), [(b"secret",)] * 2 + [(b"new",), (b"secret",)])

    def test_old_configuration_stays_where_fork_fails(self) -> None:
        self.machine.can_fork = False
        with capturedLogs() as events:
            self.supervisor.reload()
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "the new configuration is not used by all workers: "
                "no worker can be started: Resource temporarily unavailable",
            ],
        )
        self.machine.can_fork = True
        self.machine.advance(60)
        self.crash(self.children[0])
        self.machine.advance(1)
        self.assertEqual(self.keys(), [(b"secret",)] * 3)

    def test_failed_reload_can_be_repeated(self) -> None:
        self.machine.can_fork = False
        self.supervisor.reload()
        self.machine.can_fork = True
        self.supervisor.reload()
        self.assertEqual(self.keys(), [(b"secret",)] * 2 + [(b"new",)])

    def test_reason_of_a_failed_successor_is_logged(self) -> None:
        self.supervisor.reload()
        with capturedLogs() as events:
            self.children[2].fail(ValueError("no token"))
        self.flushLoggedErrors(RuntimeError)
        self.assertEqual(
            formatEvent(events[-1]),
            "the new configuration is not used by all workers: a worker ended at its start (ValueError: no token)",
        )

    def test_second_reload_follows_the_first(self) -> None:
        self.supervisor.reload()
        self.supervisor.reload()
        for number in range(4):
            self.children[2 + number].beat()
            self.children[number].end(ProcessDone(0))
        self.assertEqual((len(self.children), [child.signals for child in self.children[4:]]), (6, [[], []]))

    def test_children_that_the_load_waits_for_are_not_reaped(self) -> None:
        loaded: Deferred[Settings] = Deferred()
        self.load = lambda: loaded  # type: ignore[assignment,method-assign,return-value]
        self.supervisor.reload()
        child = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        self.machine.advance(2)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 3)
        orphan = os.posix_spawn("/bin/true", ["true"], {})
        os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)
        loaded.errback(ConfigurationError(["no"]))
        self.machine.advance(2)
        self.assertRaises(ChildProcessError, os.waitpid, orphan, 0)

    def test_stop_ends_a_reload(self) -> None:
        self.supervisor.reload()
        stopped = self.supervisor.stopService()
        for child in self.children:
            child.end(ProcessDone(0))
        self.successResultOf(stopped)
        self.assertEqual((len(self.children), self.machine.getDelayedCalls()), (3, []))


class StopTests(SupervisorCase):
    def test_stop_waits_for_all_workers(self) -> None:
        stopped = self.supervisor.stopService()
        self.assertEqual([child.signals for child in self.children], [["TERM"], ["TERM"]])
        self.children[0].end(ProcessDone(0))
        self.assertNoResult(stopped)
        self.children[1].end(ProcessDone(0))
        self.successResultOf(stopped)
        self.assertEqual(self.machine.getDelayedCalls(), [])

    def test_dead_workers_are_not_replaced_during_the_stop(self) -> None:
        self.crash(self.children[0])
        stopped = self.supervisor.stopService()
        self.crash(self.children[1])
        self.successResultOf(stopped)
        self.machine.advance(60)
        self.assertEqual(len(self.children), 2)

    def test_signal_to_all_processes_that_workers_obey_first_is_no_failure(self) -> None:
        for child, end in zip(self.children, (ProcessTerminated(signal=15), ProcessDone(0)), strict=True):
            child.end(end)
        self.machine.advance(0.05)
        self.successResultOf(self.supervisor.stopService())
        self.machine.advance(60)
        self.assertEqual((len(self.children), self.machine.getDelayedCalls()), (2, []))

    def test_starting_worker_that_somebody_ends_is_replaced(self) -> None:
        self.children[0].end(ProcessTerminated(signal=15))
        self.machine.pump([0.1, 0.1])
        self.assertEqual(len(self.children), 3)

    def test_worker_that_has_exited_already_does_not_fail_the_stop(self) -> None:
        self.children[0].gone = self.children[1].gone = True
        stopped = self.supervisor.stopService()
        self.machine.advance(30)
        for child in self.children:
            child.end(ProcessDone(0))
        self.successResultOf(stopped)

    def test_sockets_are_closed_when_the_stop_begins(self) -> None:
        self.supervisor.stopService()
        self.assertEqual([listener.socket.fileno() for listener in self.listeners], [-1, -1])

    def test_worker_is_killed_after_its_grace(self) -> None:
        self.supervisor.stopService()
        self.machine.advance(7)
        self.assertEqual(self.children[0].signals, ["TERM"])
        self.machine.advance(5)
        self.assertEqual(self.children[0].signals, ["TERM", "KILL"])


class InstalledCodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.package = Path(scratch.name)
        (self.package / "web").mkdir()
        (self.package / "web" / "a.py").write_text("a = 1\n")
        self.before = installed_code(self.package)

    def test_compiled_files_do_not_change_the_code(self) -> None:
        (self.package / "web" / "a.pyc").write_bytes(b"compiled")
        self.assertEqual(installed_code(self.package), self.before)

    def test_rewritten_file_changes_the_code(self) -> None:
        (self.package / "web" / "a.py").write_text("a = 22\n")
        self.assertNotEqual(installed_code(self.package), self.before)

    def test_added_file_changes_the_code(self) -> None:
        (self.package / "b.py").touch()
        self.assertNotEqual(installed_code(self.package), self.before)
