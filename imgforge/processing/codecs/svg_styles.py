"""The style sheets and style attributes of an SVG, as far as they are needed to tell what it costs.

Only a small part of CSS is read, by a grammar in which nothing can hide: selectors of elements, classes and ids, and
properties with plain values. Whatever else is there (rules with an @, pseudo-classes, escapes, other functions, a
property that is not in the tables below) makes all of it not understood.

Of a selector the last part decides alone, and each declaration of a rule that may match counts, whichever wins: that is
never less than what is drawn. So a declaration becomes one more attribute of an element.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Styles"]

Declarations = tuple[tuple[str, str], ...]

_BLANKS = " \t\r\n\f"
_BLANK = f"[{_BLANKS}]"
_NAME = r"-?[A-Za-z_][\w-]*"
_COMPOUND = rf"(?:{_NAME}|\*)?+(?:[.#]{_NAME})*+"
_SELECTOR = re.compile(
    rf"{_BLANK}*+(?:{_COMPOUND}(?:{_BLANK}*+>{_BLANK}*+|{_BLANK}++)(?=[\w.#*-]))*({_COMPOUND}){_BLANK}*+", re.ASCII
)
_KEY = re.compile(rf"({_NAME}|\*)?+([.#]{_NAME})?+", re.ASCII)
_RULE = re.compile(rf"{_BLANK}*+([^{{}}]++)\{{([^{{}}]*+)\}}{_BLANK}*+")
_PLAIN = re.compile(r"(?:(?:rgb|hsl)a?\([\d.,%+/ \t\r\n-]*+\)|[\w#.%+, \t\r\n-](?!\())++", re.ASCII)
_VENDORS = re.compile(r"-[a-z]+-")  # whose own properties librsvg does not read
_LENGTH = re.compile(r"[\w.%+-]++", re.ASCII)
_THIN = re.compile(r"\d{0,2}(?:\.\d{1,9})?(?:px)?")
_REFERENCE = re.compile(rf"url\({_BLANK}*+(['\"]?+)#([\w.-]++)\1{_BLANK}*+\)", re.ASCII)
# A quote that is not closed would join what stands before and behind it.
_FAMILIES = re.compile(r"(?:[\w, -]|'[\w, -]*+'|\"[\w, -]*+\")++", re.ASCII)
_FONT = re.compile(
    rf"(?:(?:[a-z-]++|\d{{3}}){_BLANK}++)*+((?:\d++(?:\.\d++)?+|\.\d++)(?:px)?+)(?:{_BLANK}*+/{_BLANK}*+[\w.%]++)?+{_BLANK}++(.*)",
    re.DOTALL,
)

_COSTLESS = frozenset(
    {
        *("alignment-baseline", "clip-rule", "color", "color-interpolation", "color-interpolation-filters", "cursor"),
        *(
            "color-rendering",
            "display",
            "dominant-baseline",
            "fill-opacity",
            "fill-rule",
            "flood-color",
            "font-stretch",
        ),
        *("flood-opacity", "font-style", "font-variant", "font-weight", "image-rendering", "line-height", "stop-color"),
        *("paint-order", "pointer-events", "shape-rendering", "stop-opacity", "stroke-linecap", "stroke-linejoin"),
        *("stroke-miterlimit", "stroke-opacity", "stroke-dashoffset", "text-align", "text-anchor"),
        *("text-rendering", "user-select", "vector-effect", "visibility"),
    }
)
# Values with which a property costs nothing; with others, one that is here and nowhere else is not understood.
_COSTLESS_VALUES: dict[str, frozenset[str]] = {
    "clip-path": frozenset({"none"}),
    "filter": frozenset({"none"}),
    "isolation": frozenset({"auto"}),
    "letter-spacing": frozenset({"normal", "0", "0px"}),
    "marker": frozenset({"none"}),
    "marker-end": frozenset({"none"}),
    "marker-mid": frozenset({"none"}),
    "marker-start": frozenset({"none"}),
    "mask": frozenset({"none"}),
    "mix-blend-mode": frozenset({"normal"}),
    "opacity": frozenset({"1"}),
    "overflow": frozenset({"visible"}),
    "stroke": frozenset({"none"}),
    "stroke-dasharray": frozenset({"none"}),
    "text-decoration": frozenset({"none"}),
    "word-spacing": frozenset({"normal", "0", "0px"}),
    "writing-mode": frozenset({"lr-tb", "horizontal-tb"}),
}
_PATTERNS = {"font-size": _LENGTH, "stroke-width": _LENGTH, "font-family": _FAMILIES}
_PAINT, _LAYERS = frozenset({"fill", "stroke"}), frozenset({"opacity", "enable-background"})
_REFERRING = _PAINT | {"clip-path", "filter"}
_ANY = "any"  # value of a property of which the value does not matter
# That one kind of element may have of different declarations, of all rules together.
_MOST_DECLARATIONS = 32
_LONGEST_VALUE = 200
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"


class _NotUnderstood(Exception):
    """There is something in a style sheet or attribute that is not read here."""


class Styles:
    """What style sheets and attributes say of the elements of a document; *sheets* are their texts.

    `understood` is whether all of it was read. Where it was not, elements have no other attributes than their own.
    """

    def __init__(self, sheets: Iterable[str], elements: Iterable[Any]) -> None:
        self._rules: dict[str, dict[tuple[str, str], None]] = defaultdict(dict)
        self._inline: dict[str, Declarations] = {}
        try:
            for sheet in sheets:
                self._read(sheet)
            for text in {element.get("style") for element in elements}:
                if text is not None:
                    self._inline[text] = tuple(_declarations(text))
            self.understood = True
        except _NotUnderstood:
            self.understood = False

    def attributes(self, element: Any) -> list[tuple[str, str]]:
        """The attributes of *element*, and what its style may be in their stead, in the names of attributes."""
        attributes: list[tuple[str, str]] = element.attrib.items()
        if not self.understood:
            return attributes
        if self._inline and "style" in element.attrib:
            attributes = [(name, value) for name, value in attributes if name != "style"]
            attributes += self._inline[element.get("style")]
        if self._rules:
            for key in _keys(element):
                if key in self._rules:
                    attributes += self._rules[key]
        return attributes

    def _read(self, sheet: str) -> None:
        at = 0
        while rule := _RULE.match(sheet, at):
            at = rule.end()
            declarations = dict.fromkeys(_declarations(rule[2]))
            for selector in rule[1].split(","):
                found = _SELECTOR.fullmatch(selector)
                key = _KEY.match(found[1].lower()) if found is not None else None
                if key is None or not key[0]:
                    raise _NotUnderstood
                named = "" if key[2] and key[1] == "*" else key[1] or ""
                rules = self._rules[named + (key[2] or "")]
                rules |= declarations
                if len(rules) > _MOST_DECLARATIONS:
                    raise _NotUnderstood
        if sheet[at:].strip():
            raise _NotUnderstood


def _keys(element: Any) -> Iterator[str]:
    """Whatever `Styles` has kept rules by that may match *element*; case is no matter, so that more may match."""
    kind = element.tag.rpartition("}")[2].lower()
    names = [f".{name}" for name in element.get("class", "").lower().split()]
    names += (f"#{element.get(name).lower()}" for name in ("id", _XML_ID) if name in element.attrib)
    yield from ("*", kind, *names)
    yield from (kind + name for name in names)


def _declarations(text: str) -> Iterator[tuple[str, str]]:
    """Yield those of the declarations in *text* that may cost something; raises `_NotUnderstood`."""
    for part in text.split(";"):
        name, _, value = (piece.strip(_BLANKS) for piece in part.partition(":"))
        if not name and not value:
            continue
        if not 0 < len(value) <= _LONGEST_VALUE:
            raise _NotUnderstood
        if value in _COSTLESS_VALUES.get(name, ()) or (name == "stroke-width" and _THIN.fullmatch(value)):
            continue
        if name in _COSTLESS or _VENDORS.match(name):
            if not (_PLAIN.fullmatch(value) or _FAMILIES.fullmatch(value)):
                raise _NotUnderstood
        else:
            yield from _costing(name, value)


def _costing(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield a declaration that may cost something, without what does not matter in its value."""
    reference = _REFERENCE.match(value)
    rest = value[reference.end() :] if reference is not None else value
    font = _FONT.fullmatch(value) if name == "font" else None
    if reference is not None and (not rest or (name in _PAINT and _PLAIN.fullmatch(rest))) and name in _REFERRING:
        yield name, f"url(#{reference[2]})"
    elif name in _PAINT and _PLAIN.fullmatch(value):
        if name == "stroke":
            yield name, _ANY
    elif name in _LAYERS and _PLAIN.fullmatch(value):
        yield name, _ANY
    elif name in _PATTERNS and _PATTERNS[name].fullmatch(value):
        yield name, value
    elif font is not None and _FAMILIES.fullmatch(font[2]):
        yield "font-size", font[1]
        yield "font-family", font[2]
    else:
        raise _NotUnderstood
