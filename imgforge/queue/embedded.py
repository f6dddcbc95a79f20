"""The embedded queue: a SQLite file that any number of processes of this machine add to and take from.

The file, its transactions and its tables are those of huey's storage, whose queue forgets a task when it is taken. Here
a taken job stays, under a lease, until it is settled:

    task      pending ── claim ──> schedule  running (until the lease ends) ── done ──> counter
              failed:<request> <── put aside ──┘   └── again ──> waiting (until it is due)

A job whose lease has ended, because its process died, is claimed like one that is due. Documents are JSON, so that a
file from elsewhere runs nothing.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from twisted.logger import Logger

from imgforge.errors import QueueFailed
from imgforge.queue.embedded_rows import (
    DONE,
    FAILED,
    PAST_FAILED,
    PENDING,
    RUNNING,
    TRACE,
    WAITING,
    Claim,
    QueueFile,
    count_done,
    count_rows,
    delete_row,
    end_claim,
    failures_in,
    has_next,
    jobs_in,
    next_job,
    trace_of,
)
from imgforge.queue.jobs import (
    QueueStatus,
    RenderJob,
    is_request_id,
    oldest_request_id,
    read_job,
    total_of,
    write_job,
)

__all__ = ["Claim", "EmbeddedQueue"]

_FILE = "render-queue.sqlite"
_LOCK_TIMEOUT = 10.0  # seconds to wait for another process' transaction
_KEPT = 30 * 86400.0  # seconds for which the counts of a request are kept


class EmbeddedQueue:
    """The queue in *directory*, which is created if it is not there. Implements `JobQueue`.

    With *durable* every transaction is on the disk once its method returns; without, the last ones before a power
    failure may be lost, which repeats work and loses none.
    """

    log = Logger()

    def __init__(self, directory: str, *, durable: bool = True, clock: Callable[[], float] = time.time) -> None:
        self._path = os.path.join(directory, _FILE)
        self._durable = durable
        self._clock = clock
        self._storage: QueueFile | None = None

    @contextmanager
    def _cursor(self, *, commit: bool = False) -> Iterator[sqlite3.Cursor]:
        """A cursor, in an exclusive transaction if it is to *commit*; `QueueFailed` for what SQLite raises."""
        try:
            if self._storage is None:
                os.makedirs(os.path.dirname(self._path) or ".", mode=0o700, exist_ok=True)
                self._storage = self._open()
            with self._storage.db(commit=commit) as cursor:
                yield cursor
        except (sqlite3.Error, OSError) as error:
            raise QueueFailed("the queue in IMGFORGE_QUEUE_PATH cannot be used").caused_by(
                f"{self._path}: {error}"
            ) from error

    def _open(self) -> QueueFile:
        storage = QueueFile(
            *("imgforge", self._path),
            fsync=self._durable,
            timeout=_LOCK_TIMEOUT,
            strict_fifo=True,
            create_tables=False,
        )
        with storage.db() as cursor:
            cursor.execute("select exists (select 1 from sqlite_master where name = 'counter')")
            ready = cursor.fetchone()[0]
        if not ready:  # the tables are made under a lock that keeps all others waiting
            storage.initialize_schema()
        return storage

    def add(self, jobs: Sequence[RenderJob], traceparent: str = "") -> None:
        """Puts *jobs* at the end, in one transaction; all are of the request of *traceparent*."""
        with self._cursor(commit=True) as cursor:
            cursor.executemany(
                "insert into task (queue, data) values (?, ?)", [(PENDING, write_job(job)) for job in jobs]
            )
            cursor.executemany(
                "insert or ignore into counter (queue, key, value) values (?, ?, 0)",
                [(DONE, name) for name in {job.request for job in jobs}],
            )
            if traceparent:
                cursor.executemany(
                    "insert or replace into kv (queue, key, value) values (?, ?, ?)",
                    [(TRACE, name, traceparent.encode("ascii")) for name in {job.request for job in jobs} - {""}],
                )
            oldest = oldest_request_id(self._clock(), _KEPT)
            for table, queue in (("counter", DONE), ("kv", TRACE)):
                cursor.execute(
                    f"delete from {table} where queue = ? and key > '' and key < ?",  # noqa: S608  # one of two words
                    (queue, oldest),
                )

    def claim(self, lease: float) -> Claim | None:
        """The next job, for *lease* seconds; None where none is pending or due."""
        now = self._clock()
        with self._cursor() as cursor:  # without a lock, for nearly always there is nothing
            if not has_next(cursor, now):
                return None
        with self._cursor(commit=True) as cursor:
            while (found := next_job(cursor, now)) is not None:
                table, row, document = found
                try:
                    job = read_job(bytes(document)).tried()
                except (ValueError, TypeError) as error:
                    self.log.warn("a damaged job was removed from the queue: {error}", error=str(error))
                    delete_row(cursor, table, row)
                    continue
                if table == "schedule":
                    cursor.execute(
                        "update schedule set queue = ?, data = ?, timestamp = ? where id = ?",
                        (RUNNING, write_job(job), now + lease, row),
                    )
                    return Claim(row, job, trace_of(cursor, job))
                delete_row(cursor, table, row)
                cursor.execute(
                    "insert into schedule (queue, data, timestamp) values (?, ?, ?)",
                    (RUNNING, write_job(job), now + lease),
                )
                return Claim(cursor.lastrowid or 0, job, trace_of(cursor, job))
        return None

    def renew(self, claims: Iterable[Claim], lease: float) -> None:
        """Holds *claims* for *lease* seconds from now."""
        until = self._clock() + lease
        with self._cursor(commit=True) as cursor:
            cursor.executemany(
                "update schedule set timestamp = ? where id = ? and data = ?",
                [(until, claim.row, claim.document) for claim in claims],
            )

    def done(self, claim: Claim) -> bool:
        """Counts the job of *claim* as done; False where another claim has replaced it, which will count it."""
        with self._cursor(commit=True) as cursor:
            holds = end_claim(cursor, claim)
            if holds:
                for name in {"", claim.job.request}:
                    cursor.execute(
                        "insert into counter (queue, key, value) values (?, ?, 1) "
                        "on conflict (queue, key) do update set value = value + 1",
                        (DONE, name),
                    )
        return holds

    def again(self, claim: Claim, reason: str, pause: float) -> None:
        """Lets the job of *claim*, which failed for *reason*, wait for *pause* seconds."""
        with self._cursor(commit=True) as cursor:
            cursor.execute(
                "update schedule set queue = ?, data = ?, timestamp = ? where id = ? and data = ?",
                (WAITING, write_job(claim.job.failed(reason)), self._clock() + pause, claim.row, claim.document),
            )

    def release(self, claim: Claim) -> None:
        """Gives the job of *claim* back, as if it had not been begun, behind all others: it may be a heavy one."""
        self._put(claim, PENDING, claim.job.released())

    def put_aside(self, claim: Claim, reason: str) -> None:
        """Keeps the job of *claim* as failed for *reason*, until `retry`."""
        self._put(claim, FAILED + claim.job.request, claim.job.failed(reason))

    def _put(self, claim: Claim, queue: str, job: RenderJob) -> None:
        """Puts *job*, of which *claim* was, at the end of *queue*; nothing where the claim does not hold any more."""
        with self._cursor(commit=True) as cursor:
            if end_claim(cursor, claim):
                cursor.execute("insert into task (queue, data) values (?, ?)", (queue, write_job(job)))

    def status(self, most_failures: int = 1000) -> QueueStatus:
        """What the queue holds."""
        now = self._clock()
        with self._cursor() as cursor:
            pending = count_rows(cursor, "task", "queue = ?", PENDING)
            waiting = count_rows(cursor, "schedule", "queue = ?", WAITING)
            lost = count_rows(cursor, "schedule", "queue = ? and timestamp <= ?", RUNNING, now)
            running = count_rows(cursor, "schedule", "queue = ? and timestamp > ?", RUNNING, now)
            failed = count_rows(cursor, "task", "queue >= ? and queue < ?", FAILED, PAST_FAILED)
            done = count_done(cursor, "") or 0
            failures = failures_in(cursor, "queue >= ? and queue < ?", FAILED, PAST_FAILED, most_failures)
        return QueueStatus(pending + waiting + lost, running, done, failed, failures)

    def depth(self) -> dict[str, int]:
        """How many jobs are pending, running and failed."""
        status = self.status(0)
        return {"pending": status.pending, "running": status.running, "failed": status.failed}

    def request(self, name: str) -> QueueStatus | None:
        """What became of the jobs of the request *name*."""
        if not is_request_id(name):
            return None
        with self._cursor() as cursor:
            done = count_done(cursor, name)
            if done is None:
                return None
            failed = count_rows(cursor, "task", "queue = ?", FAILED + name)
            cursor.execute("select data from schedule where queue = ? and timestamp > ?", (RUNNING, self._clock()))
            running = sum(job.request == name for job in jobs_in(cursor))
            failures = failures_in(cursor, "queue = ?", FAILED + name, 1000)
        pending = max(0, total_of(name) - done - failed - running)
        return QueueStatus(pending, running, done, failed, failures)

    def retry(self) -> int:
        """Puts the jobs that were put aside back."""
        with self._cursor(commit=True) as cursor:
            cursor.execute("select id, data from task where queue >= ? and queue < ?", (FAILED, PAST_FAILED))
            renewed = []
            for row, document in cursor.fetchall():
                try:
                    renewed.append((PENDING, write_job(read_job(bytes(document)).fresh()), row))
                except (ValueError, TypeError):
                    delete_row(cursor, "task", row)
            cursor.executemany("update task set queue = ?, data = ? where id = ?", renewed)
        return len(renewed)

    def close(self) -> None:
        """Closes the file."""
        if self._storage is not None:
            self._storage.close()
