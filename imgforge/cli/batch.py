"""Batches: a record a line, as text, CSV or JSON lines; the results come out in the same order and the same format."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Protocol

import click

from imgforge.cli.common import Progress, fail
from imgforge.cli.line_reader import chunks, line_batches, opened

__all__ = ["INPUT_FORMAT", "BadLine", "Batch", "BatchFormat", "CsvLines", "JsonLines", "TextLines", "format_of", "text"]

_LONGEST = 64 * 1024  # bytes of a line
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BY_EXTENSION = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}

INPUT_FORMAT = click.option(
    "--input-format",
    type=click.Choice(["lines", "csv", "jsonl"]),
    help="Format of --batch; by default that of the file's extension, and lines for all others.",
)

Fields = dict[str, Any]
Results = Mapping[str, Any]


class BadLine(Exception):
    """A line of a batch that cannot be taken; the message says why."""


class BadHeader(Exception):
    """A batch of which no line can be taken, as its header lacks the columns that are needed."""


class BatchFormat(Protocol):
    """Turns a line into fields, and fields with their results into a line."""

    def decode(self, line: bytes) -> Fields | None:
        """The fields of *line*; None for a header. Raises `BadLine`."""

    def encode(self, fields: Fields | None, results: Results) -> bytes:
        """The line for *fields* with *results* added; without fields, that of a header or of an unreadable line."""


def format_of(path: str, chosen: str | None) -> str:
    """The name of the format: the *chosen* one, or that of the extension of *path*."""
    return chosen or _BY_EXTENSION.get(os.path.splitext(path)[1].lower(), "lines")


def text(fields: Fields, name: str) -> str:
    """The field *name*, empty where there is none; `BadLine` unless it is text."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadLine(f"{name} must be text")
    return value


class TextLines:
    """Each line is one value, the field *name*; *shown* makes a line of it and of the results."""

    def __init__(self, name: str, shown: Callable[[Fields, Results], str]) -> None:
        self._name = name
        self._shown = shown

    def decode(self, line: bytes) -> Fields:
        """See `BatchFormat`."""
        return {self._name: _utf8(line)}

    def encode(self, fields: Fields | None, results: Results) -> bytes:
        """See `BatchFormat`."""
        return self._shown(fields or {}, results).encode()


class JsonLines:
    """Each line is a JSON object, whose other fields are passed on."""

    def __init__(self) -> None:
        import msgspec

        self._decode = msgspec.json.Decoder(dict[str, Any]).decode
        self._encode = msgspec.json.Encoder().encode
        self._error = msgspec.MsgspecError

    def decode(self, line: bytes) -> Fields:
        """See `BatchFormat`."""
        try:
            return self._decode(line)
        except (self._error, RecursionError, ValueError) as error:
            raise BadLine(f"not a JSON object: {error}") from None

    def encode(self, fields: Fields | None, results: Results) -> bytes:
        """See `BatchFormat`."""
        return self._encode({**(fields or {}), **results})


class _Line:
    """A file for `csv.writer`, whose `writerow` then returns the line."""

    def write(self, line: str) -> str:
        return line


class CsvLines:
    """The first line names the columns, of which at least one is among *needed*; *added* are the columns of results.

    A row is one line: fields with line breaks are refused, since a missing quote would make one row of a whole file.
    """

    def __init__(self, needed: tuple[str, ...], added: tuple[str, ...]) -> None:
        self._needed = needed
        self._added = added
        self._columns: list[str] = []
        self._given = 0  # how many of the columns the input has
        self._write = csv.writer(_Line(), lineterminator="").writerow

    def decode(self, line: bytes) -> Fields | None:
        """See `BatchFormat`."""
        if not self._columns:
            self._take_header(line)
            return None
        values = _row(line)
        if len(values) > self._given:
            raise BadLine(f"the row has {len(values)} fields, the header {self._given}")
        return dict(zip(self._columns, values, strict=False))

    def _take_header(self, line: bytes) -> None:
        try:
            columns = [value.strip() for value in _row(line)]
        except BadLine as error:
            raise BadHeader(f"the first line: {error}") from None
        if not set(self._needed) & set(columns):
            raise BadHeader(f"the first line of the CSV must name a column {' or '.join(self._needed)}")
        self._given = len(columns)
        self._columns = columns + [name for name in self._added if name not in columns]

    def encode(self, fields: Fields | None, results: Results) -> bytes:
        """See `BatchFormat`."""
        if fields is None and not results:
            line: str = self._write(self._columns)
            return line.encode()
        values = {**(fields or {}), **results}
        line = self._write([_cell(values.get(name)) for name in self._columns])
        return line.encode()


def _row(line: bytes) -> list[str]:
    try:
        return next(csv.reader((_utf8(line),), strict=True))
    except csv.Error as error:
        raise BadLine(f"not a row of CSV: {error}") from None


def _cell(value: object) -> str:
    """*value* as CSV has it, where JSON has true, false and null."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _utf8(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise BadLine("the line is not UTF-8") from None


class Batch:
    """One run over a batch: *work* turns the fields of a line into results, or raises `BadLine`.

    A line that is bad is reported on standard error by its number; its place in the output is kept, by an empty line or
    by the results that *refused* makes of the message. Empty lines stay empty.
    """

    def __init__(
        self, form: BatchFormat, work: Callable[[Fields], Results], refused: Callable[[str], Results | None]
    ) -> None:
        self._form = form
        self._work = work
        self._refused = refused
        self._number = 0
        self.bad = 0

    def run(self, path: str, output: BinaryIO, verb: str) -> int:
        """Writes the results for the file at *path* to *output* and returns the number of lines; *verb* for progress.

        Lines are written as soon as all that has arrived is done, so that a program may wait for each.
        """
        progress = Progress()
        shown = not output.isatty()  # the results would be written across it
        try:
            with opened(path) as stream:
                for lines in line_batches(chunks(stream), _LONGEST):
                    output.write(b"".join([self._line(line) + b"\n" for line in lines]))
                    output.flush()
                    if shown:
                        progress.update(f"{self._number} lines {verb}")
        except BadHeader as error:
            fail(str(error))
        except BrokenPipeError:  # click ends the program
            raise
        except OSError as error:
            fail(f"{error.filename or path}: {error.strerror}")
        progress.done()
        return self._number

    def _line(self, line: bytes | None) -> bytes:
        self._number += 1
        fields: Fields | None = None
        try:
            if line is None:
                raise BadLine(f"the line is longer than {_LONGEST} bytes")
            if self._number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if not line or line.isspace():
                return b""
            fields = self._form.decode(line)
            return self._form.encode(fields, {} if fields is None else self._work(fields))
        except BadLine as error:
            self.bad += 1
            click.echo(f"imgforge: line {self._number}: {error}", err=True)
            results = self._refused(str(error))
            return b"" if results is None else self._form.encode(fields, results)
