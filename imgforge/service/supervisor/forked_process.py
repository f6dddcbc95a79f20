"""A worker as the supervisor's reactor sees it: a process that the template forks, and its pipes."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.process import registerReapProcessHandler, unregisterReapProcessHandler
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.interfaces import IServerReactor

__all__ = ["ForkedProcess", "NotForked"]

_HEARTBEATS = 4  # how the protocol calls the pipe
_MOST_READ = 65536


class NotForked(Exception):
    """The template could not fork a worker; the argument is the reason."""


@implementer(IReadDescriptor)
class ForkedProcess:
    """The transport of *protocol*: its process is there once `begin` has been called, and its `pid` is 0 before.

    *give_up* is called where it is to be killed before that.
    """

    def __init__(self, reactor: IServerReactor, protocol: ProcessProtocol, give_up: Callable[[], None]) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._give_up = give_up
        self._signal = ""  # which waits for the process
        self._input, self._begin = os.pipe()
        try:
            self._heartbeats, self._output = os.pipe()
        except OSError:
            os.close(self._input)
            os.close(self._begin)
            raise
        os.set_blocking(self._heartbeats, False)
        self.pid = 0

    def ask(self, template: socket.socket, document: bytes, log: int, stderr: int, shared: Sequence[int]) -> None:
        """Have *template* fork the process, with the descriptors that `worker.main` lists; `OSError` if it cannot."""
        given = -1
        try:
            given = os.memfd_create("imgforge-settings")
            with open(given, "wb", closefd=False) as file:
                file.write(document)
            os.lseek(given, 0, os.SEEK_SET)
            descriptors = (given, self._input, log, stderr, self._output, *shared)
            socket.send_fds(template, [b"w"], descriptors, socket.MSG_DONTWAIT)
        except OSError:
            os.close(self._begin)
            os.close(self._heartbeats)
            raise
        finally:
            for descriptor in (given, self._input, self._output):
                if descriptor >= 0:
                    os.close(descriptor)
        self._reactor.addReader(self)

    def begin(self, pid: int) -> None:
        """The process *pid* has been forked: it may begin."""
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # it has been killed, and reaped as an orphan (`reap_orphans`)
            self._end(ProcessTerminated())
            return
        self.pid = pid
        if self._signal:
            os.kill(pid, getattr(signal, f"SIG{self._signal}"))
        with suppress(OSError):  # it has ended
            os.write(self._begin, b"\n")
        registerReapProcessHandler(pid, self)

    def fail(self, reason: str) -> None:
        """There will be no process."""
        self._end(NotForked(reason))

    def signalProcess(self, name: str) -> None:
        """See `IProcessTransport`."""
        if self._begin < 0:
            raise ProcessExitedAlready
        if self.pid:
            os.kill(self.pid, getattr(signal, f"SIG{name}"))  # not reaped yet: the number is no other process's
        elif name == "KILL":
            self._give_up()
        else:
            self._signal = name

    def fileno(self) -> int:
        """See `IReadDescriptor`."""
        return self._heartbeats

    def logPrefix(self) -> str:
        """See `IReadDescriptor`."""
        return "worker"

    def doRead(self) -> Any:
        """Pass heartbeats on, or the report of a failed start."""
        try:
            data = os.read(self._heartbeats, _MOST_READ)
        except BlockingIOError:
            return None
        if not data:
            return CONNECTION_DONE
        self._protocol.childDataReceived(_HEARTBEATS, data)
        return None

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """The process has closed its end, or the reactor stops."""
        self._reactor.removeReader(self)

    def reapProcess(self) -> None:
        """SIGCHLD: it may be this process that has ended."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            unregisterReapProcessHandler(pid, self)
            self.processEnded(status)

    def processEnded(self, status: int) -> None:
        """The process has ended with *status*, as waitpid(2) has it; what it has written is read before."""
        with suppress(BlockingIOError):
            while data := os.read(self._heartbeats, _MOST_READ):
                self._protocol.childDataReceived(_HEARTBEATS, data)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            self._end(ProcessDone(status))
        else:
            self._end(ProcessTerminated(max(code, 0) or None, -code if code < 0 else None, status))

    def _end(self, error: Exception) -> None:
        self._reactor.removeReader(self)
        os.close(self._begin)
        os.close(self._heartbeats)
        self._begin = -1
        self._protocol.processEnded(Failure(error))
