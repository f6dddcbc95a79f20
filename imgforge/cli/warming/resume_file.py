"""The file of a run that may be broken off: a first line that names the server, then each path that is done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from imgforge.cli.line_reader import chunks, line_batches

__all__ = ["ResumeFile", "WrongResumeFile"]

_TITLE = b"imgforge warm "
_LONGEST = 64 * 1024  # bytes of a line


class WrongResumeFile(Exception):
    """The file is no resume file, or that of a run against another server; the message is one line."""


class ResumeFile:
    """Keeps at *path* what is done for the server at *base_url*.

    Each path is written at once, so that also a run that is killed goes on where it was.
    """

    def __init__(self, path: str, base_url: str) -> None:
        self._path = path
        self._title = _TITLE + base_url.encode("utf-8", "surrogateescape")
        self._file: BinaryIO | None = None

    def done(self) -> Iterator[bytes]:
        """The paths that are done, none where there is no file; raises `WrongResumeFile`, or `OSError`."""
        with suppress(FileNotFoundError), open(self._path, "rb") as file:
            lines = (line for batch in line_batches(chunks(file), _LONGEST) for line in batch)
            title = next(lines, self._title)
            if title is None or not title.startswith(_TITLE):
                raise WrongResumeFile(f"{self._path} is no resume file of `imgforge warm`")
            if title != self._title:
                server = title.removeprefix(_TITLE).decode("utf-8", "replace")
                raise WrongResumeFile(f"{self._path} is of a run against {server}: name another file, or delete it")
            yield from (line for line in lines if line)

    def open(self) -> None:
        """Begins to write; raises `OSError`."""
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115  # closed by `close`
        if self._file.tell() == 0:
            self._file.write(self._title + b"\n")
        else:
            self._end_last_line()

    def _end_last_line(self) -> None:
        """A process that was killed may have written half of a line, whose path is then done again."""
        if self._file is None:
            return
        with open(self._path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                self._file.write(b"\n")

    def add(self, path: bytes) -> None:
        """Writes that *path* is done; raises `OSError`."""
        if self._file is not None:
            self._file.write(path + b"\n")

    def close(self, *, finished: bool) -> None:
        """Ends; the file of a run that has *finished* is removed."""
        if self._file is not None:
            self._file.close()
            self._file = None
            if finished:
                os.remove(self._path)
