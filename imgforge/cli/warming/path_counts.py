"""Counts paths exactly, in bounded memory: in a dictionary, which is added to a temporary database when it is full."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType

__all__ = ["PathCounts"]

_MOST_BYTES = 32 * 1024 * 1024  # of the dictionary and of the list that it is sorted in
_ENTRY = 250  # bytes for each path beside its own
_PAGE_CACHE = 32 * 1024  # KiB; SQLite sorts in as much
_SCHEMA = f"""
    PRAGMA cache_size = -{_PAGE_CACHE};
    PRAGMA temp_store = FILE;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE paths (path BLOB PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE done (path BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_ADD = "INSERT INTO paths VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET count = count + excluded.count"
_RANKED = """
    SELECT path, count FROM (SELECT path, count FROM paths ORDER BY count DESC, path LIMIT :top)
    WHERE path NOT IN (SELECT path FROM done) ORDER BY count DESC, path
"""


class PathCounts:
    """How often each path was added, and which of them are done.

    Some 70 MiB of memory hold any number of paths. The rest is on disk, as large as the distinct paths, in a temporary
    file that is gone with the process. *most_bytes* is the size at which the dictionary is full.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._recent: dict[bytes, int] = {}
        self._size = 0
        self._database = sqlite3.connect("", isolation_level=None)  # a temporary file without a name
        self._database.executescript(_SCHEMA)

    def __enter__(self) -> PathCounts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, path: bytes) -> None:
        """Counts *path* once more."""
        recent = self._recent
        if path in recent:
            recent[path] += 1
            return
        recent[path] = 1
        self._size += len(path) + _ENTRY
        if self._size > self._most_bytes:
            self._store()

    def mark_done(self, paths: Iterable[bytes]) -> None:
        """Leaves *paths* out of `ranked`."""
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO done VALUES (?)", ((path,) for path in paths))
        self._database.execute("COMMIT")

    def totals(self, top: int | None) -> tuple[int, int]:
        """The number of distinct paths, and how many `ranked` has."""
        self._store()
        distinct = self._one("SELECT count(*) FROM paths")
        return distinct, self._one(f"SELECT count(*) FROM ({_RANKED})", _limit(top))  # noqa: S608  # a constant

    def ranked(self, top: int | None) -> Iterator[tuple[bytes, int]]:
        """The *top* paths, or all, that are not done, with their counts, the most frequent first."""
        self._store()
        for row in self._database.execute(_RANKED, _limit(top)):  # noqa: UP028  # would close it after the database
            yield row

    def _store(self) -> None:
        if self._recent:
            self._database.execute("BEGIN")
            self._database.executemany(_ADD, sorted(self._recent.items()))  # in the order of the index
            self._database.execute("COMMIT")
            self._recent.clear()
            self._size = 0

    def _one(self, query: str, parameters: dict[str, int] | None = None) -> int:
        number: int = self._database.execute(query, parameters or {}).fetchone()[0]
        return number


def _limit(top: int | None) -> dict[str, int]:
    return {"top": -1 if top is None else top}
