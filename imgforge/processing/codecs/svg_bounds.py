"""What bounds the cost of an SVG's text, patterns and filters, which may otherwise cost anything.

A picture may be drawn in any size, so that lengths are judged by the sides of the document's own coordinate system. And
nothing may enlarge them: no other coordinate system within, no transformation but those that turn, move and shrink, no
length in other units. librsvg draws in pieces of 2000 by 2000 pixels, and computes a filter for all of the picture in
each: filters, and patterns of many tiles, are bounded only in pictures of one small piece.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["FILTER_PRIMITIVES", "SHAPES", "Attributes", "Bounds", "local_name", "sides", "size_is_stated"]

Attributes = Sequence[tuple[str, str]]  # names and values; there may be several of one name

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?"
_LENGTH = re.compile(rf"\s*({_NUMBER})(?:px)?\s*")
_ABSOLUTE = re.compile(rf"\s*({_NUMBER})(px|pt|pc|mm|cm|in)?\s*")
_PIXELS = {None: 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
_BOX = re.compile(rf"\s*{_NUMBER}(?:[\s,]+{_NUMBER}){{3}}\s*")
_TRANSFORMS = re.compile(rf"(?:\s*(translate|rotate|scale)\(([\s,]*(?:{_NUMBER}[\s,]*){{1,3}})\)[\s,]*)*+")
_SCALE = re.compile(r"scale\(([^)]*)\)")
_NUMBERS = re.compile(_NUMBER)
_FAMILIES = re.compile(r"[\w ,'\"-]{0,100}", re.ASCII)
_LAYER = 500.0  # the work of painting all of a piece
_LETTER = 4.0
_LONGEST_ATTRIBUTE = 100
_MOST_FAMILIES = 8
_LAST_LETTER = "\u024f"  # of the Latin scripts, which need no other font and no reordering
_DEFAULT_FONT_SIZE = 12.0
_SMALLEST_TILE, _LARGEST_TILE = 1 / 64, 1 / 4  # of the document's sides

FILTER_PRIMITIVES = frozenset({"feGaussianBlur", "feOffset", "feFlood", "feMerge", "feComposite", "feDropShadow"})
# To stroke letters takes ten times as long as to fill them: only what has none within may have a stroke.
SHAPES = frozenset({"path", "rect", "circle", "ellipse", "line", "polyline", "polygon"})
_UNBOUNDED = frozenset(
    {"lang", "preserveAspectRatio", "patternTransform", "letter-spacing", "word-spacing", "writing-mode"}
)
_FONT_PROPERTIES = frozenset(
    {"font-family", "font-size", "font-stretch", "font-style", "font-variant", "font-weight", "text-rendering"}
)
_SYSTEMS = frozenset({"svg", "symbol"})  # that may have a coordinate system of their own
_FILTER_ATTRIBUTES = frozenset(
    {"id", "x", "y", "width", "height", "filterUnits", "primitiveUnits", "color-interpolation-filters"}
)
_PATTERN_ATTRIBUTES = frozenset({"id", "x", "y", "width", "height", "patternUnits", "patternContentUnits"})
_TEXT_ATTRIBUTES = frozenset(
    {"id", "class", "style", "x", "y", "dx", "dy", "fill", "fill-opacity", "opacity", "transform", "text-anchor"}
    | {"textLength", "lengthAdjust", "font-family", "font-size", "font-weight", "font-style", "text-rendering"}
    | {"dominant-baseline", "aria-hidden", "{http://www.w3.org/XML/1998/namespace}space"}
)


class Bounds:
    """The document's sides, and whether nothing in it enlarges what is within (`hold`).

    *attributes* has those of each element, with what its style says, and *styles_are_read* is whether that is all.
    What filters and patterns cost is true of small pictures only.
    """

    def __init__(self, root: Any, attributes: Mapping[Any, Attributes], *, styles_are_read: bool) -> None:
        self._width, self._height = _sides(root)
        self._font_size = _DEFAULT_FONT_SIZE
        self.fonts = _fonts(attributes)
        self.hold = styles_are_read and min(self._width, self._height) > 0 and self._are_kept(root, attributes)

    def _are_kept(self, root: Any, attributes: Mapping[Any, Attributes]) -> bool:
        families: set[str] = set()
        for element, own in attributes.items():
            kind = local_name(element.tag)
            if kind == "switch" or (kind in _SYSTEMS and element is not root):
                return False
            for attribute, value in own:
                name = local_name(attribute)
                if name in _UNBOUNDED or (name == "style" and attribute != name):
                    return False
                if name == "stroke" and kind not in SHAPES and value != "none":
                    return False
                if name == "transform" and not _shrinks(value):
                    return False
                if name == "font-size":
                    size = _absolute(value)
                    if not size > 0:
                        return False
                    self._font_size = max(self._font_size, size)
                elif name == "font-family":
                    families.add(value)
        return len(families) <= _MOST_FAMILIES and all(map(_FAMILIES.fullmatch, families))

    def text(self, element: Any) -> float:
        """The work of the letters of a `text` or `tspan`, without what is in the elements within."""
        if not (self.hold and _TEXT_ATTRIBUTES.issuperset(element.attrib) and _short(element)):
            return math.inf
        if any(isinstance(child.tag, str) and local_name(child.tag) != "tspan" for child in element):
            return math.inf
        letters = "".join([element.text or "", *(child.tail or "" for child in element)])
        if any(letter > _LAST_LETTER or not (letter.isprintable() or letter.isspace()) for letter in letters):
            return math.inf
        covered = (self._font_size * _scale_of_text(element)) ** 2 / (self._width * self._height)
        return len(letters) * (_LETTER + _LAYER * covered)

    def pattern(self, element: Any) -> float:
        """The work of painting with a `pattern`, without what is within."""
        if not (self.hold and _PATTERN_ATTRIBUTES.issuperset(element.attrib) and _short(element)):
            return math.inf
        if {element.get("patternUnits"), element.get("patternContentUnits", "userSpaceOnUse")} != {"userSpaceOnUse"}:
            return math.inf
        tile = _length(element.get("width", "")) / self._width, _length(element.get("height", "")) / self._height
        if not all(_SMALLEST_TILE <= side <= _LARGEST_TILE for side in tile):
            return math.inf
        return 2 * (_LAYER + 1 / (tile[0] * tile[1]))

    def filter(self, element: Any) -> float:
        """The work of a `filter`'s layers, without its primitives."""
        held = self.hold and _FILTER_ATTRIBUTES.issuperset(element.attrib) and _short(element)
        return _LAYER if held else math.inf

    def primitive(self, element: Any) -> float:
        """The work of one of `FILTER_PRIMITIVES`: in proportion to the piece, whatever a blur's radius."""
        return 2 * _LAYER if self.hold and _short(element) else math.inf

    def merged(self, element: Any) -> float:
        """The work of a `feMergeNode`, which lays one layer over another."""
        return self.primitive(element) / 4


def _fonts(attributes: Mapping[Any, Attributes]) -> int:
    """How many different fonts there may be: each text may have another, and more where texts are used again."""
    kinds = Counter(local_name(element.tag) for element in attributes)
    texts = kinds["text"] + kinds["tspan"]
    values: dict[str, set[str]] = {name: {""} for name in _FONT_PROPERTIES}
    for own in attributes.values() if texts > 1 else ():
        for name, value in own:
            if name in values:
                values[name].add(value)
    fonts = math.prod(map(len, values.values()))
    return fonts if kinds["use"] and texts else min(texts, fonts)


def size_is_stated(root: Any) -> bool:
    """Whether the document's size stands in its first element, where otherwise all of it had to be laid out."""
    return min(_sides(root)) > 0


def local_name(tag: str) -> str:
    """The name without its namespace."""
    return tag.rpartition("}")[2]


def sides(root: Any) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Width and height of the document in pixels, and those of its coordinate system; None where they are not stated.

    All are from 1 to 10000.
    """
    stated = _absolute(root.get("width", "")), _absolute(root.get("height", ""))
    text = root.get("viewBox", "")
    box = _NUMBERS.findall(text) if _BOX.fullmatch(text) else []  # librsvg ignores what has anything else in it
    system = (float(box[2]), float(box[3])) if box else (math.nan, math.nan)
    return (stated if _are_usual(stated) else None), (system if _are_usual(system) else None)


def _are_usual(pair: tuple[float, float]) -> bool:
    return all(1 <= side <= 10_000 for side in pair)


def _sides(root: Any) -> tuple[float, float]:
    """Width and height of the document's coordinate system; zeros where they are not stated."""
    stated, system = sides(root)
    if "viewBox" not in root.attrib:
        return stated or (0.0, 0.0)
    # Only one of the two, or a percentage, is not worth a rule of its own.
    if system is None or (stated is None and (root.get("width") is not None or root.get("height") is not None)):
        return 0.0, 0.0
    return system


def _absolute(text: str) -> float:
    """A length in any unit that depends on nothing else, in pixels; not a number where it is anything else."""
    found = _ABSOLUTE.fullmatch(text)
    return float(found[1]) * _PIXELS[found[2]] if found is not None else math.nan


def _length(text: str) -> float:
    """A length in the document's own units; not a number where it is anything else."""
    found = _LENGTH.fullmatch(text)
    return float(found[1]) if found is not None else math.nan


def _short(element: Any) -> bool:
    return all(len(value) <= _LONGEST_ATTRIBUTE for name, value in element.attrib.items() if name != "style")


def _scale_of_text(element: Any) -> float:
    """The scale, 1 at most, of the transformations of a `tspan` and of the `text` around it; all of them shrink."""
    scale = 1.0
    while element is not None and local_name(element.tag) in {"text", "tspan"}:
        for factors in _SCALE.findall(element.get("transform", "")):
            scale *= max(abs(float(factor)) for factor in _NUMBERS.findall(factors))
        element = element.getparent()
    return scale


def _shrinks(transform: str) -> bool:
    """Whether a transformation turns, moves and shrinks only."""
    if len(transform) > _LONGEST_ATTRIBUTE or not _TRANSFORMS.fullmatch(transform):
        return False
    return all(abs(float(factor)) <= 1 for scale in _SCALE.findall(transform) for factor in _NUMBERS.findall(scale))
