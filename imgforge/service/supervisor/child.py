"""One worker process as the supervisor sees it: its heartbeats, and how it ends.

A worker's reactor writes a byte each second to a pipe of its own. A worker that is stuck, in an endless loop or in a
lock of a C library, stops accepting connections without ending: the supervisor kills it once its heartbeats have stayed
away, and replaces it like any that died. A worker that cannot start writes the reason to the same pipe: one line,
behind a `!`.

    starting ──heartbeat──> serving ──no heartbeat for 10 s──> silent ──2 s more──> hung (killed)
        │ none for 60 s: silent        <──────heartbeat──────────┘                    │
        └─────────────── stop, from any of them ──> stopping         stop ──> stopping_hung

A clock that jumped, and a supervisor that was stopped itself, look like missed heartbeats: therefore the two seconds,
in which the heartbeats that wait in the pipe are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.service.supervisor.heartbeat import FAILED

__all__ = ["Child", "StartFailure"]

_MOST_SILENCE = 10.0
_MOST_START = 60.0
_READ_PIPE_FIRST = 2.0


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


class _Life(Protocol):
    """The inputs of a worker's state machine; the last three tell about its state."""

    def heartbeat(self) -> None:
        """A byte came."""

    def miss(self) -> None:
        """No byte came in time."""

    def stay_silent(self) -> None:
        """Nor was there one in the pipe."""

    def stop(self) -> None:
        """The worker is asked to end."""

    def is_silent(self) -> bool:
        """Whether heartbeats are missing."""

    def is_hung(self) -> bool:
        """Whether the worker was killed for that."""

    def is_stopping(self) -> bool:
        """Whether the worker was asked to end."""


class Child(ProcessProtocol):
    """A worker called *name*; *on_end* is called with it and the reason."""

    log = Logger()

    def __init__(self, clock: IReactorTime, name: str, on_end: Callable[[Child, Failure], None]) -> None:
        self._clock = clock
        self._on_end = on_end
        self._timer: IDelayedCall | None = None
        self._ended: Deferred[None] = Deferred()
        self._report = b""
        self._life = _make_life(self)
        self.name = name
        self.started_at: float = clock.seconds()
        self.has_served = False
        # Fires with whether the worker came to serve; False if it has ended before.
        self.ready: Deferred[bool] = Deferred()

    @property
    def pid(self) -> int:
        """Its process id; 0 until it has been forked."""
        transport: Any = self.transport
        return 0 if transport is None else int(transport.pid)

    @property
    def is_silent(self) -> bool:
        """Whether its heartbeats are missing."""
        return self._life.is_silent()

    @property
    def is_hung(self) -> bool:
        """Whether it was killed since its heartbeats were missing."""
        return self._life.is_hung()

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._life.is_stopping()

    @property
    def start_failure(self) -> StartFailure | None:
        """Why it could not start, if it has reported that."""
        with suppress(ValueError):
            error, trace = json.loads(self._report[len(FAILED) :])
            return StartFailure(str(error), str(trace))
        return None

    def connectionMade(self) -> None:
        """The process is about to be started."""
        self._expect_heartbeat_within(_MOST_START)

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: ARG002  # the only pipe that is read
        """Take a heartbeat, or a part of the report of a failed start."""
        if self._report or data.startswith(FAILED):
            self._report += data
            return
        self._life.heartbeat()

    def processEnded(self, reason: Failure) -> None:
        """The process is gone; `on_end` runs before the Deferreds fire."""
        self._cancel_timer()
        self._on_end(self, reason)
        if not self.ready.called:
            self.ready.callback(False)
        self._ended.callback(None)

    def stop(self, signal: str, deadline: float) -> Deferred[None]:
        """Ask the worker to end by *signal*; kill it after *deadline* seconds. Fires when it has ended."""
        self._life.stop()
        stopped: Deferred[None] = Deferred()
        if not self._ended.called:
            self._signal(signal)
            killing = self._clock.callLater(deadline, self._signal, "KILL")
            self._ended.addCallback(lambda _: _cancel(killing))
        self._ended.addCallback(lambda _: stopped.callback(None))
        return stopped

    def _expect_heartbeat_within(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = self._clock.callLater(seconds, self._miss, seconds)

    def _miss(self, seconds: float) -> None:
        self._timer = self._clock.callLater(_READ_PIPE_FIRST, self._stay_silent, seconds + _READ_PIPE_FIRST)
        self._life.miss()

    def _stay_silent(self, seconds: float) -> None:
        self._life.stay_silent()
        self.log.error("worker {pid} missed heartbeats for {seconds:g} s: killing it", pid=self.pid, seconds=seconds)
        self._signal("KILL")

    def _serve(self) -> None:
        self.has_served = True
        if not self.ready.called:
            self.ready.callback(True)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            _cancel(self._timer)

    def _signal(self, name: str) -> None:
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):  # `processEnded` is about to be called
            transport.signalProcess(name)


def _cancel(timer: IDelayedCall) -> None:
    if timer.active():
        timer.cancel()


_builder = TypeMachineBuilder(_Life, Child)
_starting, _serving, _silent, _hung, _stopping, _stopping_hung = (
    _builder.state(name) for name in ("starting", "serving", "silent", "hung", "stopping", "stopping_hung")
)


@_starting.upon(_Life.heartbeat).to(_serving)
@_serving.upon(_Life.heartbeat).loop()
@_silent.upon(_Life.heartbeat).to(_serving)
def _heartbeat(life: _Life, child: Child) -> None:  # noqa: ARG001  # automat's signature
    child._expect_heartbeat_within(_MOST_SILENCE)  # noqa: SLF001  # its own machine
    child._serve()  # noqa: SLF001


@_starting.upon(_Life.stop).to(_stopping)
@_serving.upon(_Life.stop).to(_stopping)
@_silent.upon(_Life.stop).to(_stopping)
@_hung.upon(_Life.stop).to(_stopping_hung)
def _stop(life: _Life, child: Child) -> None:  # noqa: ARG001
    child._cancel_timer()  # noqa: SLF001


@_stopping.upon(_Life.heartbeat).loop()
def _last_heartbeat(life: _Life, child: Child) -> None:  # noqa: ARG001
    child._serve()  # noqa: SLF001


for _state in (_starting, _serving):
    _state.upon(_Life.miss).to(_silent).returns(None)
_silent.upon(_Life.stay_silent).to(_hung).returns(None)
for _state in (_hung, _stopping_hung):
    _state.upon(_Life.heartbeat).loop().returns(None)
for _state in (_stopping, _stopping_hung):
    _state.upon(_Life.stop).loop().returns(None)
for _state in (_starting, _serving, _silent, _hung, _stopping, _stopping_hung):
    _state.upon(_Life.is_silent).loop().returns(_state in {_silent, _hung})
    _state.upon(_Life.is_hung).loop().returns(_state in {_hung, _stopping_hung})
    _state.upon(_Life.is_stopping).loop().returns(_state in {_stopping, _stopping_hung})
_make_life = _builder.build()
