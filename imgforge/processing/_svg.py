"""SVG documents made harmless, for rendering and for serving: nothing runs, nothing is fetched, nothing multiplies.

Removed are scripts and what holds foreign content, event handlers, references to anything but the document itself
and embedded pictures, style rules that fetch, and document types with their entities.
"""

from __future__ import annotations

import gzip
import io
import math
import re
from typing import Any

from lxml import etree

from imgforge.errors import NotAnImage

__all__ = ["sanitised"]

_MOST_BYTES = 10 << 20
_DEEPEST = 256
_MOST_ELEMENTS = 100_000
_SVG_NAMES = frozenset({"{http://www.w3.org/2000/svg}svg", "svg"})

_FORBIDDEN = frozenset(
    {"script", "foreignobject", "iframe", "embed", "object", "handler", "listener", "audio", "video", "discard", "link"}
)
_GONE = "{imgforge}gone"
_ANIMATIONS = frozenset({"set", "animate", "animatemotion", "animatetransform"})
_PICTURE = re.compile(r"data:image/(?:png|jpe?g|gif|webp)[;,]", re.IGNORECASE)
# The quantifiers with a plus do not backtrack: otherwise a quote would count as the beginning of an address.
_URL = re.compile(r"url\(\s*+['\"]?+(?!\s*#|\s*data:image/(?:png|jpe?g|gif|webp)[;,])[^)]*\)?", re.IGNORECASE)
_IMPORT = re.compile(r"@import[^;]*;?", re.IGNORECASE)
_FETCHING = re.compile(r"image(?:-set)?\(|\bsrc\(", re.IGNORECASE)
_CSS_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})(?:\r\n|\s)?|\\(.)", re.DOTALL)
_CSS_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_INVISIBLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


def sanitised(document: bytes, style: str = "", *, unlimited: bool = False) -> bytes:
    """*document* without what is dangerous in it, with the CSS *style* in front.

    Raises `NotAnImage` where it is no well-formed SVG of bearable size; *unlimited*, it may have any number of
    elements, and be long unless it is packed.
    """
    if document[:2] == b"\x1f\x8b":
        document = _unzipped(document)
        unlimited = False
    if len(document) > _MOST_BYTES and not unlimited:
        raise NotAnImage("the SVG has too many bytes")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=unlimited,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise NotAnImage("the SVG is not well-formed") from None
    if root.tag not in _SVG_NAMES:
        raise NotAnImage("the document is no SVG")
    _bound(root, math.inf if unlimited else _MOST_ELEMENTS)
    if style:
        sheet = etree.Element(f"{root.tag.rpartition('}')[0]}}}style" if "}" in root.tag else "style")
        sheet.text = "".join(char for char in style if char.isprintable() or char in "\n\t")
        root.insert(0, sheet)
    _clean(root)
    return bytes(etree.tostring(root))


def _unzipped(document: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(document)) as stream:
            return stream.read(_MOST_BYTES + 1)
    except (OSError, EOFError):
        raise NotAnImage("the compressed SVG is broken") from None


def _bound(root: Any, most: float) -> None:
    depth = count = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        count += event == "start"
        if depth > _DEEPEST or count > most:
            raise NotAnImage("the SVG is too deep or has too many elements")


def _local_name(tag: str) -> str:
    """The name without its namespace."""
    return tag.rpartition("}")[2].lower()


def _clean(root: Any) -> None:
    etree.strip_elements(root, etree.Comment, etree.Entity, with_tail=False)
    for element in list(root.iter()):
        name = _local_name(element.tag)
        if name in _FORBIDDEN or (name in _ANIMATIONS and _animates_reference(element)):
            element.tag = _GONE
            continue
        for attribute, value in list(element.attrib.items()):
            if _dangerous(_local_name(attribute), value):
                del element.attrib[attribute]
            elif "\\" in value or "(" in value:
                element.attrib[attribute] = _plain_css(value)
        if name == "style":
            text = element.xpath("string()")  # other elements would hide what they interrupt
            del element[:]
            element.text = _plain_css(text)
    # All at once, for many by one take time in the square of their number; the text behind them stays.
    etree.strip_elements(root, _GONE, with_tail=False)


def _animates_reference(element: Any) -> bool:
    target = _local_name(element.get("attributeName", "").strip().rpartition(":")[2])
    return target in {"href", "src"} or target.startswith("on")


def _dangerous(name: str, value: str) -> bool:
    if name.startswith("on"):
        return True
    if name in {"href", "src"}:
        target = _INVISIBLE.sub("", value)
        return not (target.startswith("#") or _PICTURE.match(target))
    return name == "base" or "javascript:" in _INVISIBLE.sub("", value).lower()


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
