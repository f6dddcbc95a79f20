"""SVG documents made harmless, for rendering and for serving: nothing runs, nothing is fetched, nothing multiplies.

Removed are scripts and what holds foreign content, event handlers, references to anything but the document itself
and embedded pictures, style rules that fetch, and document types with their entities.

Each step takes time in proportion to the document's length. lxml looks an attribute up by its name, and a namespace in
all that are in scope, so that both are counted before anything else walks the tree. Large documents are cleaned in a
process of their own (`isolation`), which loads this module alone: it imports nothing of the package but its errors.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from typing import Any

from imgforge.errors import NotAnImage
from imgforge.processing.lxml_on_demand import etree

__all__ = ["MOST_ATTRIBUTES", "sanitised", "selectors_of", "unpacked"]

_MOST_BYTES = 10 << 20
_DEEPEST = 256
_MOST_ELEMENTS = 100_000
MOST_ATTRIBUTES = 256  # of one element
_MOST_ATTRIBUTES_IN_ALL = 1_000_000
_MOST_NAMESPACES = 256  # that are in scope at once
_MOST_SELECTORS = 20_000
_LONGEST_SHEETS = 4 << 20  # bytes, all together; they may hold fonts
_LONGEST = {"class": 64 << 10, "d": math.inf, "points": math.inf, "href": math.inf}
_LONGEST_OTHER = 1 << 20
_SVG_NAMES = frozenset({"{http://www.w3.org/2000/svg}svg", "svg"})

_FORBIDDEN = frozenset(
    {"script", "foreignobject", "iframe", "embed", "object", "handler", "listener", "audio", "video", "discard"}
    | {"link", "form"}
)
_GONE = "imgforge-gone"
_ANIMATIONS = frozenset({"set", "animate", "animatemotion", "animatetransform"})
_PICTURE = re.compile(r"data:image/(?:png|jpe?g|gif|webp)[;,]", re.IGNORECASE)
# The quantifiers with a plus do not backtrack: otherwise a quote would count as the beginning of an address.
_URL = re.compile(r"url\(\s*+['\"]?+(?!\s*#|\s*data:image/(?:png|jpe?g|gif|webp)[;,])[^)]*\)?", re.IGNORECASE)
_IMPORT = re.compile(r"@import[^;]*;?", re.IGNORECASE)
_FETCHING = re.compile(r"image(?:-set)?\(|\bsrc\(", re.IGNORECASE)
_CSS_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})(?:\r\n|\s)?|\\(.)", re.DOTALL)
_CSS_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_DECLARATIONS = re.compile(r"\{[^}]*\}?")
# Of a reference's target so many characters are looked at: behind them it may be megabytes of a picture.
_TARGET = 256
_INVISIBLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


def sanitised(document: bytes, style: str = "", *, unlimited: bool = False) -> bytes:
    """*document* without what is dangerous in it, with the CSS *style* in front.

    Raises `NotAnImage` where it is no well-formed SVG of bearable size; *unlimited*, it may be long and have any number
    of elements, with any number of attributes in all.
    """
    if document[:2] == b"\x1f\x8b":
        document = unpacked(document)
        unlimited = False
    if len(document) > _MOST_BYTES and not unlimited:
        raise NotAnImage("the SVG has too many bytes")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=unlimited,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise NotAnImage("the SVG is not well-formed") from None
    if root.tag not in _SVG_NAMES:
        raise NotAnImage("the document is no SVG")
    _Bounds(unlimited=unlimited).check(root)
    if style:
        sheet = etree.Element(f"{root.tag.rpartition('}')[0]}}}style" if "}" in root.tag else "style")
        sheet.text = "".join(char for char in style if char.isprintable() or char in "\n\t")
        root.insert(0, sheet)
    _clean(root)
    return bytes(etree.tostring(root))


def unpacked(document: bytes) -> bytes:
    """The SVG within a gzip file of one member, or its beginning where that is longer than may be."""
    try:
        # One call, which leaves the interpreter to others meanwhile.
        return zlib.decompressobj(wbits=31).decompress(document, _MOST_BYTES + 1)
    except zlib.error:
        raise NotAnImage("the compressed SVG is broken") from None


class _Bounds:
    """What a document may have of anything that later steps walk or compare, counted in one walk."""

    def __init__(self, *, unlimited: bool) -> None:
        self._counts: Counter[str] = Counter()
        self._most: dict[str, float] = {
            "levels": _DEEPEST,
            "namespaces": _MOST_NAMESPACES,
            "selectors": _MOST_SELECTORS,
            "bytes of style sheets": _LONGEST_SHEETS,
        }
        if not unlimited:
            self._most |= {"elements": _MOST_ELEMENTS, "attributes": _MOST_ATTRIBUTES_IN_ALL}

    def check(self, root: Any) -> None:
        """Raise `NotAnImage` where *root* has too much of anything."""
        for event, node in etree.iterwalk(root, events=("start", "end", "start-ns", "end-ns")):
            if event == "start":
                self._count("levels")
                self._element(node)
            elif event == "end":
                self._count("levels", -1)
            else:
                self._count("namespaces", 1 if event == "start-ns" else -1)

    def _count(self, name: str, number: int = 1) -> None:
        self._counts[name] += number
        if self._counts[name] > self._most.get(name, math.inf):
            raise NotAnImage(f"the SVG has too many {name}")

    def _element(self, element: Any) -> None:
        self._count("elements")
        attributes = len(element.attrib)
        if not attributes and not isinstance(element.tag, str):
            return
        if attributes > MOST_ATTRIBUTES:
            raise NotAnImage("the SVG has an element with too many attributes")
        self._count("attributes", attributes)
        for name, value in element.attrib.items():
            if len(value) > _LONGEST.get(_local_name(name), _LONGEST_OTHER):
                raise NotAnImage(f"the SVG has an attribute that is too long ({_local_name(name)[:20]})")
        if _local_name(element.tag) == "style":
            for text in element.itertext():
                self._count("bytes of style sheets", len(text))
                self._count("selectors", len(re.findall("[{,]", selectors_of(text))))


def selectors_of(sheet: str) -> str:
    """A style sheet without what stands in its braces."""
    return _DECLARATIONS.sub("{", sheet)


def _local_name(tag: str) -> str:
    """The name without its namespace."""
    return tag.rpartition("}")[2].lower()


def _clean(root: Any) -> None:
    etree.strip_elements(root, etree.Entity, with_tail=False)
    sheets = []
    walk = etree.iterwalk(root, events=("start",))
    for _, element in walk:
        name = _local_name(element.tag)
        if name in _FORBIDDEN or (name in _ANIMATIONS and _animates_reference(element)):
            element.tag = _GONE
            walk.skip_subtree()
            continue
        for attribute, value in element.attrib.items():
            if _dangerous(_local_name(attribute), value):
                del element.attrib[attribute]
            elif "\\" in value or "(" in value:
                element.attrib[attribute] = _plain_css(value)
        if name == "style":
            sheets.append(element)
            walk.skip_subtree()
    for sheet in sheets:
        text = "".join(sheet.itertext())  # other elements would hide what they interrupt
        del sheet[:]
        sheet.text = _plain_css(text)
    # All at once, for many by one take time in the square of their number; the text behind them stays.
    etree.strip_elements(root, _GONE, with_tail=False)


def _animates_reference(element: Any) -> bool:
    target = _local_name(element.get("attributeName", "").strip().rpartition(":")[2])
    return target in {"href", "src"} or target.startswith("on")


def _dangerous(name: str, value: str) -> bool:
    if name.startswith("on"):
        return True
    if name in {"href", "src"}:
        target = _INVISIBLE.sub("", value[:_TARGET])
        return not (target.startswith("#") or _PICTURE.match(target))
    return name == "base" or (":" in value and "javascript:" in _INVISIBLE.sub("", value).lower())


def _plain_css(text: str) -> str:
    """CSS with its escapes and comments resolved, so that nothing hides in them, and without what fetches.

    No backslash is left, which would begin another escape, and what is taken out leaves something, so that its
    neighbours do not join.
    """
    text = _CSS_COMMENT.sub("", text)
    text = _CSS_ESCAPE.sub(lambda match: _character(match[1]) if match[1] else match[2], text).replace("\\", "")
    return _FETCHING.sub("none(", _URL.sub("none", _IMPORT.sub(" ", text)))


def _character(digits: str) -> str:
    code = int(digits, 16)
    return chr(code) if 0x20 <= code < 0xD800 else " "
