"""The gauges that imgproxy sends to Datadog and CloudWatch, of the whole server, and who sends them.

A service that overwrites a gauge by the next one of its name would show one process at random. So that one process
sends the sum over all: the one that holds a lock in the directory that they share. The kernel gives the lock back when
that process ends, and another one sends from then on.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imgforge.concurrency import DaemonThread
from imgforge.config import mask_user_info
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics
from imgforge.service.lifecycle import PeriodicCall

__all__ = ["GaugeSender", "ServerGauges", "server_gauges"]

_INTERVAL = 10.0  # seconds, as in imgproxy


class ServerGauges(NamedTuple):
    """imgproxy's gauges: those of memory in bytes, `workers_utilization` in percent."""

    workers: float
    requests_in_progress: float
    images_in_progress: float
    workers_utilization: float
    vips_memory: float
    vips_max_memory: float
    vips_allocs: float


def server_gauges(metrics: Metrics) -> ServerGauges:
    """The gauges as all processes have last set them. Takes many milliseconds: for a thread."""
    values = metrics.gauges()
    workers, requests = values.get("image_operation_concurrency_limit", 0.0), values.get("requests_in_progress", 0.0)
    return ServerGauges(
        workers,
        requests,
        values.get("images_in_progress", 0.0),
        100 * requests / workers if workers else 0.0,
        values.get("vips_memory_bytes", 0.0),
        values.get("vips_memory_highwater_bytes", 0.0),
        values.get("vips_allocations", 0.0),
    )


class _Turn:
    """Whether this process is the one of its server that sends to *name*; *directory* is that of all processes."""

    def __init__(self, directory: str, name: str) -> None:
        self._path = os.path.join(directory, f"sender_of_{name}.lock") if directory else ""
        self._lock: int | None = None

    def is_ours(self) -> bool:
        """Take the lock, if nobody has it."""
        if self._lock is None and self._path:
            lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                return False
            self._lock = lock
        return True

    def give_back(self) -> None:
        """Let another process send."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class GaugeSender(Service):
    """Has *send* send the server's gauges to *receiver*, a name for logs, every ten seconds, on a thread of its own.

    What could not be sent is not sent later: the next figures follow soon. A send that takes longer is waited for, and
    one that fails is logged, once until it works again. The stop does not wait.
    """

    log = Logger()

    def __init__(
        self, reactor: IServerReactor, metrics: Metrics, receiver: str, send: Callable[[ServerGauges], None]
    ) -> None:
        self._reactor = reactor
        self._metrics = metrics
        self._receiver = receiver
        self._send = send
        self._turn = _Turn(metrics.directory, receiver.lower())
        self._sending = self._failing = False
        self._calls = PeriodicCall(reactor, _INTERVAL, self._begin, f"metrics cannot be sent to {receiver}")

    def startService(self) -> None:
        """Begin to send, at once."""
        super().startService()
        self._calls.startService()

    def stopService(self) -> Deferred[None]:
        """End the sending."""
        super().stopService()
        if not self._sending:  # else its thread holds the lock to the end of the process
            self._turn.give_back()
        return self._calls.stopService()

    def _begin(self) -> None:
        if not self._sending:
            DaemonThread(target=self._run, name=f"metrics to {self._receiver}").start()
            self._sending = True

    def _run(self) -> None:
        failure = None
        try:
            if self._turn.is_ours():
                self._send(server_gauges(self._metrics))
        except Exception as error:
            failure = mask_user_info(f"{type(error).__name__}: {error}")  # it may name an endpoint
        self._reactor.callFromThread(self._ended, failure)

    def _ended(self, failure: str | None) -> None:
        self._sending = False
        if failure is not None and not self._failing:
            self.log.warn(
                "metrics cannot be sent to {receiver}: {error}; they are tried again every {interval:g} s",
                receiver=self._receiver,
                error=failure,
                interval=_INTERVAL,
            )
        elif failure is None and self._failing:
            self.log.info("metrics are sent to {receiver} again", receiver=self._receiver)
        self._failing = failure is not None
