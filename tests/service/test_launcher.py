"""The start of workers by a template: what the supervisor is told of those that are forked, and of others."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.process import reapAllProcesses, reapProcessHandlers
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from imgforge.interfaces import IServerReactor
from imgforge.service.supervisor import Launcher, TemplateProcess, launcher


class Reactor(Clock):
    """A clock with readers."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)


class Template:
    """The test's end of a template's socket."""

    def __init__(self) -> None:
        self.control, self.end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.descriptors: Sequence[int] = ()
        self.killed = False

    def watch(self) -> None:
        """It has no process."""

    def kill(self) -> None:
        self.killed = True

    def asked(self) -> bytes:
        """The document of the worker that it is asked for."""
        _, self.descriptors, _, _ = socket.recv_fds(self.end, 10, 20)
        return os.pread(self.descriptors[0], 100, 0)


class Worker(ProcessProtocol):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.heard = b""
        self.reason: Failure | None = None

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.heard += data

    def processEnded(self, reason: Failure) -> None:
        self.reason = reason


class LauncherTests(SynchronousTestCase):
    def setUp(self) -> None:
        # The process of the tests would be the parent of other tests' orphans, and would not reap them.
        self.patch(launcher, "adopt_orphans", lambda: None)
        self.reactor = Reactor()
        self.template = Template()
        self.launcher = Launcher(cast("IServerReactor", self.reactor), cast("TemplateProcess", self.template))
        self.addCleanup(self.template.end.close)
        self.addCleanup(self.launcher.close)
        self.worker = Worker()
        self.launcher.launch(self.worker, b"settings", 1, 2, (0,))
        self.document = self.template.asked()
        for descriptor in self.template.descriptors:
            self.addCleanup(os.close, descriptor)
        self.transport: Any = self.worker.transport

    def answer(self, answer: bytes) -> None:
        self.template.end.send(answer)
        self.launcher.doRead()

    def process(self) -> subprocess.Popen[bytes]:
        """A child of this process, in the worker's place."""
        process = subprocess.Popen(["sleep", "60"])
        self.addCleanup(self.end, process)
        self.addCleanup(process.kill)
        return process

    @property
    def reason(self) -> Any:
        """The error that the worker has ended with."""
        return None if self.worker.reason is None else self.worker.reason.value

    def end(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ChildProcessError):  # it has been reaped
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        reapAllProcesses()
        process.wait()

    def test_worker_begins_once_it_is_the_supervisors_child(self) -> None:
        self.assertEqual((self.document, len(self.template.descriptors), self.transport.pid), (b"settings", 6, 0))
        process = self.process()
        self.answer(b"%d" % process.pid)
        self.assertEqual((self.transport.pid, os.read(self.template.descriptors[1], 9)), (process.pid, b"\n"))

    def test_last_words_are_heard_before_the_end(self) -> None:
        process = self.process()
        self.answer(b"%d" % process.pid)
        os.write(self.template.descriptors[4], b"!no token")
        process.kill()
        self.end(process)
        self.assertEqual(self.worker.heard, b"!no token")
        self.assertEqual((type(self.reason), self.reason.signal), (ProcessTerminated, 9))
        self.assertRaises(ProcessExitedAlready, self.transport.signalProcess, "TERM")

    def test_signal_waits_for_the_process(self) -> None:
        self.transport.signalProcess("TERM")
        process = self.process()
        self.answer(b"%d" % process.pid)
        self.end(process)
        self.assertEqual(self.reason.signal, 15)

    def test_worker_that_was_killed_and_reaped_before_the_answer_is_heard_of_has_ended(self) -> None:
        self.transport.signalProcess("TERM")
        process = self.process()
        process.kill()
        process.wait()  # as `reap_orphans` does
        self.answer(b"%d" % process.pid)
        self.assertIsInstance(self.reason, ProcessTerminated)
        self.assertRaises(ProcessExitedAlready, self.transport.signalProcess, "KILL")
        self.assertEqual((self.reactor.readers, process.pid in reapProcessHandlers), ([self.launcher], False))

    def test_template_that_forks_nothing_is_killed_in_the_workers_place(self) -> None:
        self.transport.signalProcess("KILL")
        self.assertTrue(self.template.killed)

    def test_failed_fork_ends_the_worker_with_its_reason(self) -> None:
        self.answer(b"!Cannot allocate memory")
        self.assertEqual(str(self.reason), "Cannot allocate memory")

    def test_end_of_the_template_ends_the_workers_that_it_has_not_forked(self) -> None:
        self.template.end.close()
        reason = self.launcher.doRead()
        self.launcher.connectionLost(Failure(reason))
        self.assertEqual(str(self.reason), "the process that forks workers has ended")
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([], []))

    def test_template_ends_some_time_after_the_last_worker(self) -> None:
        self.answer(b"!no memory")
        self.reactor.advance(19)
        self.launcher.launch(Worker(), b"{}", 1, 2, ())
        self.template.asked()
        for descriptor in self.template.descriptors:
            self.addCleanup(os.close, descriptor)
        self.reactor.advance(19)
        self.answer(b"!no memory")
        self.reactor.advance(2)
        self.assertEqual(self.template.end.recv(9), b"")
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([], []))

    def test_template_that_is_slow_does_not_end_before_its_answer(self) -> None:
        self.reactor.advance(61)
        self.answer(b"!no memory")
        self.assertEqual(str(self.reason), "no memory")
        self.reactor.advance(21)
        self.assertEqual(self.template.end.recv(9), b"")

    def test_worker_whose_template_is_closed_before_its_answer_has_ended(self) -> None:
        self.launcher.close()
        self.assertEqual(str(self.reason), "the process that forks workers has ended")

    def test_start_that_fails_for_want_of_descriptors_leaves_none_open(self) -> None:
        before = set(os.listdir("/proc/self/fd"))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 3, hard))  # enough for one pipe
        try:
            self.assertRaises(OSError, self.launcher.launch, Worker(), b"{}", 1, 2, ())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertLessEqual(set(os.listdir("/proc/self/fd")), before)

    def test_template_that_is_retired_forks_what_it_was_asked_for(self) -> None:
        self.launcher.retire()
        self.answer(b"!no memory")
        self.assertIsNotNone(self.worker.reason)
        self.launcher.retire()
        self.assertEqual(self.template.end.recv(9), b"")
