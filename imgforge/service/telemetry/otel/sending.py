"""The service that starts what sends, after the fork, and gives it three seconds at the stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from imgforge.concurrency import DaemonThread
from imgforge.interfaces import IServerReactor

__all__ = ["Sending", "Stop"]

_LONGEST_STOP = 3.0  # seconds

# Ends what sends something: called on a thread of its own, where it may block.
Stop = Callable[[], object]


class Sending(Service):
    """Starts what sends by *starts*, each of which returns how that is stopped."""

    name = "OpenTelemetry"
    log = Logger()

    def __init__(self, reactor: IServerReactor, starts: Sequence[Callable[[], Iterable[Stop]]]) -> None:
        self._reactor = reactor
        self._starts = starts
        self._stops: list[Stop] = []

    def startService(self) -> None:
        """Start the threads."""
        super().startService()
        for start in self._starts:
            self._stops += start()

    def stopService(self) -> Deferred[None]:
        """Send what is left; fires after three seconds at most."""
        super().stopService()
        stopped = DeferredList([self._stopped(stop) for stop in self._stops], consumeErrors=True)

        def given_up(_: object, seconds: float) -> None:
            self.log.warn(
                "the receiver of telemetry did not take what was left within {seconds:g} s: it is dropped",
                seconds=seconds,
            )

        return stopped.addTimeout(_LONGEST_STOP, self._reactor, given_up).addCallback(lambda _: None)

    def _stopped(self, stop: Stop) -> Deferred[None]:
        """Fires once *stop* has returned, on a thread that the end of the process does not wait for."""
        done: Deferred[None] = Deferred()

        def returned() -> None:
            if not done.called:
                done.callback(None)

        def on_thread() -> None:
            try:
                stop()
            finally:
                self._reactor.callFromThread(returned)

        DaemonThread(target=on_thread, name="imgforge-otel-stop").start()
        return done
