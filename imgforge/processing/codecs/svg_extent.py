"""How large the curves of an SVG are, beside the document itself.

cairo draws a curve as straight lines, the more the larger it is, also where nothing of it is within the picture: a few
kilobytes of arcs with a radius of a million take gigabytes and minutes.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

from imgforge.processing.codecs.svg_bounds import Attributes, local_name, sides

__all__ = ["Extent"]

_MOST_WORK = 500.0  # times that of a usual curve: cairo draws nothing that is still larger
_USUAL = 20.0  # sizes of the document that a usual curve has at most
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_PATHS = frozenset({"d", "points"})
_LENGTHS = frozenset(
    {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "stroke-width", "font-size"}
)
_TRANSFORM = re.compile(r"[\s,]*+([a-zA-Z]+)\s*+\(([^()]*+)\)[\s,]*+")
_UNITS = {"": 1.0, "px": 1.0, "%": 1.0, "pt": 2.0, "pc": 16.0, "mm": 4.0, "cm": 38.0, "in": 96.0}
_LONGEST_TRANSFORM = 1000


class Extent:
    """The largest numbers of elements, and how much larger their transformations make what is within."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._side = _side(root)
        self._least = 10.0 ** len(str(int(2 * self._side))) if self._side else math.inf
        self._large = _large(len(str(int(2 * self._side))) + 1)

    def work(self, extent: float) -> float:
        """How many times the work of a usual curve one of *extent* may be."""
        if not self._side or math.isnan(extent):
            return _MOST_WORK
        return min(max(1.0, extent / self._side / _USUAL), _MOST_WORK)

    def own(self, attributes: Attributes) -> float:
        """The largest number in the geometry of an element, or what is nothing special in such a document."""
        largest = self._least
        for name, value in attributes:
            if name in _PATHS:
                if self._large.search(value):
                    largest = max(largest, *map(_absolute, _NUMBER.findall(value)), 0.0)
            elif name in _LENGTHS:
                largest = max(largest, _length(value))
        return largest

    def factor(self, element: Any, attributes: Attributes) -> float:
        """How much larger *element* makes what is within it, or what it refers to."""
        factor = 1.0
        for name, value in attributes:
            if name in {"transform", "patternTransform"}:
                factor *= _enlargement(value)
        if element is not self._root and local_name(element.tag) in {"svg", "symbol", "use"}:
            box = [_absolute(number) for number in _NUMBER.findall(element.get("viewBox", ""))]
            if "viewBox" in element.attrib:
                smallest = min(box[2:4]) if len(box) >= 4 else 0.0
                factor *= max(1.0, self._side / smallest) if smallest > 0 else math.inf
            for name in ("width", "height"):
                if name in element.attrib and self._side:
                    factor *= max(1.0, _length(element.get(name)) / self._side)
        return factor


@lru_cache(64)
def _large(digits: int) -> re.Pattern[str]:
    """Finds numbers of so many digits before the point, and those with an exponent."""
    return re.compile(rf"(?<![\d.])\d{{{digits}}}|[eE]")


def _side(root: Any) -> float:
    """The side of a square as large as the document, in its own units; 0 where nobody knows."""
    found, box = sides(root)
    if not box:
        return math.sqrt(found[0] * found[1]) if found else 0.0
    if not found:
        return math.sqrt(box[0] * box[1])
    # The picture may be filled, and what is beyond it be cut off.
    return math.sqrt(found[0] * found[1]) / max(found[0] / box[0], found[1] / box[1])


def _absolute(number: str) -> float:
    return abs(float(number))


def _length(text: str) -> float:
    """A length, as large as it may be; without end where it depends on a font."""
    try:
        return abs(float(text))
    except ValueError:
        found = _NUMBER.match(text.strip())
    if found is None:
        return 0.0
    unit = text.strip()[found.end() :]
    return _absolute(found[0]) * _UNITS[unit] if unit in _UNITS else math.inf


def _enlargement(transform: str) -> float:
    """How much larger a transformation makes anything; without end where nobody knows."""
    factor, at = 1.0, 0
    if len(transform) > _LONGEST_TRANSFORM:
        return math.inf
    while found := _TRANSFORM.match(transform, at):
        at = found.end()
        numbers = [_absolute(number) for number in _NUMBER.findall(found[2])]
        match found[1]:
            case "translate" | "rotate":
                pass
            case "scale" if numbers:
                factor *= max(numbers)
            case "matrix" if len(numbers) == 6:
                factor *= max(numbers[0] + numbers[2], numbers[1] + numbers[3])
            case "skewX" | "skewY" if numbers:
                factor *= 1.0 + abs(math.tan(math.radians(numbers[0])))
            case _:
                return math.inf
    return factor if at == len(transform) or not transform.strip() else math.inf
