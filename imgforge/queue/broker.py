"""The queue of a fleet: jobs are Celery's messages on a broker, RabbitMQ or Redis.

What became of jobs is on the broker as well, in queues that nobody consumes and whose lengths are the counts:

    imgforge                   the jobs themselves
    imgforge.failed            the jobs that were put aside, with the reason
    imgforge.failed.<request>  a message for each of them that is of the request; goes away after a week
    imgforge.done.<day>        a message for each job that was done on that day; goes away after a week
    imgforge.done.<request>    one for the request, and one for each of its jobs; goes away after a week
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from celery import Celery
from celery.exceptions import CeleryError
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import ChannelError, KombuError, OperationalError
from kombu.message import Message
from twisted.logger import Logger

from imgforge.config import mask_user_info
from imgforge.errors import QueueFailed
from imgforge.queue.celery import QUEUE, TASK, TRACE_HEADER
from imgforge.queue.jobs import (
    QueueStatus,
    RenderFailure,
    RenderJob,
    is_request_id,
    read_job,
    read_traceparent,
    total_of,
)

__all__ = ["BrokerQueue"]

_DAYS = 7
_REQUEST_KEPT = 7 * 86400.0  # seconds
_ANSWERS = 0.5  # seconds for which workers may answer what they are doing
_MOST_SCANNED = 500  # failures that are taken off their queue, and put back, to find those of a request
_SCAN_KEPT = 3.0  # seconds for which they are remembered
_RETRY = {"max_retries": 2, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 1.0}

_FAILED = Queue(f"{QUEUE}.failed", routing_key=f"{QUEUE}.failed", durable=True)
_JOBS = Queue(QUEUE, routing_key=QUEUE, durable=True)


class BrokerQueue:
    """The queue of the Celery application *app*. Implements `JobQueue`."""

    log = Logger()

    def __init__(self, app: Celery, *, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._clock = clock
        self._scan: tuple[float, list[RenderJob]] = 0.0, []

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A new connection; `QueueFailed` for what goes wrong with it."""
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=5)
                yield connection
        except (KombuError, CeleryError, OSError, *self._errors()) as error:
            raise QueueFailed("the broker of IMGFORGE_QUEUE_URL does not answer").caused_by(_cause(error)) from error

    @contextmanager
    def _producer(self) -> Iterator[Any]:
        """A producer of the pool, whose connection stays open; `QueueFailed` for what goes wrong with it."""
        try:
            with self._app.producer_pool.acquire(block=True) as producer:
                yield producer
        except (KombuError, CeleryError, OSError, *self._errors()) as error:
            raise QueueFailed("the broker of IMGFORGE_QUEUE_URL does not answer").caused_by(_cause(error)) from error

    def _errors(self) -> tuple[type[BaseException], ...]:
        """What the client of this broker raises."""
        transport = self._app.connection_for_write().transport
        return (*transport.connection_errors, *transport.channel_errors)

    def add(self, jobs: Sequence[RenderJob], traceparent: str = "") -> None:
        """Puts *jobs* at the end; with RabbitMQ each is confirmed. *traceparent* is a header of their messages."""
        with self._connection() as connection, self._app.amqp.Producer(connection) as producer:
            for request in {job.request for job in jobs if job.request}:
                self._note(producer, _done_queue(request, _REQUEST_KEPT))
            for job in jobs:
                self._send(producer, job, traceparent)

    def _send(self, producer: Any, job: RenderJob, traceparent: str = "") -> None:
        self._app.send_task(
            TASK,
            args=[msgspec.to_builtins(job)],
            queue=QUEUE,
            producer=producer,
            headers=_trace_headers(traceparent),
            retry=True,
            retry_policy=_RETRY,
        )

    def done(self, job: RenderJob) -> None:
        """Counts *job* as done."""
        with self._producer() as producer:
            self._note(producer, _done_queue(_day(self._clock()), (_DAYS + 1) * 86400.0))
            if job.request:
                self._note(producer, _done_queue(job.request, _REQUEST_KEPT))

    def put_aside(self, job: RenderJob, reason: str, traceparent: str = "") -> None:
        """Keeps *job*, whose request has the trace *traceparent*, as failed for *reason*, until `retry`."""
        with self._producer() as producer:
            _publish(producer, _FAILED, msgspec.to_builtins(job.failed(reason)), _trace_headers(traceparent))
            if job.request:
                self._note(producer, _failed_queue(job.request))

    def _note(self, producer: Any, queue: Queue) -> None:
        _publish(producer, queue, {})

    def depth(self) -> dict[str, int]:
        """How many jobs wait, and how many were put aside; those that workers have are not among them."""
        with self._connection() as connection:
            return {"pending": _length(connection, QUEUE) or 0, "failed": _length(connection, _FAILED.name) or 0}

    def status(self, most_failures: int = 1000) -> QueueStatus:
        """What the broker and the workers have; done are those of the last seven days."""
        running, reserved = self._with_workers("")
        with self._connection() as connection:
            pending = (_length(connection, QUEUE) or 0) + reserved
            days = [_day(self._clock() - 86400.0 * day) for day in range(_DAYS)]
            done = sum(_length(connection, _done_name(day)) or 0 for day in days)
            failed = _length(connection, _FAILED.name) or 0
            failures = self._failures(connection, most_failures)
        return QueueStatus(pending, running, done, failed, [_failure(job) for job in failures])

    def request(self, name: str) -> QueueStatus | None:
        """What became of the jobs of the request *name*; its failures are looked for among the first 500 of all."""
        if not is_request_id(name):
            return None
        with self._connection() as connection:
            noted = _length(connection, _done_name(name))
            if noted is None:
                return None
            failed = _length(connection, _failed_queue(name).name) or 0
            failures = [job for job in self._scanned(connection) if job.request == name] if failed else []
        total = total_of(name)
        done, failed = min(max(0, noted - 1), total), min(failed, total)
        running, _ = self._with_workers(name)
        running = min(running, max(0, total - done - failed))
        pending = max(0, total - done - failed - running)
        return QueueStatus(pending, running, done, failed, [_failure(job) for job in failures])

    def _with_workers(self, request: str) -> tuple[int, int]:
        """How many jobs (of *request*, if it is named) workers make, and how many they have for later."""
        try:
            inspect = self._app.control.inspect(timeout=_ANSWERS)
            active = _tasks(inspect.active(), request)
            later = _tasks(inspect.reserved(), request) + _tasks(inspect.scheduled(), request)
        except (KombuError, CeleryError, OSError, *self._errors()) as error:
            raise QueueFailed("the broker of IMGFORGE_QUEUE_URL does not answer").caused_by(_cause(error)) from error
        return active, later

    def _scanned(self, connection: Connection) -> list[RenderJob]:
        """The first failures, as they were a few seconds ago: many may ask at once."""
        scanned, jobs = self._scan
        if not 0 <= self._clock() - scanned < _SCAN_KEPT:
            jobs = self._failures(connection, _MOST_SCANNED)
            self._scan = self._clock(), jobs
        return jobs

    def _failures(self, connection: Connection, most: int) -> list[RenderJob]:
        """The first *most* jobs that were put aside; they stay where they are."""
        jobs: list[RenderJob] = []
        seen: list[Message] = []
        with connection.channel() as channel:
            queue = _FAILED(channel)
            queue.declare()
            while len(seen) < most and (message := queue.get(no_ack=False)) is not None:
                seen.append(message)
                job = _job_of(message)
                if job is not None:
                    jobs.append(job)
            for message in reversed(seen):
                message.requeue()
        return jobs

    def retry(self) -> int:
        """Puts the jobs that were put aside back to the end."""
        count = 0
        with (
            self._connection() as connection,
            self._app.amqp.Producer(connection) as producer,
            connection.channel() as channel,
        ):
            queue = _FAILED(channel)
            queue.declare()
            for _ in range(_length(connection, _FAILED.name) or 0):
                message = queue.get(no_ack=False)
                if message is None:
                    break
                job = _job_of(message)
                if job is None:
                    self.log.warn("a damaged job was removed from the queue {name}", name=_FAILED.name)
                else:
                    self._send(producer, job.fresh(), read_traceparent(message.headers.get(TRACE_HEADER)))
                    count += 1
                    if job.request:
                        note = _failed_queue(job.request)(channel)
                        note.declare()  # it may have gone away
                        note.get(no_ack=True)
                message.ack()
        return count

    def close(self) -> None:
        """Lets go of the application and its connections."""
        self._app.close()


def _trace_headers(traceparent: str) -> dict[str, str]:
    return {TRACE_HEADER: traceparent} if traceparent else {}


def _publish(producer: Any, queue: Queue, document: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
    producer.publish(
        document,
        headers=headers,
        exchange="",
        routing_key=queue.name,
        declare=[queue],
        serializer="json",
        delivery_mode=2,
        retry=True,
        retry_policy=_RETRY,
    )


def _length(connection: Connection, name: str) -> int | None:
    """How many messages the queue *name* has ready; None where there is no such queue."""
    channel = connection.channel()  # the broker closes it for a queue that is not there
    try:
        count: int = Queue(name)(channel).queue_declare(passive=True).message_count
    except ChannelError:
        return None
    except Exception as error:
        if isinstance(error, connection.channel_errors):
            return None
        raise
    finally:
        _close(channel)
    return count


def _close(channel: Any) -> None:
    with suppress(OperationalError, OSError, ChannelError):
        channel.close()


def _done_name(what: str) -> str:
    return f"{QUEUE}.done.{what}"


def _done_queue(what: str, seconds: float) -> Queue:
    return Queue(_done_name(what), routing_key=_done_name(what), durable=True, expires=seconds)


def _failed_queue(request: str) -> Queue:
    name = f"{_FAILED.name}.{request}"
    return Queue(name, routing_key=name, durable=True, expires=_REQUEST_KEPT)


def _day(now: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(now))


def _job_of(message: Message) -> RenderJob | None:
    """The job in *message*; None for anything else."""
    try:
        return read_job(message.decode())
    except Exception:
        return None


def _failure(job: RenderJob) -> RenderFailure:
    return RenderFailure(job.path, job.reason, job.tries, job.request)


def _tasks(answers: dict[str, list[dict[str, Any]]] | None, request: str) -> int:
    """How many of the tasks in the *answers* of workers are ours, and of *request*."""
    count = 0
    for tasks in (answers or {}).values():
        for task in tasks:
            task = task.get("request", task)  # scheduled ones are wrapped
            if task.get("name") == TASK and (not request or request in str(task.get("args", ""))):
                count += 1
    return count


def _cause(error: BaseException) -> str:
    """What happened, without the URL of the broker, which has a password."""
    return mask_user_info(f"{type(error).__name__}: {error}")
