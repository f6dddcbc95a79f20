"""XMP for `/info`: properties by the prefixes of their namespaces. Malformed packets raise nothing.

Bags and sequences become lists, alternatives the text of the default language, structures objects (XMP specification,
part 1, ISO 16684-1).
"""

from __future__ import annotations

import re
from typing import Any

from imgforge.processing.lxml_on_demand import etree

__all__ = ["rights_of", "xmp_of"]

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_GONE = "imgforge-gone"
_LONGEST = 1 << 20
_DEEPEST = 8
# What names the owner: these of the Dublin Core's, and all of the namespaces below.
_RIGHTS = frozenset(
    f"{{http://purl.org/dc/elements/1.1/}}{name}" for name in ("rights", "creator", "contributor", "publisher")
)
_RIGHTS_NAMESPACES = ("{http://ns.adobe.com/xap/1.0/rights/}", "{http://creativecommons.org/ns#}")
_MOST_PROPERTIES = 2000
_MOST_ATTRIBUTES, _MOST_NAMESPACES = 1000, 256
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
    """The properties of an XMP packet; empty where it is malformed XML or exceeds the limits of size."""
    properties: dict[str, dict[str, Any]] = {}
    budget = _Budget()
    for description in _descriptions(_parsed(packet)):
        _read(description, properties, budget)
    return properties


def rights_of(packet: bytes) -> bytes:
    """*packet* reduced to the properties that name the owner; empty where there are none."""
    root = _parsed(packet)
    kept = [one for one in _descriptions(root) if _reduced(one)]
    if not kept:
        return b""
    # Elements are removed in place: moving the kept ones to a new document would take quadratic time.
    rdf = kept[0].getparent()
    staying = set(kept)
    for child in rdf.iterchildren(tag=etree.Element):
        if child in staying:
            child.tail = None
        else:
            child.tag = _GONE
    rdf.text = None
    rdf.attrib.clear()
    etree.strip_elements(rdf, _GONE)
    etree.cleanup_namespaces(rdf.getroottree(), keep_ns_prefixes=["rdf"])
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + etree.tostring(rdf, with_tail=False) + b"</x:xmpmeta>"


def _reduced(description: Any) -> bool:
    """Removes all properties but rights from *description*; returns whether it has any rights."""
    for name in list(description.attrib):
        if not _is_right(name) and not name.startswith((_RDF, _XML)):
            del description.attrib[name]
    found = any(_is_right(name) for name in description.attrib)
    for child in description.iterchildren(tag=etree.Element):
        if _is_right(child.tag):
            found = True
        else:
            child.tag = _GONE
    return found


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
    # XMP has no document types, and references to entities that leave their document crash libxml2.
    return None if root.getroottree().docinfo.internalDTD is not None or _is_excessive(root) else root


def _is_excessive(root: Any) -> bool:
    """Whether an element has too many attributes or namespaces in scope, which lxml searches at each access."""
    namespaces = 0
    for event, node in etree.iterwalk(root, events=("start", "start-ns", "end-ns")):
        if event == "start":
            if len(node.attrib) > _MOST_ATTRIBUTES:
                return True
        else:
            namespaces += 1 if event == "start-ns" else -1
            if namespaces > _MOST_NAMESPACES:
                return True
    return False


def _descriptions(root: Any | None) -> list[Any]:
    """The descriptions of the picture itself, without those nested in its properties."""
    found = [] if root is None else root.iter(f"{_RDF}Description")
    return [one for one in found if one.getparent() is not None and one.getparent().tag == f"{_RDF}RDF"]


class _Budget:
    """The number of properties that may still be read."""

    def __init__(self) -> None:
        self.left = _MOST_PROPERTIES

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _read(description: Any, properties: dict[str, dict[str, Any]], budget: _Budget) -> None:
    """Properties stand as attributes or as elements."""
    for name, value in description.attrib.items():
        if not name.startswith((_RDF, _XML)) and "}" in name and budget.spend():
            properties.setdefault(_prefix(name, description), {})[_local(name)] = value
    for element in description.iterchildren(tag=etree.Element):
        if "}" in element.tag and budget.spend():
            properties.setdefault(_prefix(element.tag, element), {})[_local(element.tag)] = _value(element, budget, 0)


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
    """The prefix for the namespace of *name*: the customary one, else the document's, else the end of its address."""
    namespace = name[1:].partition("}")[0]
    known = _PREFIXES.get(namespace)
    if known is not None:
        return known
    own = next((prefix for prefix, uri in element.nsmap.items() if uri == namespace and prefix), None)
    return own or re.split(r"[/#:]", namespace.rstrip("/#:"))[-1]
