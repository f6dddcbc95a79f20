"""Curves over time or load as SVG: panels one below the other, with dotted lines that mark events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["COLOURS", "HEIGHT", "WIDTH", "Panel", "plot"]

_MAX_POINTS = 300  # of a curve
_PANEL_WIDTH, HEIGHT, _LEFT, _TOP, _GAP = 760, 120, 70, 24, 44
WIDTH = _LEFT + _PANEL_WIDTH + 20  # of the whole drawing; HEIGHT is that of one panel
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b")


@dataclass(frozen=True, slots=True)
class Panel:
    """A title, and curves by name; each curve has one value for each value of x."""

    title: str
    curves: Mapping[str, Sequence[float]]


def plot(x_values: Sequence[float], panels: Sequence[Panel], marks: Sequence[float] = (), unit: str = "s") -> str:
    """Return an SVG of *panels* over the ascending *x_values* in *unit*; *marks* are values of x with a dotted line."""
    x_max = x_values[-1] or 1.0
    full_height = len(panels) * (HEIGHT + _GAP) + _TOP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {full_height}" font-family="sans-serif" '
        'font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    for row, panel in enumerate(panels):
        top = _TOP + row * (HEIGHT + _GAP)
        y_max = max((max(values) for values in panel.curves.values()), default=0) or 1.0

        def x_of(value: float) -> str:
            return f"{_LEFT + value / x_max * _PANEL_WIDTH:.1f}"

        def y_of(value: float, top: int = top, y_max: float = y_max) -> str:
            return f"{top + HEIGHT * (1 - value / y_max):.1f}"

        parts.append(f'<text x="{_LEFT}" y="{top - 6}" font-weight="bold">{escape(panel.title)}</text>')
        for value in (0.0, y_max / 2, y_max):
            parts.append(f'<text x="{_LEFT - 6}" y="{y_of(value)}" text-anchor="end">{value:.4g}</text>')
            parts.append(f'<path d="M{_LEFT},{y_of(value)} h{_PANEL_WIDTH}" stroke="#ddd"/>')
        parts += [f'<path d="M{x_of(mark)},{top} v{HEIGHT}" stroke="#888" stroke-dasharray="2"/>' for mark in marks]
        for number, (name, values) in enumerate(panel.curves.items()):
            colour = COLOURS[number % len(COLOURS)]
            step = 1 + len(x_values) // _MAX_POINTS
            drawn = list(zip(x_values, values, strict=True))[::step]
            points = " ".join(f"{x_of(x)},{y_of(y)}" for x, y in drawn)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
            position = f'x="{_LEFT + 180 + 130 * number}" y="{top - 6}"'
            parts.append(f'<text {position} fill="{colour}">{escape(name)}</text>')
        label = f'x="{_LEFT + _PANEL_WIDTH}" y="{top + HEIGHT + 14}"'
        parts.append(f'<text {label} text-anchor="end">{x_max:.0f} {unit}</text>')
    return "\n".join([*parts, "</svg>\n"])
