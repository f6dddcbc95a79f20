"""The task of Celery's workers. Each worker process has a pipeline of its own, from its first job on."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Mapping
from typing import Any

from billiard import current_process
from celery import Task, shared_task
from celery.exceptions import Reject
from celery.signals import worker_init, worker_process_shutdown
from celery.utils.log import get_task_logger

from imgforge.errors import QueueFailed
from imgforge.observability import logged_target
from imgforge.queue import (
    TASK,
    TRACE_HEADER,
    BrokerQueue,
    JobFailed,
    RenderJob,
    backoff,
    holds_waiting,
    read_job,
    read_traceparent,
)
from imgforge.service.platform import usable_cpus
from imgforge.service.prerendering import ThreadedEngine, log_what_is_sent
from imgforge.service.telemetry import telemetry_mistakes

log = get_task_logger(__name__)

_LOST = "each process that made this image ended before it was done"

# Seconds that a job which waits for its next try keeps its place: the others go on, and nothing spins.
_TURN = 0.1
# The priority of those jobs. Of Redis, workers take them only while there is no other (0 comes first, 9 last): else a
# new image would wait for the turns of all. At RabbitMQ they do not go round.
_LAST = 9
_NO_TIME = 1e11

_lock = threading.Lock()
_engines: list[ThreadedEngine] = []


@worker_init.connect  # type: ignore[untyped-decorator]
def _check(sender: Any, **_: object) -> None:
    """End a worker whose processes could not start, as each would lose the job that it has taken.

    Another one says in the log where its traces and reports go.
    """
    settings = sender.app.imgforge_settings
    mistakes = list(telemetry_mistakes(settings))
    if mistakes:
        raise SystemExit("\n".join(f"imgforge: {line}" for line in mistakes))
    log_what_is_sent(settings)


def _engine(task: Task) -> ThreadedEngine:
    """The engine of this process, started by the first job that needs it."""
    with _lock:
        if not _engines:
            concurrency = int(task.app.conf.worker_concurrency or usable_cpus())
            threads, processes = (1, concurrency) if _is_child() else (concurrency, 1)
            engine = ThreadedEngine(task.app.imgforge_settings, threads, processes)
            engine.start()
            _engines.append(engine)
            atexit.register(_stop)
    return _engines[0]


def _is_child() -> bool:
    """Whether this process makes one image at a time, as those of Celery's usual pool do, beside others."""
    name: str = current_process().name
    return name != "MainProcess"


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _stop(**_: object) -> None:
    """Let the engine of this process write what it has made."""
    while _engines:
        _engines.pop().stop()


@shared_task(bind=True, name=TASK, max_retries=None, throws=(JobFailed,))  # type: ignore[untyped-decorator]
def render(self: Task, document: Any, not_before: Any = 0) -> None:
    """Make the image of the job in *document*, not *before* that time, and say so on the broker."""
    try:
        job = read_job(document)
    except ValueError as error:
        log.error("a damaged job was removed from the queue: %s", error)
        return
    wait = _seconds_until(not_before, self.app.imgforge_settings.timeout)
    if wait > 0:  # round the queue once more
        time.sleep(min(wait, _TURN))
        _send_again(self, self.request.retries, not_before)
        return
    tries = self.request.retries + 1
    if (self.request.delivery_info or {}).get("redelivered"):
        # A process ended with it. It waits for its next try as after a failure: it may be what ended the process.
        _again(self, job, tries, job.reason or _LOST)
        return
    try:
        _engine(self).make(job.after(tries), _traceparent(self))
    except JobFailed as error:
        (_again if error.again else _put_aside)(self, job, tries, error.reason)
        return
    try:
        BrokerQueue(self.app).done(job)
    except QueueFailed as error:  # the image is in the cache all the same
        log.warning("a job that is done is not counted: %s", error.logged)


def _again(task: Task, job: RenderJob, tries: int, reason: str) -> None:
    """Have *job* tried again after a pause, as often as the operator allows."""
    settings = task.app.imgforge_settings
    if tries > settings.queue_max_retries:
        _put_aside(task, job, tries, reason)
        return
    pause = min(backoff(tries), float(settings.timeout))
    if holds_waiting(settings):
        raise task.retry(countdown=pause, exc=JobFailed(reason, again=True), **_headers(task))
    _send_again(task, tries, time.time() + pause)


def _send_again(task: Task, retries: int, not_before: float) -> None:
    """Put the job of *task* behind all others."""
    try:
        kwargs = {"not_before": not_before}
        task.apply_async(args=task.request.args[:1], kwargs=kwargs, retries=retries, priority=_LAST, **_headers(task))
    except Exception as error:  # a client's or the broker's: the job must not be lost
        raise Reject(str(error), requeue=True) from error


def _headers(task: Task) -> Mapping[str, Any]:
    """What goes on with the next message of a job: the trace of its request, if it has one."""
    found = _traceparent(task)
    return {"headers": {TRACE_HEADER: found}} if found else {}


def _traceparent(task: Task) -> str:
    """The trace of the request whose job *task* has, "" where that is not known."""
    return read_traceparent(getattr(task.request, TRACE_HEADER, ""))


def _seconds_until(time_given: Any, most: float) -> float:
    """The seconds until *time_given*, which anybody may have written, at most *most*; 0 where it is past."""
    if not isinstance(time_given, int | float) or not 0 < time_given < _NO_TIME:
        return 0.0
    return min(time_given - time.time(), most)


def _put_aside(task: Task, job: RenderJob, tries: int, reason: str) -> None:
    log.warning(
        "cannot make %s beforehand: %s; `imgforge render retry` tries it again", logged_target(job.path), reason
    )
    try:
        BrokerQueue(task.app).put_aside(job.after(tries), reason, _traceparent(task))
    except QueueFailed as error:
        raise Reject(error.logged, requeue=True) from error
