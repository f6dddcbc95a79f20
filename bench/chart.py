"""One picture of what the other programs have written with `--json`: hits, cold images, and latency against load.

    python bench/chart.py --hits hits.json --cold cold.json --overload overload.json > docs/benchmarks.svg

Each of them may be left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.overload import UNIT, latencies
from bench.svg_plot import COLOURS, HEIGHT, WIDTH, plot

__all__ = ["main"]

_LEFT, _ROW, _GAP, _BAR = 390, 17, 34, 380
_Row = tuple[str, str, float]  # label, contender, value


def _hits(report: Any) -> list[_Row]:
    return [(one["name"], one["name"], 1 / one["cpu"]) for one in report["servers"] if one["cpu"]]


def _cold(report: Any) -> list[_Row]:
    return [
        (f"{work['work']}: {one['name']}", one["name"], one["rate"])
        for work in report["works"]
        for one in work["servers"]
    ]


def _load(report: Any) -> str:
    loads = report["loads"]
    return plot([one["factor"] for one in loads], [latencies(loads)], unit=UNIT)


def _bars(top: int, title: str, rows: Sequence[_Row], colours: dict[str, str]) -> Iterable[str]:
    yield f'<text x="{_LEFT}" y="{top + 12}" font-weight="bold">{escape(title)}</text>'
    most = max(value for _, _, value in rows)
    for number, (label, contender, value) in enumerate(rows, 1):
        y = top + number * _ROW
        colour = colours.setdefault(contender, COLOURS[len(colours) % len(COLOURS)])
        yield f'<text x="{_LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(label)}</text>'
        yield f'<rect x="{_LEFT}" y="{y + 2}" width="{value / most * _BAR:.1f}" height="{_ROW - 5}" fill="{colour}"/>'
        yield f'<text x="{_LEFT + value / most * _BAR + 6:.1f}" y="{y + 12}">{_number(value)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Draw what *argv* names on standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = (("hits", "hits per CPU second", _hits), ("cold", "cold images per second", _cold))
    for name, what in (*((name, title) for name, title, _ in kinds), ("overload", "latency against load")):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"the report of bench/{name}.py: {what}")
    arguments = vars(parser.parse_args(argv))
    parts: list[str] = []
    colours: dict[str, str] = {}
    top = 10
    for name, title, rows_of in kinds:
        if arguments[name] is not None:
            rows = rows_of(json.loads(arguments[name].read_text()))
            parts += _bars(top, title, rows, colours)
            top += (len(rows) + 1) * _ROW + _GAP
    if arguments["overload"] is not None:
        height = HEIGHT + 2 * _GAP
        curves = _load(json.loads(arguments["overload"].read_text()))
        parts.append(curves.replace("<svg ", f'<svg y="{top}" height="{height}" ', 1))
        top += height
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="11">'
        '<rect width="100%" height="100%" fill="white"/>'
    )
    print("\n".join([*parts, "</svg>"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
