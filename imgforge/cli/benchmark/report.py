"""The figures of a benchmark on a terminal: a table, and a histogram of the latencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imgforge.cli.benchmark.measurement import percentile
from imgforge.cli.common import escaped

__all__ = ["histogram", "print_report"]

_ROWS = 12
_WIDTH = 50  # characters of the longest bar
_COLUMNS = ("requests", "rps", "p50_ms", "p95_ms", "p99_ms", "max_ms", "hits", "errors")
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def histogram(latencies: Sequence[float], rows: int = _ROWS, width: int = _WIDTH) -> list[str]:
    """Lines with a bar each: how many of *latencies*, in seconds, are in each of *rows* equal steps up to the p99.

    The last line counts those beyond.
    """
    if not latencies:
        return []
    ordered = sorted(latencies)
    least, end = ordered[0], percentile(ordered, 0.99)
    step = (end - least) / rows or 1e-6
    counts = [0] * rows
    beyond = 0
    for latency in ordered:
        place = int((latency - least) / step)
        if latency > end:
            beyond += 1
        else:
            counts[min(place, rows - 1)] += 1
    most = max(*counts, beyond)
    lines = [
        f"{(least + number * step) * 1000:9.2f} ms  {_bar(count / most, width)} {count}"
        for number, count in enumerate(counts)
    ]
    if beyond:
        lines.append(f" > {end * 1000:6.2f} ms  {_bar(beyond / most, width)} {beyond}")
    return lines


def _bar(share: float, width: int) -> str:
    whole, eighths = divmod(round(share * width * 8), 8)
    return f"{_EIGHTHS[8] * whole}{_EIGHTHS[eighths] if eighths else ''}".ljust(width)


def print_report(report: dict[str, Any], latencies: Sequence[float]) -> None:
    """Print *report*, the JSON of the command, as a table, and below it the histogram."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:  # whole on 80 columns; a URL has lines of its own where it must
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    urls = report["urls"]
    if len(urls) > 1:
        table.add_column("URL", overflow="fold")
    for row in (*(urls if len(urls) > 1 else ()), report | {"url": "all"}):
        figures = [f"{row[name]:,}" for name in _COLUMNS]
        table.add_row(*figures, *([Text(escaped(str(row["url"])))] if len(urls) > 1 else ()))
    if len(urls) == 1:
        console.print(escaped(str(urls[0]["url"])), markup=False, highlight=False)
    console.print(table)
    for kind, count in report["error_kinds"].items():
        console.print(f"{count} errors: {kind}", markup=False)
    for line in histogram(latencies):
        console.print(line, markup=False, highlight=False)
