"""The supervisor's decisions, on a clock: when the dead are replaced, what workers are told, how they are stopped."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import ConfigurationError, Settings, parse_bind
from imgforge.interfaces import IServerReactor
from imgforge.service.net.listeners import open_listeners
from imgforge.service.supervisor.child import report_failure
from imgforge.service.supervisor.reload import installed_code
from imgforge.service.supervisor.supervisor import Supervisor, SupervisorParts
from imgforge.service.supervisor.worker_pool import PoolOutput


class Child:
    """The transport of a child process that lives until a test ends it."""

    def __init__(self, pid: int, protocol: ProcessProtocol, command: list[str], descriptors: dict[int, Any]) -> None:
        self.pid = pid
        self.protocol = protocol
        self.command = command
        self.descriptors = descriptors
        self.told = b""
        self.signals: list[str] = []
        self.gone = False  # though nobody has said so yet

    def write(self, data: bytes) -> None:
        self.told += data

    def signalProcess(self, name: str) -> None:
        if self.gone:
            raise ProcessExitedAlready
        self.signals.append(name)

    def fail(self, error: Exception) -> None:
        """Say why it cannot start, and end."""
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
    """A reactor whose child processes are `Child`ren; without `room` none can be started."""

    def __init__(self) -> None:
        super().__init__()
        self.children: list[Child] = []
        self.readers: set[Any] = set()  # of what workers write to stderr
        self.room = True

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def spawnProcess(
        self, protocol: ProcessProtocol, program: str, args: list[str], env: dict[str, str], childFDs: dict[int, Any]
    ) -> Child:
        if not self.room:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        child = Child(1000 + len(self.children), protocol, [program, *args], childFDs)
        self.children.append(child)
        protocol.makeConnection(child)
        return child


class SupervisorCase(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.mistakes: list[str] = []
        self.told: list[str] = []
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
                load=lambda: self.load(),
                on_listening=lambda: self.told.append("listening"),
                on_failure=lambda: self.told.append("failed"),
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
    def test_workers_get_all_sockets_and_the_settings(self) -> None:
        self.assertEqual(len(self.children), 2)
        for child in self.children:
            opened = [listener.socket.fileno() for listener in self.listeners]
            self.assertEqual([child.descriptors[number] for number in (3, 4)], opened)
            document = json.loads(child.told)
            self.assertEqual((document["threads"], document["processes"]), (3, 2))
            self.assertEqual(Settings.from_given(document["settings"]).key, (b"secret",))

    def test_workers_share_the_memory_in_which_they_count_connections(self) -> None:
        documents = [json.loads(child.told) for child in self.children]
        self.assertEqual([(one["slots"], one["metrics"][1]) for one in documents], [(4, "0"), (4, "1")])
        self.assertEqual(len({child.descriptors[5] for child in self.children}), 1)
        self.crash(self.children[0])
        self.machine.advance(10)
        self.assertEqual(json.loads(self.children[2].told)["metrics"][1], "0")

    def test_no_secret_is_on_a_command_line(self) -> None:
        for child in self.children:
            self.assertNotIn("736563726574", " ".join(child.command))
            self.assertEqual(child.descriptors[0], "w")


class RestartTests(SupervisorCase):
    def setUp(self) -> None:
        super().setUp()
        for child in self.children:
            child.beat()

    def test_a_worker_that_dies_is_replaced_at_once(self) -> None:
        self.machine.advance(3600)
        self.crash(self.children[0])
        self.assertTrue(self.replaced_within(0.1))

    def test_workers_that_die_at_once_are_waited_for_ever_longer_up_to_a_bound(self) -> None:
        for wait in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
            self.crash(self.children[-1])
            self.assertTrue(self.replaced_within(wait), wait)

    def test_a_worker_that_has_lived_is_replaced_at_once_whatever_came_before_it(self) -> None:
        for wait in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2):
            self.crash(self.children[-1])
            self.assertTrue(self.replaced_within(wait), wait)
        self.machine.advance(60)
        self.crash(self.children[-1])
        self.assertTrue(self.replaced_within(0.1))

    def test_without_room_for_a_process_it_is_tried_again(self) -> None:
        self.machine.advance(60)
        self.machine.room = False
        self.crash(self.children[0])
        self.machine.advance(30)
        self.assertEqual(len(self.children), 2)
        self.machine.room = True
        self.machine.advance(5)
        self.assertEqual(len(self.children), 3)


class FailedStartTests(SupervisorCase):
    """Workers that end before they serve."""

    def lines(self, work: Callable[[], None]) -> list[str]:
        """What *work* logs, without the times of the next tries."""
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

    def test_it_is_listening_when_the_first_serves(self) -> None:
        self.assertEqual(self.told, [])
        for child in self.children:
            child.beat()
        self.assertEqual(self.told, ["listening"])

    def test_after_three_tries_of_each_the_server_is_given_up(self) -> None:
        lines = self.lines(lambda: self.fail_all(3))
        self.assertEqual((self.told, len(self.children)), (["failed"], 6))
        self.assertEqual(lines[-1], "imgforge cannot start: ValueError: no token")

    def test_the_traceback_is_a_log_event_once(self) -> None:
        with capturedLogs() as events:
            self.fail_all(2)
        failures = [event["log_failure"] for event in events if "log_failure" in event]
        self.assertEqual(len(failures), 1)
        self.assertIn("Traceback (most recent call last)", failures[0].getTraceback())
        self.flushLoggedErrors(RuntimeError)

    def test_a_server_that_has_served_tries_on(self) -> None:
        self.children[0].beat()
        for _ in range(10):
            self.children[-1].fail(ValueError("no token"))
            self.machine.advance(6)
        self.flushLoggedErrors(RuntimeError)
        self.assertEqual((self.told, len(self.children)), (["listening"], 12))

    def test_without_room_for_any_process_it_is_given_up_too(self) -> None:
        self.machine.room = False
        lines = self.lines(lambda: self.lose_all())
        self.assertEqual(self.told, ["failed"])
        self.assertEqual(lines[-1], "imgforge cannot start: no worker can be started: Resource temporarily unavailable")

    def lose_all(self) -> None:
        for child in self.children:
            self.crash(child)
        self.machine.pump([0.1] * 100)

    def test_a_worker_that_is_killed_at_its_start_counts(self) -> None:
        for number in range(6):
            self.children[number].end(ProcessTerminated(signal=9))
            self.machine.advance(2)
        self.assertEqual(self.told, ["failed"])


class NameTests(SupervisorCase):
    """The names under which workers keep the values of their metrics."""

    def name(self, child: Child) -> str:
        name: str = json.loads(child.told)["metrics"][1]
        return name

    def test_a_successor_has_the_name_of_the_dead(self) -> None:
        self.machine.advance(60)
        self.crash(self.children[0])
        self.machine.advance(1)
        self.assertEqual([self.name(child) for child in self.children], ["0", "1", "0"])


class HeartbeatTests(SupervisorCase):
    def test_a_worker_that_falls_silent_is_killed_and_replaced(self) -> None:
        silent, lively = self.children
        silent.beat()
        for _ in range(20):
            lively.beat()
            self.machine.advance(1)
        self.assertEqual((silent.signals, lively.signals), (["KILL"], []))
        silent.end(ProcessTerminated(signal=9))
        self.assertTrue(self.replaced_within(0.1))

    def test_a_start_may_take_longer(self) -> None:
        self.machine.pump([1.0] * 50)
        self.assertEqual([child.signals for child in self.children], [[], []])
        self.machine.pump([1.0] * 20)
        self.assertEqual([child.signals for child in self.children], [["KILL"], ["KILL"]])

    def test_a_clock_that_jumps_kills_nobody_who_speaks_up_then(self) -> None:
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
        """The key that each worker was told, in the order of their starts."""
        return [Settings.from_given(json.loads(child.told)["settings"]).key for child in self.children]

    def test_workers_are_replaced_one_by_one_each_after_its_successor_serves(self) -> None:
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

    def test_mistakes_leave_all_as_it_was_and_are_logged(self) -> None:
        self.mistakes = ["IMGFORGE_QUALITY=0 must be more", "nonsense is no setting"]
        with capturedLogs() as events:
            self.supervisor.reload()
        lines = [formatEvent(event) for event in events]
        self.assertEqual([line.partition("used: ")[2] for line in lines], self.mistakes)
        self.assertEqual(len(self.children), 2)

    def test_a_configuration_with_which_no_worker_starts_is_given_up(self) -> None:
        self.supervisor.reload()
        self.crash(self.children[2])
        self.machine.advance(1)
        self.assertEqual([child.signals for child in self.children[:2]], [[], []])
        self.crash(self.children[0])
        self.machine.advance(1)
        self.assertEqual(self.keys(), [(b"secret",)] * 2 + [(b"new",), (b"secret",)])

    def test_one_that_dies_while_its_successor_starts_has_no_second_successor(self) -> None:
        self.supervisor.reload()
        self.crash(self.children[0])
        self.children[2].beat()
        self.children[3].beat()
        self.children[1].end(ProcessDone(0))
        self.machine.advance(10)
        self.assertEqual(self.keys(), [(b"secret",)] * 2 + [(b"new",)] * 2)

    def test_if_both_end_there_is_another_one_with_the_old_configuration(self) -> None:
        self.supervisor.reload()
        self.crash(self.children[0])
        self.crash(self.children[2])
        self.machine.advance(1)
        self.assertEqual(self.keys(), [(b"secret",)] * 2 + [(b"new",), (b"secret",)])

    def test_without_room_for_a_process_the_old_configuration_stays(self) -> None:
        self.machine.room = False
        with capturedLogs() as events:
            self.supervisor.reload()
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "the new configuration is not used: no worker can be started: Resource temporarily unavailable",
            ],
        )
        self.machine.room = True
        self.machine.advance(60)
        self.crash(self.children[0])
        self.machine.advance(1)
        self.assertEqual(self.keys(), [(b"secret",)] * 3)

    def test_it_can_be_tried_again_then(self) -> None:
        self.machine.room = False
        self.supervisor.reload()
        self.machine.room = True
        self.supervisor.reload()
        self.assertEqual(self.keys(), [(b"secret",)] * 2 + [(b"new",)])

    def test_why_its_worker_could_not_start_is_told(self) -> None:
        self.supervisor.reload()
        with capturedLogs() as events:
            self.children[2].fail(ValueError("no token"))
        self.flushLoggedErrors(RuntimeError)
        self.assertEqual(
            formatEvent(events[-1]),
            "the new configuration is not used: a worker ended at its start (ValueError: no token)",
        )

    def test_a_second_wish_is_fulfilled_after_the_first(self) -> None:
        self.supervisor.reload()
        self.supervisor.reload()
        for number in range(4):
            self.children[2 + number].beat()
            self.children[number].end(ProcessDone(0))
        self.assertEqual((len(self.children), [child.signals for child in self.children[4:]]), (6, [[], []]))

    def test_the_end_comes_before_the_rest_of_the_replacements(self) -> None:
        self.supervisor.reload()
        stopped = self.supervisor.stopService()
        for child in self.children:
            child.end(ProcessDone(0))
        self.successResultOf(stopped)
        self.assertEqual((len(self.children), self.machine.getDelayedCalls()), (3, []))


class StopTests(SupervisorCase):
    def test_it_ends_when_all_workers_have(self) -> None:
        stopped = self.supervisor.stopService()
        self.assertEqual([child.signals for child in self.children], [["TERM"], ["TERM"]])
        self.children[0].end(ProcessDone(0))
        self.assertNoResult(stopped)
        self.children[1].end(ProcessDone(0))
        self.successResultOf(stopped)
        self.assertEqual(self.machine.getDelayedCalls(), [])

    def test_nobody_is_replaced_any_more(self) -> None:
        self.crash(self.children[0])
        stopped = self.supervisor.stopService()
        self.crash(self.children[1])
        self.successResultOf(stopped)
        self.machine.advance(60)
        self.assertEqual(len(self.children), 2)

    def test_one_that_is_gone_already_does_not_keep_the_others(self) -> None:
        self.children[0].gone = self.children[1].gone = True
        stopped = self.supervisor.stopService()
        self.machine.advance(30)
        for child in self.children:
            child.end(ProcessDone(0))
        self.successResultOf(stopped)

    def test_the_sockets_are_closed_first(self) -> None:
        self.supervisor.stopService()
        self.assertEqual([listener.socket.fileno() for listener in self.listeners], [-1, -1])

    def test_a_worker_that_outstays_its_grace_is_killed(self) -> None:
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

    def test_the_same_files_are_the_same_code(self) -> None:
        (self.package / "web" / "a.pyc").write_bytes(b"compiled")
        self.assertEqual(installed_code(self.package), self.before)

    def test_a_file_that_is_written_anew_is_other_code(self) -> None:
        (self.package / "web" / "a.py").write_text("a = 22\n")
        self.assertNotEqual(installed_code(self.package), self.before)

    def test_so_is_one_more_file(self) -> None:
        (self.package / "b.py").touch()
        self.assertNotEqual(installed_code(self.package), self.before)
