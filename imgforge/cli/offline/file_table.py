"""The files of a run and the names of its results: few of them are in memory at a time."""

from __future__ import annotations

import os
from collections import deque
from threading import Lock

from imgforge.cli.offline.input_files import InputFile
from imgforge.cli.offline.temporary_database import temporary_database

__all__ = ["FileTable"]

_AHEAD = 256  # files that are read from the database at once
_TABLES = """
    CREATE TABLE files (place INTEGER PRIMARY KEY, path BLOB, directory BLOB);
    CREATE TABLE listed (path BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE results (name BLOB PRIMARY KEY, source BLOB) WITHOUT ROWID;
"""


class FileTable:
    """Files in the order in which they were added, each once, and which file has which name of a result.

    Any thread may call it. Paths need not be UTF-8. Raises `sqlite3.Error` where the disk has no room for them.
    """

    def __init__(self) -> None:
        self.count = 0  # of the files
        self._database = temporary_database(_TABLES)
        self._lock = Lock()
        self._next: deque[InputFile] = deque()
        self._read = 0  # the place of the last file that was read

    def add(self, file: InputFile) -> None:
        """Add *file*, unless it was added already, by whatever path."""
        with self._lock:
            if self._insert("INSERT OR IGNORE INTO listed VALUES (?)", os.path.realpath(file.path)):
                self._insert("INSERT INTO files (path, directory) VALUES (?, ?)", *file)
                self.count += 1

    def take(self) -> InputFile | None:
        """The next file; None after the last one."""
        with self._lock:
            if not self._next:
                query = "SELECT place, path, directory FROM files WHERE place > ? ORDER BY place LIMIT ?"
                for place, path, directory in self._database.execute(query, (self._read, _AHEAD)).fetchall():
                    self._read = place
                    self._next.append(InputFile(os.fsdecode(path), os.fsdecode(directory)))
            return self._next.popleft() if self._next else None

    def claim(self, name: str, source: str) -> str:
        """The file that has the result *name*: *source*, unless another one has claimed that name before."""
        with self._lock:
            if self._insert("INSERT OR IGNORE INTO results VALUES (?, ?)", name, source):
                return source
            return self._owner(name)

    def is_claimed(self, name: str) -> bool:
        """Whether a file of this run has the result *name*."""
        with self._lock:
            return bool(self._owner(name))

    def _owner(self, name: str) -> str:
        row = self._database.execute("SELECT source FROM results WHERE name = ?", (os.fsencode(name),)).fetchone()
        return os.fsdecode(row[0]) if row else ""

    def _insert(self, statement: str, *values: str) -> bool:
        return self._database.execute(statement, tuple(map(os.fsencode, values))).rowcount > 0
