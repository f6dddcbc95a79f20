"""What an SVG costs to draw, estimated before anything is drawn.

librsvg cannot be interrupted within a piece of 2000 by 2000 pixels, and a kilobyte can make it work for hours: by
filters, by references to references, by a text of a million letters. What is certainly cheap is drawn on the request's
own thread; everything else in a process that can be killed (`isolation`), which costs some 10 ms more. How far the
estimate is from what drawing takes, tests/hostile/fuzz_svg.py tells.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from imgforge.processing.codecs.svg import MOST_ATTRIBUTES, selectors_of
from imgforge.processing.codecs.svg_bounds import (
    FILTER_PRIMITIVES,
    SHAPES,
    Attributes,
    Bounds,
    local_name,
    size_is_stated,
)
from imgforge.processing.codecs.svg_extent import Extent
from imgforge.processing.codecs.svg_styles import Styles
from imgforge.processing.lxml_on_demand import etree

__all__ = ["LARGE", "SMALL", "SvgCost", "svg_cost"]

LARGE = 256 * 1024  # bytes; what is longer is cleaned and drawn in a process of its own
SMALL = 1_000_000  # pixels, which librsvg draws in one piece
_MOST_WORK = 5000.0
_MOST_PAINTED = 2e9  # pixels of shapes, of which a million takes up to a millisecond
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
_INCLUDE = "{http://www.w3.org/2001/XInclude}*"  # librsvg includes what is in a data: URL
_PLAIN = frozenset({"id", "class"})  # attributes that are no CSS
_SPACES = frozenset({"http://www.w3.org/2000/svg", ""})
# Properties whose cost depends on more than the element that has them, wherever they stand.
_COSTLY = re.compile(r"filter|mask|marker|dasharray|blend-mode|isolation", re.IGNORECASE)
# Those that paint into a layer as large as the picture first. `fill-opacity` and the like do not.
_LAYER = re.compile(r"(?<![\w-])opacity|clip-path|enable-background", re.IGNORECASE)
_REFERENCE = re.compile(r"url\(\s*['\"]?#([^)'\"]*)", re.IGNORECASE)
_REFERENCE_ALONE = re.compile(r"\s*url\(#([\w.-]+)\)\s*")
_SIZE = re.compile(r"(?<!-)(?:width|height)|\\", re.IGNORECASE)  # `stroke-width` is none
_CSS_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ELEMENT, _CHARACTER = 1.0, 1 / 8
_Measured = tuple[float, float, float]  # work, shapes painted, and the largest number there
_ENDLESS: _Measured = math.inf, math.inf, math.inf
_LAYER_WORK = 500.0
_LARGEST_LAYER = 2_000_000  # pixels; each layer takes their memory
_FONT = 100.0  # to look for a font, of one size
# How many shapes as large as the picture take as long to paint as a unit of work, and as an element of a kind besides.
_PAINTED = 1 / 4
_PAINTED_BY_KIND = dict.fromkeys(SHAPES, 1.0) | {"linearGradient": 5.0, "radialGradient": 8.0}
_RULE = 1 / 1000  # a character of a style sheet, for each element and each character of a class
_UNREADABLE = "@"  # stands for style sheets that are not read
# In selectors: what looks at an element's siblings or the text of its attributes, and what hides a brace or nests them.
_SEARCHING = re.compile(r"[~:\[@\"'(\\]")


@dataclass(frozen=True, slots=True)
class SvgCost:
    """How many `pixels` of an SVG are certainly cheap to draw, and whether it is cheap to have its size `measured`."""

    pixels: float = 0.0
    measured: bool = False


def svg_cost(document: bytes) -> SvgCost:
    """What is cheap, in time and memory, to do with *document*, which is well-formed."""
    root = _parsed(document)
    if root is None:
        return SvgCost()
    read = _Document(root)
    estimate = _Estimate(read)
    work, painted = estimate.work() if read.styles_are_read else (math.inf, math.inf)
    if work > _MOST_WORK:
        return SvgCost(measured=read.is_measured_cheaply())
    return SvgCost(min(_MOST_PAINTED / max(painted, 1), estimate.most_pixels), measured=True)


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
    if next(root.iter(etree.Entity, _INCLUDE), None) is not None or _has_instructions(root):
        return None  # nobody knows what librsvg finds in it
    if any(len(element.attrib) > MOST_ATTRIBUTES for element in root.iter(etree.Element)):
        return None  # each look-up of one passes over the others
    return root


def _has_instructions(root: Any) -> bool:
    """Whether a processing instruction stands before the first element, which may name a style sheet."""
    return any(node.tag is etree.ProcessingInstruction for node in root.itersiblings(preceding=True))


class _Document:
    """The elements of a document, by their names, and their attributes with what its styles say."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.elements = [element for element in root.iter() if isinstance(element.tag, str)]
        self.named: dict[str, list[Any]] = defaultdict(list)  # of several with one name, librsvg takes the first
        self.kinds: dict[str, set[str]] = defaultdict(set)  # of the elements with a name
        for element in self.elements:
            for attribute in ("id", _XML_ID):
                if element.get(attribute):
                    self.named[element.get(attribute)].append(element)
                    self.kinds[element.get(attribute)].add(_name(element))
        self._sheets = [element for element in self.elements if _name(element) == "style"]
        self.work_of_sheets = _work_of_sheets(self.elements, self._sheets)
        readable = self.work_of_sheets <= _MOST_WORK and not any(map(len, self._sheets))
        styles = Styles([sheet.text or "" for sheet in self._sheets] if readable else [_UNREADABLE], self.elements)
        self.styles_are_read = styles.understood
        self.attributes = {element: styles.attributes(element) for element in self.elements}
        self.bounds = Bounds(root, self.attributes, styles_are_read=self.styles_are_read)

    def is_measured_cheaply(self) -> bool:
        """Whether it certainly takes little time and memory to learn the size.

        librsvg reads the elements, which takes time in proportion, and applies the style sheets, which may not; it lays
        everything out only where the size is not stated, in the first element or by a rule.
        """
        if not size_is_stated(self.root) or len(self.elements) > _MOST_ELEMENTS or self.work_of_sheets > _MOST_WORK:
            return False
        if self.styles_are_read:
            return True
        if any(local_name(attribute) == "style" for attribute in self.root.attrib):
            return False
        return not any(len(sheet) or _hides_size(sheet.text or "") for sheet in self._sheets)


class _Estimate:
    """The work of elements with all that they refer to, each added up once; infinite where they refer in circles."""

    def __init__(self, document: _Document) -> None:
        self._document = document
        self._known: dict[Any, _Measured] = {}
        self._known_by_name: dict[str, _Measured] = {}
        self._extent = Extent(document.root)
        self.most_pixels = math.inf  # beyond them, some of what is there may cost anything

    def work(self) -> tuple[float, float]:
        """The work of a small picture, and how many shapes of its size take as long to paint."""
        # An element's work needs that of what it contains and refers to: children first, references by recursion.
        for element in reversed(self._document.elements):
            self._work(element, 0)
        document = self._document
        work, painted, extent = self._known[document.root]
        times = self._extent.work(extent)
        return times * work + document.work_of_sheets + _FONT * document.bounds.fonts, times * painted

    def _work(self, element: Any, depth: int) -> _Measured:
        known = self._known.get(element)
        if known is not None:
            return known
        if depth > 50:
            return _ENDLESS
        self._known[element] = _ENDLESS  # what refers back to it finds this
        attributes = self._document.attributes[element]
        work = self._own(element)
        painted = work * _PAINTED + _PAINTED_BY_KIND.get(_name(element), 0.0)
        extent = self._extent.own(attributes)
        children = [child for child in element if isinstance(child.tag, str) and _name(child) not in _REFERRED_TO]
        parts = [self._work(child, depth + 1) for child in children]
        parts += [self._work_of_name(name, depth + 1) for name in _references(attributes)]
        work, painted, extent = _sum((work, painted, extent), parts)
        self._known[element] = work, painted, extent * self._extent.factor(element, attributes)
        return self._known[element]

    def _work_of_name(self, name: str, depth: int) -> _Measured:
        """The work of all elements with a *name*, added up once: thousands may refer to thousands."""
        targets = self._document.named.get(name, ())
        if len(targets) == 1:
            return self._work(targets[0], depth)
        if name not in self._known_by_name:
            self._known_by_name[name] = _ENDLESS  # what refers back to them finds this
            self._known_by_name[name] = _sum((0.0, 0.0, 0.0), [self._work(target, depth) for target in targets])
        return self._known_by_name[name]

    def _own(self, element: Any) -> float:
        space, _, _ = element.tag.rpartition("}")
        if space.lstrip("{") not in _SPACES:  # editors' own notes, which are not drawn
            return _ELEMENT
        name = _name(element)
        work = _ELEMENT + self._kind(element, name)
        for attribute, value in self._document.attributes[element]:
            if attribute in {"d", "points"}:
                work += len(value) * _CHARACTER
            elif "\\" in value and attribute not in _PLAIN:
                return math.inf  # an escape may hide a reference
            elif attribute in {"fill", "stroke"} and name not in SHAPES and self._names_pattern(value):
                return math.inf  # all that is within inherits it
            elif attribute == "filter" and name != "filter":
                work += self._filtered(value)
                self.most_pixels = SMALL
            elif _COSTLY.search(attribute):
                return math.inf
            elif _LAYER.search(attribute):
                work += _LAYER_WORK
                self.most_pixels = min(self.most_pixels, _LARGEST_LAYER)
        return work

    def _kind(self, element: Any, name: str) -> float:
        """What an element of this *name* costs more than any; of other kinds nobody knows."""
        if name in _CHEAP:
            return 0.0
        bounds = self._document.bounds
        if name in {"text", "tspan"}:
            return bounds.text(element)
        self.most_pixels = SMALL
        if name == "feMergeNode":
            return bounds.merged(element)
        if name in FILTER_PRIMITIVES:
            return bounds.primitive(element)
        measure = {"pattern": bounds.pattern, "filter": bounds.filter}
        return measure[name](element) if name in measure else math.inf

    def _names_pattern(self, value: str) -> bool:
        return any("pattern" in self._document.kinds.get(name, ()) for name in _names_in(value))

    def _filtered(self, value: str) -> float:
        """What a filter costs besides its own elements, which `_references` finds."""
        found = _REFERENCE_ALONE.fullmatch(value)
        return _LAYER_WORK if found is not None and self._document.kinds.get(found[1]) == {"filter"} else math.inf


def _sum(measured: _Measured, parts: Iterable[_Measured]) -> _Measured:
    work, painted, extent = measured
    for part in parts:
        work += part[0]
        painted += part[1]
        extent = max(extent, part[2])
    return work, painted, extent


def _name(element: Any) -> str:
    return local_name(element.tag)


def _references(attributes: Attributes) -> list[str]:
    """The names that an element with *attributes* refers to, for each time that it does."""
    names = []
    for attribute, value in attributes:
        if attribute.rpartition("}")[2] == "href":
            names.append(value.strip().removeprefix("#"))
        elif "(" in value:
            names += _names_in(value)
    return names


def _names_in(value: str) -> list[str]:
    """The names in the `url(#name)` of a value."""
    return [name.strip() for name in _REFERENCE.findall(value)]
