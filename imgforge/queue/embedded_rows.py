"""The file of the embedded queue: huey's tables, and the rows in them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from huey.storage import SqliteStorage

from imgforge.queue.jobs import RenderFailure, RenderJob, read_job, read_traceparent, write_job

__all__ = [
    "DONE",
    "FAILED",
    "PAST_FAILED",
    "PENDING",
    "RUNNING",
    "TRACE",
    "WAITING",
    "Claim",
    "QueueFile",
    "count_done",
    "count_rows",
    "delete_row",
    "end_claim",
    "failures_in",
    "has_next",
    "jobs_in",
    "next_job",
    "trace_of",
]

# The queues in huey's tables: task has PENDING and FAILED (with the request's name), schedule RUNNING and WAITING,
# counter DONE and kv TRACE, both by the request's name.
PENDING, RUNNING, WAITING, FAILED, DONE, TRACE = "pending", "running", "waiting", "failed:", "done", "trace"
PAST_FAILED = "failed;"  # sorts behind all queues of failures


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this process makes, its row, and the trace of its request, "" where that is not known.

    Once the lease has ended another claim may replace it.
    """

    row: int
    job: RenderJob
    traceparent: str = ""

    @property
    def document(self) -> bytes:
        """What the row has, as long as this claim holds."""
        return write_job(self.job)


class QueueFile(SqliteStorage):  # type: ignore[misc]  # huey has no annotations
    """huey's tables in a file that only its owner can read, whose schema is not trusted to call functions."""

    def _set_journal_mode(self, connection: sqlite3.Connection) -> None:
        """Called for a new connection, before it makes any file beside the database's, which get its permissions.

        The file is not opened here: closing it would drop the locks that other connections of this process have.
        """
        status = os.stat(self.filename)
        if status.st_uid == os.geteuid() and status.st_mode & 0o077:
            os.chmod(self.filename, 0o600)
        super()._set_journal_mode(connection)
        connection.execute("pragma trusted_schema=off")
        connection.execute("pragma cell_size_check=on")


def has_next(cursor: sqlite3.Cursor, now: float) -> bool:
    cursor.execute(
        "select exists (select 1 from task where queue = ?) "
        "or exists (select 1 from schedule where queue = ? and timestamp <= ?) "
        "or exists (select 1 from schedule where queue = ? and timestamp <= ?)",
        (PENDING, WAITING, now, RUNNING, now),
    )
    return bool(cursor.fetchone()[0])


def next_job(cursor: sqlite3.Cursor, now: float) -> tuple[str, int, Any] | None:
    """The table, the row and the document of the next job: one that was lost or is due, else the first pending one."""
    for queue in (RUNNING, WAITING):
        cursor.execute(
            "select id, data from schedule where queue = ? and timestamp <= ? order by timestamp limit 1", (queue, now)
        )
        found = cursor.fetchone()
        if found is not None:
            return "schedule", found[0], found[1]
    cursor.execute("select id, data from task where queue = ? order by priority desc, id limit 1", (PENDING,))
    found = cursor.fetchone()
    return None if found is None else ("task", found[0], found[1])


def delete_row(cursor: sqlite3.Cursor, table: str, row: int) -> None:
    cursor.execute(f"delete from {table} where id = ?", (row,))  # noqa: S608  # one of two words


def end_claim(cursor: sqlite3.Cursor, claim: Claim) -> bool:
    """Removes the row of *claim*; False where the claim does not hold any more."""
    cursor.execute("delete from schedule where id = ? and data = ?", (claim.row, claim.document))
    return cursor.rowcount == 1


def count_rows(cursor: sqlite3.Cursor, table: str, where: str, *values: object) -> int:
    cursor.execute(f"select count(*) from {table} where {where}", values)  # noqa: S608  # texts of this module
    count: int = cursor.fetchone()[0]
    return count


def count_done(cursor: sqlite3.Cursor, name: str) -> int | None:
    cursor.execute("select value from counter where queue = ? and key = ?", (DONE, name))
    found = cursor.fetchone()
    return None if found is None else int(found[0])


def trace_of(cursor: sqlite3.Cursor, job: RenderJob) -> str:
    """The trace of the request that *job* is of; "" where that is not known."""
    cursor.execute("select substr(value, 1, 100) from kv where queue = ? and key = ?", (TRACE, job.request))
    found = cursor.fetchone()
    return "" if found is None else read_traceparent(found[0])


def failures_in(cursor: sqlite3.Cursor, where: str, *values: object) -> list[RenderFailure]:
    cursor.execute(f"select data from task where {where} order by id limit ?", values)  # noqa: S608
    return [RenderFailure(job.path, job.reason, job.tries, job.request) for job in jobs_in(cursor)]


def jobs_in(cursor: sqlite3.Cursor) -> Iterator[RenderJob]:
    """The jobs in the rows of *cursor*, without those that cannot be read."""
    for (document,) in cursor.fetchall():
        try:
            yield read_job(bytes(document))
        except (ValueError, TypeError):
            continue
