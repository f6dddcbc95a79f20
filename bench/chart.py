"""One SVG of the JSON reports of hits.py, cold.py and overload.py: hits, cold images, and latency against load.

    python bench/chart.py --hits hits.json --cold cold.json --overload overload.json > docs/benchmarks.svg

Each report may be left out.
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

from bench.overload import FACTOR_UNIT, latency_panel
from bench.svg_plot import COLOURS, HEIGHT, WIDTH, plot

__all__ = ["main"]

_LEFT, _ROW_HEIGHT, _GAP, _BAR_WIDTH = 390, 17, 34, 380
_Row = tuple[str, str, float]  # label, contender, value


def _hits_rows(report: Any) -> list[_Row]:
    return [(server["name"], server["name"], 1 / server["cpu"]) for server in report["servers"] if server["cpu"]]


def _cold_rows(report: Any) -> list[_Row]:
    return [
        (f"{workload['work']}: {server['name']}", server["name"], server["rate"])
        for workload in report["works"]
        for server in workload["servers"]
    ]


def _load_curves(report: Any) -> str:
    loads = report["loads"]
    return plot([load["factor"] for load in loads], [latency_panel(loads)], unit=FACTOR_UNIT)


def _bars(top: int, title: str, rows: Sequence[_Row], colours: dict[str, str]) -> Iterable[str]:
    yield f'<text x="{_LEFT}" y="{top + 12}" font-weight="bold">{escape(title)}</text>'
    maximum = max(value for _, _, value in rows)
    for number, (label, contender, value) in enumerate(rows, 1):
        y = top + number * _ROW_HEIGHT
        colour = colours.setdefault(contender, COLOURS[len(colours) % len(COLOURS)])
        yield f'<text x="{_LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(label)}</text>'
        width = value / maximum * _BAR_WIDTH
        yield f'<rect x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="{_ROW_HEIGHT - 5}" fill="{colour}"/>'
        yield f'<text x="{_LEFT + width + 6:.1f}" y="{y + 12}">{_number(value)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the SVG of the reports that *argv* names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bar_charts = (("hits", "hits per CPU second", _hits_rows), ("cold", "cold images per second", _cold_rows))
    for name, subject in (*((name, title) for name, title, _ in bar_charts), ("overload", "latency against load")):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"the report of bench/{name}.py: {subject}")
    arguments = vars(parser.parse_args(argv))
    parts: list[str] = []
    colours: dict[str, str] = {}
    top = 10
    for name, title, rows_of in bar_charts:
        if arguments[name] is not None:
            rows = rows_of(json.loads(arguments[name].read_text()))
            parts += _bars(top, title, rows, colours)
            top += (len(rows) + 1) * _ROW_HEIGHT + _GAP
    if arguments["overload"] is not None:
        height = HEIGHT + 2 * _GAP
        curves = _load_curves(json.loads(arguments["overload"].read_text()))
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
