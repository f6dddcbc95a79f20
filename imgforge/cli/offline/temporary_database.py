"""Paths on disk instead of in memory: a database of SQLite's that has no name and ends with its connection.

SQLite keeps it in a file that is deleted already (in SQLITE_TMPDIR or TMPDIR, else in /var/tmp or /tmp), and as long as
it fits, in a cache of 2 MB.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

__all__ = ["sorted_on_disk", "temporary_database"]

_FOR_ONE_RUN = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"


def temporary_database(tables: str) -> sqlite3.Connection:
    """A new database with *tables*, statements that create them. Threads may share it if they take turns."""
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.executescript(_FOR_ONE_RUN + tables)
    return database


def sorted_on_disk(paths: Iterable[str]) -> Iterator[str]:
    """The *paths*, each once, in the order of their bytes. Raises `sqlite3.Error` where the disk has no room."""
    with closing(temporary_database("CREATE TABLE paths (path BLOB PRIMARY KEY) WITHOUT ROWID")) as database:
        rows = ((os.fsencode(path),) for path in paths)
        database.executemany("INSERT OR IGNORE INTO paths VALUES (?)", rows)
        for (path,) in database.execute("SELECT path FROM paths ORDER BY path"):
            yield os.fsdecode(path)
