"""What an SVG costs to draw, estimated before anything is drawn.

librsvg cannot be interrupted within a piece of 2000 by 2000 pixels, and a kilobyte can make it work for hours: by
filters, by references to references, by a text of a million letters. What is certainly cheap is drawn on the request's
own thread; everything else in a process that can be killed (`isolation`), which costs some 100 ms more.
"""

from __future__ import annotations

import re
from typing import Any

from imgforge.processing.codecs.svg import MOST_ATTRIBUTES, selectors_of
from imgforge.processing.lxml_on_demand import etree

__all__ = ["LARGE", "is_costly"]

LARGE = 256 * 1024  # bytes; what is longer is cleaned and drawn in a process of its own
_MOST_WORK = 5000.0

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
_SPACES = frozenset({"http://www.w3.org/2000/svg", ""})
# Properties whose cost depends on more than the element that has them, wherever they stand.
_COSTLY = re.compile(r"filter|mask|marker|dasharray|blend-mode|isolation|enable-background", re.IGNORECASE)
# Those that paint into a layer as large as the picture first. `fill-opacity` and the like do not.
_LAYER = re.compile(r"(?<![\w-])opacity|clip-path", re.IGNORECASE)
_REFERENCE = re.compile(r"url\(\s*['\"]?#([^)'\"]*)", re.IGNORECASE)
_CSS_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ELEMENT, _CHARACTER, _LAYERED = 1.0, 1 / 8, 500.0
_RULE = 1 / 1000  # a character of a style sheet, for each element and each character of a class
# In selectors: what looks at an element's siblings or the text of its attributes, and what hides a brace or nests them.
_SEARCHING = re.compile(r"[~:\[@\"'(\\]")


def is_costly(document: bytes) -> bool:
    """Whether drawing *document*, which is well-formed, may take long or much memory."""
    if len(document) > LARGE:
        return True
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        return True
    if any(len(element.attrib) > MOST_ATTRIBUTES for element in root.iter(etree.Element)):
        return True  # each look-up of one passes over the others
    return _Estimate(root).work() > _MOST_WORK


class _Estimate:
    """The work of elements with all that they refer to, each added up once; infinite where they refer in circles."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._elements = [element for element in root.iter() if isinstance(element.tag, str)]
        self._named = {element.get("id"): element for element in self._elements if element.get("id")}
        self._known: dict[Any, float] = {}

    def work(self) -> float:
        sheets = sum(len(element.text or "") for element in self._elements if _name(element) == "style")
        classes = sum(len(element.get("class", "")) for element in self._elements) if sheets else 0
        # An element's work needs that of what it contains and refers to: children first, references by recursion.
        for element in reversed(self._elements):
            self._work(element, 0)
        return self._known[self._root] + sheets * (len(self._elements) + classes) * _RULE

    def _work(self, element: Any, depth: int) -> float:
        known = self._known.get(element)
        if known is not None:
            return known
        if depth > 50:
            return float("inf")
        self._known[element] = float("inf")  # what refers back to it finds this
        work = self._own(element)
        for child in element:
            if isinstance(child.tag, str):
                work += self._work(child, depth + 1)
        for name in _references(element):
            if name in self._named:
                work += self._work(self._named[name], depth + 1)
        self._known[element] = work
        return work

    def _own(self, element: Any) -> float:
        space, _, _ = element.tag.rpartition("}")
        if space.lstrip("{") not in _SPACES:  # editors' own notes, which are not drawn
            return _ELEMENT
        name = _name(element)
        if name not in _CHEAP or (name == "style" and (len(element) or _costly_sheet(element.text or ""))):
            return float("inf")
        work = _ELEMENT
        for attribute, value in element.attrib.items():
            text = f"{attribute}:{value}"
            if attribute in {"d", "points"}:
                work += len(value) * _CHARACTER
            elif _COSTLY.search(text if attribute == "style" else attribute):
                return float("inf")
            elif _LAYER.search(text if attribute == "style" else attribute):
                work += _LAYERED
        return work


def _name(element: Any) -> str:
    name: str = element.tag.rpartition("}")[2]
    return name


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
            names += _REFERENCE.findall(value)
    return names
