"""What an SVG costs to draw, estimated before anything is drawn.

librsvg cannot be interrupted within a piece of 2000 by 2000 pixels, and a kilobyte can make it work for hours: by
filters, by references to references, by a text of a million letters. What is certainly cheap is drawn on the request's
own thread; everything else in a process that can be killed (`isolation`), which costs some 10 ms more.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from imgforge.processing.codecs.svg import MOST_ATTRIBUTES, selectors_of
from imgforge.processing.codecs.svg_bounds import FILTER_PRIMITIVES, SHAPES, Bounds, local_name, size_is_stated
from imgforge.processing.lxml_on_demand import etree

__all__ = ["LARGE", "SMALL", "is_costly", "is_measured_cheaply"]

LARGE = 256 * 1024  # bytes; what is longer is cleaned and drawn in a process of its own
SMALL = 1_000_000  # pixels
_MOST_WORK = 5000.0
_MOST_ELEMENTS = 10_000  # that are read to learn the document's size alone

_CHEAP = frozenset(
    {
        "svg",
        "g",
        "a",
        "defs",
        "symbol",
        "use",
        "title",
        "desc",
        "metadata",
        "style",
        "path",
        "rect",
        "circle",
        "ellipse",
    }
    | {"line", "polyline", "polygon", "clipPath", "linearGradient", "radialGradient", "stop", "set", "animate"}
    | {"animateMotion", "animateTransform"}
)
# Nothing is painted where these stand, only where something refers to them.
_REFERRED_TO = frozenset({"filter", "pattern"})
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_PLAIN = frozenset({"id", "class"})  # attributes that are no CSS
_SPACES = frozenset({"http://www.w3.org/2000/svg", ""})
# Properties whose cost depends on more than the element that has them, wherever they stand.
_COSTLY = re.compile(r"filter|mask|marker|dasharray|blend-mode|isolation|enable-background", re.IGNORECASE)
# Those that paint into a layer as large as the picture first. `fill-opacity` and the like do not.
_LAYER = re.compile(r"(?<![\w-])opacity|clip-path", re.IGNORECASE)
_REFERENCE = re.compile(r"url\(\s*['\"]?#([^)'\"]*)", re.IGNORECASE)
_REFERENCE_ALONE = re.compile(r"\s*url\(#([\w.-]+)\)\s*")
_SIZE = re.compile(r"(?<!-)(?:width|height)|\\", re.IGNORECASE)  # `stroke-width` is none
_CSS_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ELEMENT, _CHARACTER = 1.0, 1 / 8
# A layer: of a small picture, and of one of any size, which may take a second.
_SMALL_LAYER, _LAYER_OF_ANY_SIZE = 500.0, 2000.0
_RULE = 1 / 1000  # a character of a style sheet, for each element and each character of a class
# In selectors: what looks at an element's siblings or the text of its attributes, and what hides a brace or nests them.
_SEARCHING = re.compile(r"[~:\[@\"'(\\]")


def is_costly(document: bytes, *, small: bool = False) -> bool:
    """Whether drawing *document*, which is well-formed, may take long or much memory.

    It may be drawn in any size, or where *small* in at most `SMALL` pixels.
    """
    root = _parsed(document)
    return root is None or _Estimate(root, small=small).work() > _MOST_WORK


def is_measured_cheaply(document: bytes) -> bool:
    """Whether to learn the size of *document* without drawing it certainly takes little time and memory.

    librsvg reads the elements, which takes time in proportion, and applies the style sheets, which may not; it lays
    everything out only where the size is not stated, in the first element or by a rule.
    """
    root = _parsed(document)
    if root is None or not size_is_stated(root):
        return False
    elements = list(root.iter(etree.Element))
    sheets = [element for element in elements if _name(element) == "style"]
    if len(elements) > _MOST_ELEMENTS or any(len(sheet) or _hides_size(sheet.text or "") for sheet in sheets):
        return False
    return _work_of_sheets(elements, sheets) <= _MOST_WORK


def _hides_size(sheet: str) -> bool:
    """Whether a style sheet may state the document's size, or cost more than its length says."""
    return bool(_SEARCHING.search(selectors_of(_CSS_COMMENT.sub("", sheet))) or _SIZE.search(sheet))


def _work_of_sheets(elements: Sequence[Any], sheets: Iterable[Any]) -> float:
    length = sum(len(sheet.text or "") for sheet in sheets)
    classes = sum(len(element.get("class", "")) for element in elements) if length else 0
    return length * (len(elements) + classes) * _RULE


def _parsed(document: bytes) -> Any:
    """The first element; None for a document that may already cost much to be read."""
    if len(document) > LARGE:
        return None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if next(root.iter(etree.Entity), None) is not None:
        return None  # nobody knows what librsvg finds in it
    if any(len(element.attrib) > MOST_ATTRIBUTES for element in root.iter(etree.Element)):
        return None  # each look-up of one passes over the others
    return root


class _Estimate:
    """The work of elements with all that they refer to, each added up once; infinite where they refer in circles."""

    def __init__(self, root: Any, *, small: bool) -> None:
        self._root = root
        self._elements = [element for element in root.iter() if isinstance(element.tag, str)]
        self._named: dict[str, list[Any]] = defaultdict(list)  # of several with one name, librsvg takes the first
        for element in self._elements:
            for attribute in ("id", _XML_ID):
                if element.get(attribute):
                    self._named[element.get(attribute)].append(element)
        self._known: dict[Any, float] = {}
        self._bounds = Bounds(root, self._elements, small=small)
        self._layer = _SMALL_LAYER if small else _LAYER_OF_ANY_SIZE

    def work(self) -> float:
        sheets = [element for element in self._elements if _name(element) == "style"]
        # An element's work needs that of what it contains and refers to: children first, references by recursion.
        for element in reversed(self._elements):
            self._work(element, 0)
        return self._known[self._root] + _work_of_sheets(self._elements, sheets)

    def _work(self, element: Any, depth: int) -> float:
        known = self._known.get(element)
        if known is not None:
            return known
        if depth > 50:
            return float("inf")
        self._known[element] = float("inf")  # what refers back to it finds this
        work = self._own(element)
        for child in element:
            if isinstance(child.tag, str) and _name(child) not in _REFERRED_TO:
                work += self._work(child, depth + 1)
        for name in _references(element):
            work += sum(self._work(target, depth + 1) for target in self._named.get(name, ()))
        self._known[element] = work
        return work

    def _own(self, element: Any) -> float:
        space, _, _ = element.tag.rpartition("}")
        if space.lstrip("{") not in _SPACES:  # editors' own notes, which are not drawn
            return _ELEMENT
        name = _name(element)
        if name == "style" and (len(element) or _costly_sheet(element.text or "")):
            return float("inf")
        work = _ELEMENT + self._kind(element, name)
        for attribute, value in element.attrib.items():
            text = f"{attribute}:{value}"
            if attribute in {"d", "points"}:
                work += len(value) * _CHARACTER
            elif "\\" in value and attribute not in _PLAIN:
                return float("inf")  # an escape may hide a reference
            elif attribute in {"fill", "stroke"} and name not in SHAPES and self._names_pattern(value):
                return float("inf")  # all that is within inherits it
            elif attribute == "filter" and name != "filter":
                work += self._filtered(value)
            elif _COSTLY.search(text if attribute == "style" else attribute):
                return float("inf")
            elif _LAYER.search(text if attribute == "style" else attribute):
                work += self._layer
        return work

    def _kind(self, element: Any, name: str) -> float:
        """What an element of this *name* costs more than any; of other kinds nobody knows."""
        if name in _CHEAP:
            return 0.0
        if name == "feMergeNode":
            return self._bounds.merged(element)
        if name in FILTER_PRIMITIVES:
            return self._bounds.primitive(element)
        measure = {
            "text": self._bounds.text,
            "tspan": self._bounds.text,
            "pattern": self._bounds.pattern,
            "filter": self._bounds.filter,
        }
        return measure[name](element) if name in measure else float("inf")

    def _names_pattern(self, value: str) -> bool:
        return any(_name(target) == "pattern" for name in _names_in(value) for target in self._named.get(name, ()))

    def _filtered(self, value: str) -> float:
        """What a filter costs besides its own elements, which `_references` finds."""
        found = _REFERENCE_ALONE.fullmatch(value)
        targets = self._named.get(found[1], ()) if found is not None else ()
        return self._layer if targets and all(_name(target) == "filter" for target in targets) else float("inf")


def _name(element: Any) -> str:
    return local_name(element.tag)


def _costly_sheet(text: str) -> bool:
    """Whether a style sheet gives elements, nobody knows how many, something that may cost much."""
    if _SEARCHING.search(selectors_of(_CSS_COMMENT.sub("", text))):
        return True
    return any(pattern.search(text) for pattern in (_COSTLY, _LAYER, _REFERENCE))


def _references(element: Any) -> list[str]:
    """The names that the element refers to, for each time that it does."""
    names = []
    for attribute, value in element.attrib.items():
        if attribute.rpartition("}")[2] == "href":
            names.append(value.strip().removeprefix("#"))
        elif "(" in value:
            names += _names_in(value)
    return names


def _names_in(value: str) -> list[str]:
    """The names in the `url(#name)` of a value."""
    return [name.strip() for name in _REFERENCE.findall(value)]
