"""XMP as `/info` tells it: properties by the prefixes of their namespaces. Nothing here raises, whatever the bytes are.

Bags and sequences become lists, alternatives the text of the default language, structures objects (XMP specification,
part 1, ISO 16684-1).
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

__all__ = ["rights_of", "xmp_of"]

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_META = "{adobe:ns:meta/}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_LONGEST = 1 << 20
_DEEPEST = 8
# What names the owner: these of the Dublin Core's, and all of the namespaces below.
_RIGHTS = frozenset(
    f"{{http://purl.org/dc/elements/1.1/}}{name}" for name in ("rights", "creator", "contributor", "publisher")
)
_RIGHTS_NAMESPACES = ("{http://ns.adobe.com/xap/1.0/rights/}", "{http://creativecommons.org/ns#}")
_MOST_PROPERTIES = 2000
_LISTS = frozenset({f"{_RDF}Bag", f"{_RDF}Seq"})
# Prefixes are the document's own to choose; these are what everybody calls the namespaces.
_PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/camera-raw-settings/1.0/": "crs",
}


def xmp_of(packet: bytes) -> dict[str, dict[str, Any]]:
    """The properties of an XMP packet; empty where it is no well-formed XML of bearable size."""
    told: dict[str, dict[str, Any]] = {}
    budget = _Budget()
    for description in _descriptions(_parsed(packet)):
        _read(description, told, budget)
    return told


def rights_of(packet: bytes) -> bytes:
    """A packet of those properties of *packet* that say whose the picture is; empty where there are none."""
    kept = []
    for description in _descriptions(_parsed(packet)):
        for name in list(description.attrib):
            if not _is_right(name) and not name.startswith((_RDF, _XML)):
                del description.attrib[name]
        for child in list(description):
            if not _is_right(child.tag):
                description.remove(child)
        if len(description) or any(_is_right(name) for name in description.attrib):
            description.tail = None
            kept.append(description)
    if not kept:
        return b""
    rdf = etree.Element(f"{_RDF}RDF", nsmap={"rdf": _RDF[1:-1]})
    rdf.extend(kept)
    meta = etree.Element(f"{_META}xmpmeta", nsmap={"x": _META[1:-1]})
    meta.append(rdf)
    etree.cleanup_namespaces(meta, keep_ns_prefixes=["rdf", "x"])
    return bytes(etree.tostring(meta))


def _is_right(name: Any) -> bool:
    return isinstance(name, str) and (name in _RIGHTS or name.startswith(_RIGHTS_NAMESPACES))


def _parsed(packet: bytes) -> Any | None:
    packet = packet.strip(b"\0")
    if len(packet) > _LONGEST:
        return None
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(packet, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    # XMP has no document types; and references to entities, taken out of their document, crash libxml2.
    return None if root.getroottree().docinfo.internalDTD is not None else root


def _descriptions(root: Any | None) -> list[Any]:
    """The descriptions of the picture, not those of its properties' parts."""
    found = [] if root is None else root.iter(f"{_RDF}Description")
    return [one for one in found if one.getparent() is not None and one.getparent().tag == f"{_RDF}RDF"]


class _Budget:
    """How many properties may still be told."""

    def __init__(self) -> None:
        self.left = _MOST_PROPERTIES

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _read(description: Any, told: dict[str, dict[str, Any]], budget: _Budget) -> None:
    """Properties stand as attributes or as elements."""
    for name, value in description.attrib.items():
        if not name.startswith((_RDF, _XML)) and "}" in name and budget.spend():
            told.setdefault(_prefix(name, description), {})[_local(name)] = value
    for element in description.iterchildren(tag=etree.Element):
        if "}" in element.tag and budget.spend():
            told.setdefault(_prefix(element.tag, element), {})[_local(element.tag)] = _value(element, budget, 0)


def _value(element: Any, budget: _Budget, depth: int) -> Any:
    """A text, a list, or an object by the local names of its fields."""
    if depth >= _DEEPEST:
        return ""
    children = list(element.iterchildren(tag=etree.Element))
    first = children[0] if children else None
    if first is not None and first.tag in _LISTS:
        return [_value(item, budget, depth + 1) for item in _items(first) if budget.spend()]
    if first is not None and first.tag == f"{_RDF}Alt":
        items = _items(first)
        default = next((item for item in items if item.get(f"{_XML}lang") == "x-default"), None)
        chosen = default if default is not None else next(iter(items), None)
        return "" if chosen is None else _value(chosen, budget, depth + 1)
    if first is not None and first.tag == f"{_RDF}Description":
        return _structure(first, budget, depth)
    if children or any(not name.startswith((_RDF, _XML)) for name in element.attrib):
        return _structure(element, budget, depth)
    text = element.text or element.get(f"{_RDF}resource") or ""
    return str(text).strip()


def _items(container: Any) -> list[Any]:
    return list(container.iterchildren(tag=f"{_RDF}li"))


def _structure(element: Any, budget: _Budget, depth: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        _local(name): value
        for name, value in element.attrib.items()
        if not name.startswith((_RDF, _XML)) and budget.spend()
    }
    for child in element.iterchildren(tag=etree.Element):
        if budget.spend():
            fields[_local(child.tag)] = _value(child, budget, depth + 1)
    return fields


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _prefix(name: str, element: Any) -> str:
    """What the namespace of *name* is called: by everybody, or by the document, or by the end of its address."""
    namespace = name[1:].partition("}")[0]
    known = _PREFIXES.get(namespace)
    if known is not None:
        return known
    own = next((prefix for prefix, uri in element.nsmap.items() if uri == namespace and prefix), None)
    return own or re.split(r"[/#:]", namespace.rstrip("/#:"))[-1]
