"""Curves over time, or load, as SVG: panels one above the other, with a mark where something happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["COLOURS", "HEIGHT", "WIDTH", "Panel", "plot"]

_MOST_POINTS = 300  # of a curve
_PANEL, HEIGHT, _LEFT, _TOP, _GAP = 760, 120, 70, 24, 44
WIDTH = _LEFT + _PANEL + 20  # of the whole picture; HEIGHT is a panel's
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b")


@dataclass(frozen=True, slots=True)
class Panel:
    """A title and, by name, curves of as many values as there are moments."""

    title: str
    curves: Mapping[str, Sequence[float]]


def plot(moments: Sequence[float], panels: Sequence[Panel], marks: Sequence[float] = (), unit: str = "s") -> str:
    """The panels over *moments* (ascending, in *unit*); *marks* are moments that all show as a dotted line."""
    span = moments[-1] or 1.0
    full = WIDTH, len(panels) * (HEIGHT + _GAP) + _TOP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full[0]} {full[1]}" font-family="sans-serif" '
        'font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    for row, panel in enumerate(panels):
        top = _TOP + row * (HEIGHT + _GAP)
        most = max((max(values) for values in panel.curves.values()), default=0) or 1.0

        def across(moment: float) -> str:
            return f"{_LEFT + moment / span * _PANEL:.1f}"

        def down(value: float, top: int = top, most: float = most) -> str:
            return f"{top + HEIGHT * (1 - value / most):.1f}"

        parts.append(f'<text x="{_LEFT}" y="{top - 6}" font-weight="bold">{escape(panel.title)}</text>')
        for value in (0.0, most / 2, most):
            parts.append(f'<text x="{_LEFT - 6}" y="{down(value)}" text-anchor="end">{value:.4g}</text>')
            parts.append(f'<path d="M{_LEFT},{down(value)} h{_PANEL}" stroke="#ddd"/>')
        parts += [f'<path d="M{across(mark)},{top} v{HEIGHT}" stroke="#888" stroke-dasharray="2"/>' for mark in marks]
        for number, (name, values) in enumerate(panel.curves.items()):
            colour = COLOURS[number % len(COLOURS)]
            step = 1 + len(moments) // _MOST_POINTS
            drawn = list(zip(moments, values, strict=True))[::step]
            points = " ".join(f"{across(at)},{down(value)}" for at, value in drawn)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
            place = f'x="{_LEFT + 180 + 130 * number}" y="{top - 6}"'
            parts.append(f'<text {place} fill="{colour}">{escape(name)}</text>')
        parts.append(f'<text x="{_LEFT + _PANEL}" y="{top + HEIGHT + 14}" text-anchor="end">{span:.0f} {unit}</text>')
    return "\n".join([*parts, "</svg>\n"])
