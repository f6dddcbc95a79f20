"""What is read of an SVG's style sheets: never less than a complete parser of CSS finds in them."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

import cssselect2
import pytest
import tinycss2
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from imgforge.processing.codecs.svg_styles import Styles

DOCUMENT = (
    '<svg xmlns="http://www.w3.org/2000/svg"><g id="i" class="a b"><text class="c">x<tspan id="j"/></text></g>'
    '<rect class="B"/><g><g class="a\tc"><path/></g></g></svg>'
)
ELEMENTS = list(etree.fromstring(DOCUMENT).iter())
TEXT = ELEMENTS[2]


def read(sheet: str) -> list[tuple[str, str]] | None:
    """What *sheet* says of the text, besides its class; None if the sheet is not understood."""
    styles = Styles([sheet], ELEMENTS)
    return styles.attributes(TEXT)[1:] if styles.understood else None


@pytest.mark.parametrize(
    ("sheet", "expected"),
    [
        ("", []),
        ("text{fill:red}", []),
        ("text { font-size : 9px ; }\n", [("font-size", "9px")]),
        ("g > text.c{stroke:red}", [("stroke", "any")]),
        ("rect,.c{opacity:.5}", [("opacity", "any")]),
        (".c{opacity:1;stroke:none;filter:none;mask:none;letter-spacing:0px}", []),
        ("*{fill:url( '#p' ) red}", [("fill", "url(#p)")]),
        ("svg *{clip-path:url(#p)}", [("clip-path", "url(#p)")]),
        (".c{font:italic bold 12px/1.5 'a b', serif}", [("font-size", "12px"), ("font-family", "'a b', serif")]),
        ("path{filter:url(#f)}#i{opacity:.1}", []),
        ("text{fill:rgba(1, 2, 3, .5);stroke-width:2px}", []),
        ("text{stroke-width:1e5}", [("stroke-width", "1e5")]),
    ],
)
def test_what_is_read(sheet: str, expected: list[tuple[str, str]]) -> None:
    assert read(sheet) == expected


@pytest.mark.parametrize(
    "sheet",
    [
        *(
            "@media all{text{fill:red}}",
            "text:hover{fill:red}",
            "g ~ text{fill:red}",
            "g + text{fill:red}",
            "[x]{fill:red}",
        ),
        *(
            "text{fill:red!important}",
            "text{fill:var(--x)}",
            "text{--x:1}",
            "text{width:9px}",
            "text{transform:scale(9)}",
        ),
        *(
            "text{letter-spacing:9px}",
            "text{mask:url(#m)}",
            "text{stroke-dasharray:1}",
            "text{filter:blur(9px)}",
            "text{font-size:'9px}",
        ),
        *("text{filter:url(#a) url(#b)}", "text{clip-path:circle(9px)}", "text{fill:url(//host)}", "text{fill:url(#a}"),
        *(
            "t\\65xt{fill:red}",
            "text{fi/**/ll:red}",
            "text{font-family:'a}",
            "text{fill}",
            "text{:red}",
            "text{FILL:red}",
        ),
        *(
            "text{font:9px}",
            "text{font:calc(9px) a}",
            "text{fill:red",
            "text{fill:red}}",
            "{fill:red}",
            "<!--text{fill:red}",
        ),
        *("text{fill:red}@import 'x';", "text{fill:expression(1)}", f"text{{font-family:{'a' * 300}}}"),
        ".c{" + "".join(f"font-size:{number}px;" for number in range(40)) + "}",
    ],
)
def test_what_is_not_read(sheet: str) -> None:
    assert read(sheet) is None


def test_a_style_attribute_takes_part() -> None:
    element = etree.fromstring('<text x="1" style="font-size:9px; fill:red; opacity:.5"/>')
    styles = Styles([], [element])
    assert styles.attributes(element) == [("x", "1"), ("font-size", "9px"), ("opacity", "any")]
    unread = etree.fromstring('<text style="mask:url(#m)"/>')
    styles = Styles(["text{opacity:.5}"], [element, unread])
    assert not styles.understood
    assert styles.attributes(unread) == unread.attrib.items()


_names = st.sampled_from(["text", "tspan", "g", "rect", ".a", ".b", ".c", "#i", "#j", "*", "text.c", "g.a.b", "svg"])
_joined = st.sampled_from([" ", ">", " > ", "\n"])
_selectors = st.builds(
    lambda first, rest: first + "".join(joint + name for joint, name in rest),
    _names,
    st.lists(st.tuples(_joined, _names), max_size=2),
)
_properties = st.sampled_from(
    [
        *("fill:red", "fill:url(#a)", "fill:url('#a') red", "stroke:red", "stroke:none", "opacity:.5", "opacity:1"),
        *(
            "font-size:9px",
            "font-size:900px",
            "font-family:'a b', c",
            'font-family:"a"',
            "clip-path:url(#c)",
            "filter:none",
        ),
        *("filter:url(#f)", "font:bold 99px a", "font:12px/3 'a b',c", "stroke-width:3", "color:#fff"),
    ]
)
_odd = st.sampled_from(
    [*"'\";{}:,()/*\\@!<> \n\t#.", "/*", "*/", "url(", "@media a{", "\\65", "<!--", "-->", "calc(", "a'b", "\x0b", "é"]
)
_lists = st.lists(_selectors, min_size=1, max_size=2).map(",".join)
_rules = st.builds(
    lambda selectors, properties: f"{selectors}{{{';'.join(properties)}}}", _lists, st.lists(_properties)
)


@st.composite
def _sheets(draw: st.DrawFn) -> str:
    text = "".join(draw(st.lists(_rules, min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(_odd) + text[at + draw(st.integers(0, 2)) :]
    return text


def _declared(sheet: str) -> Iterator[tuple[int, str, list[tinycss2.ast.Node]]]:
    """What complete parsers find: the numbers of elements, the names of properties and the tokens of values."""
    root = cssselect2.ElementWrapper.from_xml_root(ElementTree.fromstring(DOCUMENT))  # noqa: S314  our own
    wrapped = list(root.iter_subtree())
    for rule in tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True):
        assert rule.type in {"qualified-rule", "error"}
        if rule.type == "error":
            continue
        try:
            selectors = cssselect2.compile_selector_list(rule.prelude)
        except cssselect2.SelectorError:
            continue
        for found in tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True):
            if found.type == "declaration":
                for number, element in enumerate(wrapped):
                    if any(selector.test(element) for selector in selectors):
                        yield number, found.name, [token for token in found.value if token.type != "whitespace"]


@settings(max_examples=1000, deadline=None)
@given(_sheets())
def test_nothing_that_a_complete_parser_finds_is_missing(sheet: str) -> None:
    styles = Styles([sheet], ELEMENTS)
    if not styles.understood:
        return
    for number, name, tokens in _declared(sheet):
        known = dict.fromkeys(styles.attributes(ELEMENTS[number]))
        values = {value for attribute, value in known if attribute == name}
        match name:
            case "opacity":
                assert values or tokens[0].value == 1
            case "stroke":
                assert values or tokens[0].value == "none"
            case "fill" | "clip-path" | "filter":
                target = next((token.value for token in tokens if token.type == "url"), None)
                function = next((token for token in tokens if token.type == "function" and token.name == "url"), None)
                target = function.arguments[0].value if function is not None else target
                assert target is None or f"url({target})" in values
            case "font-size":
                assert any(tinycss2.serialize(tokens) == value for value in values)
            case "font":
                sizes = {token.serialize() for token in tokens if token.type == "dimension"}
                assert sizes & {value for attribute, value in known if attribute == "font-size"}
            case "font-family":
                assert values
            case _:
                assert name in {"stroke-width", "color"}
