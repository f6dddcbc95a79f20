"""One worker process, from its parent's side: what it is told, whether it is alive, how it ends.

Alive is a worker that says so: a byte each second on a pipe of its own, written by its reactor. One whose reactor is
stuck, in an endless loop or in a lock of a C library, accepts connections no more but has not ended either: the parent
kills it after a silence, and it is replaced like any that died. One that cannot start says why on the same pipe: one
line, behind a `!`.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["BEAT_INTERVAL", "Child", "StartFailure", "beat", "report_failure"]

BEAT_INTERVAL = 1.0
_LONGEST_SILENCE = 10.0
_LONGEST_START = 60.0
# A clock that jumped, and a parent that was stopped itself, look like a silence: what waits in the pipe is read first.
_SECOND_LOOK = 2.0
_BEAT = b"."
_FAILED = b"!"
# Characters of an error and of its traceback, so that both go into a pipe at once, whatever they are in JSON.
_LONGEST_ERROR, _LONGEST_TRACEBACK = 500, 8000


def beat(descriptor: int) -> None:
    """Tell the parent that this worker's reactor turns."""
    with suppress(OSError):  # a parent that is gone or stuck is not ours to judge here
        os.write(descriptor, _BEAT)


def report_failure(descriptor: int, error: BaseException) -> None:
    """Tell the parent that this worker cannot start, and why."""
    line = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_ERROR]
    trace = "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]
    with suppress(OSError):
        os.write(descriptor, _FAILED + json.dumps([line, trace]).encode() + b"\n")


class StartFailure(Failure):
    """Why a worker could not start: its *error* and the *trace* of it, as texts."""

    def __init__(self, error: str, trace: str) -> None:
        super().__init__(RuntimeError(error))
        self._error = error
        self._trace = trace

    def getErrorMessage(self) -> str:
        """The error, in one line."""
        return self._error

    def getTraceback(self, *_: object, **__: object) -> str:
        """Where it was raised, in the worker."""
        return self._trace


class Child(ProcessProtocol):
    """A worker called *name* that gets *document* as its first line; *ended* is called with it and the reason."""

    log = Logger()

    def __init__(self, reactor: Any, name: str, document: bytes, ended: Callable[[Child, Failure], None]) -> None:
        self._reactor = reactor
        self._document = document
        self._notify = ended
        self._listening: IDelayedCall | None = None
        self._ended: Deferred[None] = Deferred()
        self.name = name
        self.pid = 0
        self.born: float = reactor.seconds()
        self.leaving = False
        self.serves = self.silent = False
        self.hung = False  # and was killed for it
        self._report = b""
        # Whether it came to serve; False once it has ended before.
        self.ready: Deferred[bool] = Deferred()

    def connectionMade(self) -> None:
        """It has been started."""
        transport: Any = self.transport
        self.pid = transport.pid
        transport.write(self._document)
        self._listen_for(_LONGEST_START)

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: ARG002  # the pipe of its beats is all we read
        """It is alive; the first time that it serves. Or it says why it never will."""
        if self._report or data.startswith(_FAILED):
            self._report += data
            return
        self.serves, self.silent = True, False
        if not self.leaving:
            self._listen_for(_LONGEST_SILENCE)
        if not self.ready.called:
            self.ready.callback(True)

    @property
    def start_failure(self) -> StartFailure | None:
        """Why it could not start, if it has said so."""
        with suppress(ValueError):
            error, trace = json.loads(self._report[len(_FAILED) :])
            return StartFailure(str(error), str(trace))
        return None

    def _listen_for(self, seconds: float) -> None:
        self._listen_no_more()
        self._listening = self._reactor.callLater(seconds, self._missed, seconds)

    def _listen_no_more(self) -> None:
        if self._listening is not None and self._listening.active():
            self._listening.cancel()

    def _missed(self, seconds: float) -> None:
        self.silent = True
        self._listening = self._reactor.callLater(_SECOND_LOOK, self._hung, seconds + _SECOND_LOOK)

    def _hung(self, seconds: float) -> None:
        self.hung = True
        self.log.error("worker {pid} has not been heard of for {seconds:g} s: killed", pid=self.pid, seconds=seconds)
        self._signal("KILL")

    def processEnded(self, reason: Failure) -> None:
        """It is gone; who waits for that finds it struck off already."""
        self._listen_no_more()
        self._notify(self, reason)
        if not self.ready.called:
            self.ready.callback(False)
        self._ended.callback(None)

    def stop(self, signal: str, deadline: float) -> Deferred[None]:
        """Ask it to end by *signal*; kill it after *deadline* seconds. Fires when it has ended."""
        self.leaving = True
        self._listen_no_more()
        stopped: Deferred[None] = Deferred()
        if not self._ended.called:
            self._signal(signal)
            killing = self._reactor.callLater(deadline, self._signal, "KILL")
            self._ended.addCallback(lambda _: killing.active() and killing.cancel())
        self._ended.addCallback(lambda _: stopped.callback(None))
        return stopped

    def _signal(self, name: str) -> None:
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):  # and `processEnded` is about to say so
            transport.signalProcess(name)
