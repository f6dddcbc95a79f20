"""The top tables of a server, read from its JSON, and as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

__all__ = ["TopDocument", "lines_of", "read_document", "view_of"]

_MEASURES = ("time", "count", "bytes", "errors")
_HEADINGS = {"time": "time", "count": "requests", "bytes": "bytes", "errors": "errors"}
_UNITS = ("", " K", " M", " G", " T")
_OVERHEAD = 3  # lines of a table beside its rows: title, heading, blank


class Row(msgspec.Struct):
    """A name and its totals; `uncertainty` is by how much that of the measure may be larger."""

    name: str
    count: int
    seconds: float
    bytes: int
    errors: int
    estimated: int
    uncertainty: float


class Totals(msgspec.Struct):
    """What all requests add up to."""

    count: int
    seconds: float
    bytes: int
    errors: int


class TopDocument(msgspec.Struct):
    """The answer of `/debug/top`."""

    by: str
    since: float
    processes: int
    totals: Totals
    tables: dict[str, list[Row]]


def read_document(text: str) -> TopDocument:
    """The document in *text*; `ValueError` where it is another one."""
    return msgspec.json.decode(text, type=TopDocument)


def view_of(document: TopDocument, lines: int = 0) -> Group:
    """The tables, in *lines* of a terminal at most; 0 shows all rows."""
    most = max(1, (lines - 2) // max(1, len(document.tables)) - _OVERHEAD) if lines else 0
    tables = [_table(document, name, rows[: most or None]) for name, rows in document.tables.items()]
    return Group(Text(_headline(document), style="bold"), *tables)


def lines_of(document: TopDocument) -> Iterator[str]:
    """The same as plain lines of fields with tabs between, for pipes."""
    yield _headline(document)
    for name, rows in document.tables.items():
        yield ""
        yield "\t".join([*(_HEADINGS[measure] for measure in _MEASURES), name])
        for row in rows:
            yield "\t".join([*_cells(row), _printable(row.name)])


def _headline(document: TopDocument) -> str:
    totals = document.totals
    since = datetime.fromtimestamp(document.since, UTC).strftime("%H:%M UTC")
    workers = "1 process" if document.processes == 1 else f"{document.processes} processes"
    return (
        f"since {since}, {workers}: {totals.count} requests, {totals.seconds:.1f} s, "
        f"{_size(totals.bytes)}B, {totals.errors} errors; by {_printable(document.by)}"
    )


def _table(document: TopDocument, name: str, rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, title_justify="left")
    for measure in _MEASURES:
        style = "bold" if measure == document.by else ""
        table.add_column(_HEADINGS[measure], justify="right", no_wrap=True, style=style)
    table.add_column(Text(_printable(name)), no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        # As Text: a name is what clients sent, and has no markup.
        table.add_row(*_cells(row), Text(_printable(row.name)))
    return table


def _cells(row: Row) -> list[str]:
    cells = {
        "time": f"{row.seconds:.2f} s",
        "count": str(row.count),
        "bytes": f"{_size(row.bytes)}B",
        "errors": str(row.errors),
    }
    if row.uncertainty or row.estimated:
        cells = {measure: "~" + cell for measure, cell in cells.items()}
    return [cells[measure] for measure in _MEASURES]


def _size(number: float) -> str:
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            break
        number /= 1000
    return f"{number:.3g}{unit or ' '}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
