"""Text, patterns and filters of an SVG are drawn in place where they are certainly cheap, and only there."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, process
from imgforge.processing.codecs.svg_cost import SMALL, SvgCost, svg_cost
from imgforge.processing.isolation import decoder_usage

_SIZE = 'width="400" height="300"'
_BOX = '<rect width="200" height="100" fill="red"/>'
_BLURRED = '<rect width="200" height="100" fill="red" filter="url(#f)"/>'
_TILED = '<rect width="400" height="300" fill="url(#p)"/>'
_TILE = 'id="p" width="20" height="20" patternUnits="userSpaceOnUse"'
_BLUR = '<filter id="f"><feGaussianBlur stdDeviation="5"/></filter>'
_SHADOW = (
    '<filter id="f" x="-1" width="3"><feGaussianBlur in="SourceAlpha" stdDeviation="3"/><feOffset dx="4" dy="4"/>'
    '<feMerge><feMergeNode/><feMergeNode in="SourceGraphic"/></feMerge></filter>'
)


def svg(inside: str, size: str = _SIZE) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{inside}</svg>'.encode()


BADGE = svg(
    '<title>build: passing</title><linearGradient id="s"><stop offset="0"/><stop offset="1"/></linearGradient>'
    '<clipPath id="r"><rect width="88" height="20" rx="3"/></clipPath><g clip-path="url(#r)"><rect width="37" '
    'height="20" fill="#555"/><rect width="88" height="20" fill="url(#s)"/></g><g fill="#fff" text-anchor="middle" '
    'font-family="Verdana,Geneva,DejaVu Sans,sans-serif" text-rendering="geometricPrecision" font-size="110">'
    '<text aria-hidden="true" x="195" y="150" fill-opacity=".3" transform="scale(.1)" textLength="270">build</text>'
    '<text x="615" y="140" transform="scale(.1)" fill="#fff" textLength="410">passing</text></g>',
    'width="88" height="20" role="img"',
)

CHEAP = {
    "a badge": BADGE,
    "a line of text": svg('<text x="9" y="90" font-size="40">One <tspan fill="red">line</tspan> of text</text>'),
    "accents": svg('<text y="90" font-size="20px">Crème brûlée, Škoda</text>'),
    "a coordinate system of its own": svg('<text y="70">A</text>', 'viewBox="0 0 90 90"'),
    "a text by a style sheet": svg("<style>text { font-size: 40px; fill: #123 }</style><text y='90'>A</text>"),
    "a badge by classes": svg(
        "<style>.a,.b{font:bold 11px/1.2 'DejaVu Sans',sans-serif;text-anchor:middle}\n g > .b {fill:rgb(1, 2, 3);}"
        "rect{stroke:#000;stroke-width:2px;stroke-dasharray:none}</style>"
        f'{_BOX}<g><text class="a" x="99" y="30">a</text><text class="b" x="99" y="90">b</text></g>'
    ),
    "a drawing by styles": svg(
        '<g style="fill:none;stroke:none;opacity:1;mask:none;letter-spacing:0px"><path d="M0 0L99 9" '
        'style="stroke:#123;stroke-linejoin:round;marker:none;clip-path:none"/><text y="20" style="font-size:12pt;'
        "line-height:125%;font-family:'Open Sans', sans-serif;fill:hsl(9,9%,9%);text-anchor:start\">a</text></g>"
    ),
    "a gradient by a style sheet": svg(
        '<style>#r{fill:url(#g) red}stop{stop-color:#123}</style><linearGradient id="g"><stop/><stop offset="1"/>'
        '</linearGradient><rect id="r" width="99" height="99"/><text y="20">a</text>'
    ),
}
CHEAP_IF_SMALL = {
    "a pattern": svg(f'<pattern {_TILE}><circle r="9"/></pattern>{_TILED}'),
    "a blur": svg(_BLUR + _BLURRED),
    "a shadow": svg(_SHADOW + _BLURRED),
    "a filter by a style": svg(f'{_BLUR}<rect width="9" height="9" style="filter:url(#f)"/>'),
    "a filter by a style sheet": svg(f"<style>rect{{filter:url(#f)}}</style>{_BLUR}{_BOX}"),
}
_USES = '<use href="#t"/>' * 20
_LETTERS = '<text font-size="9">{}</text>'
COSTLY = {
    "a merge of many": svg(f'<filter id="f"><feMerge>{"<feMergeNode/>" * 20}</feMerge></filter>{_BLURRED}'),
    "a pattern by inheritance": svg(f'<pattern {_TILE}/><g fill="url(#p)">{"<rect/>" * 9}</g>'),
    "a pattern by inheritance, named with blanks": svg(f'<pattern {_TILE}/><g fill="url( #p )">{"<rect/>" * 9}</g>'),
    "many tiles in other units": svg(f"<pattern {_TILE}/>{_TILED}", 'width="30in" height="30in"'),
    "large letters in a box that is none": svg(
        '<text font-size="100">aaaaaaaaaaaaaaaa</text>', 'width="9" height="9" viewBox="0 0 10000 10000x"'
    ),
    "many letters": svg(_LETTERS.format("a" * 2000)),
    "letters within an anchor": svg(f"<text><a>{'a' * 2000}</a></text>"),
    "letters after a comment": svg(f"<text><!-- -->{'a' * 2000}</text>"),
    "letters that are used again": svg(f'<g id="t">{_LETTERS.format("a" * 90)}</g>{_USES}'),
    "letters that are used again by an XML name": svg(f'<g xml:id="t">{_LETTERS.format("a" * 90)}</g>{_USES}'),
    "the first of two with one name": svg(f'<g id="t">{_LETTERS.format("a" * 90)}</g>{_USES}<g id="t"/>'),
    "letters of other scripts": svg(_LETTERS.format("\u0627\u0644\u0639")),
    "large letters": svg('<text font-size="300">aaaaaaaaaaaaaaaa</text>'),
    "large letters by inheritance": svg('<g font-size="9000"><text>aaaaaaa</text></g>'),
    "large letters by a transformation": svg('<g transform="scale(99)"><text>aaa</text></g>'),
    "large letters by a matrix": svg('<text transform="matrix(99 0 0 99 0 0)">aaa</text>'),
    "large letters by two transformations": svg('<text transform="scale(1) scale(99)">aaa</text>'),
    "large letters by units": svg('<text font-size="99em">a</text>'),
    "large letters by percent": svg('<text font-size="9900%">a</text>'),
    "large letters by a style": svg('<text style="font-size:9000px">a</text>'),
    "large letters by a shorthand": svg('<text style="font:bold 9000px/1 a">a</text>'),
    "large letters by a style sheet": svg("<style>text{font-size:9000px}</style><text>a</text>"),
    "large letters by a class": svg('<style>.a{fill:red}.b{font-size:9000px}</style><text class="a b">a</text>'),
    "large letters by a name": svg('<style>g > #n{font-size:9000px}</style><text id="n">a</text>'),
    "large letters by a rule for all": svg("<style>*{font-size:9000px}</style><text>a</text>"),
    "large letters by a rule for the document": svg("<style>svg{font-size:9000px}</style><text>a</text>"),
    "large letters by the first of two rules": svg(
        "<style>text{font-size:9000px}text{font-size:9px}</style><text>a</text>"
    ),
    "large letters behind a quote": svg(
        "<style>.a{font-family:'a} .b{font-family:b';font-size:9000px}</style><text class='a'>a</text>"
    ),
    "large letters by a function": svg("<style>text{font-size:calc(900px*9)}</style><text>a</text>"),
    "large letters by a later rule": svg("<style>@media all{text{font-size:9000px}}</style><text>a</text>"),
    "large letters by a pseudo-class": svg("<style>:root{font-size:9000px}</style><text>a</text>"),
    "large letters by an escape": svg("<style>text{font-siz\\65:9000px}</style><text>a</text>"),
    "letters turned by a style": svg('<text style="transform:scale(999)">a</text>'),
    "letters far apart by a style": svg('<text style="letter-spacing:1e9px">a</text>'),
    "letters with a stroke by a style": svg('<g style="stroke:red"><text>a</text></g>'),
    "letters with a stroke by a style sheet": svg("<style>text{stroke:red}</style><text>a</text>"),
    "a document without its size": svg("<style>svg{width:1px}</style><text>a</text>", 'viewBox="0 0 9 9"'),
    "a crowd of fonts by a style sheet": svg(
        "<style>"
        + "".join(f".f{n}{{font-family:f{n}}}" for n in range(9))
        + "</style>"
        + "".join(f'<text class="f{n}">a</text>' for n in range(9))
    ),
    "many layers by a style sheet": svg(f"<style>rect{{opacity:.5}}</style>{_BOX * 19}<text>a</text>"),
    "many layers by a style": svg("<g style='opacity:.5'>" * 19 + "<text>a</text>" + "</g>" * 19),
    "many blurs by a style sheet": svg(f"<style>rect{{filter:url(#f)}}</style>{_BLUR}{_BOX * 9}"),
    "a pattern by a style sheet": svg(f"<style>g{{fill:url('#p')}}</style><pattern {_TILE}/><g>{'<rect/>' * 9}</g>"),
    "a tile by a style sheet": svg(f"<style>pattern{{width:.01px}}</style><pattern {_TILE}>{_BOX}</pattern>{_TILED}"),
    "large letters by a symbol": svg('<symbol id="s" viewBox="0 0 1 1"><text>aaa</text></symbol><use href="#s"/>'),
    "large letters by a document within": svg('<svg viewBox="0 0 .01 .01"><text>aaa</text></svg>'),
    "large letters in a small document": svg("<text>aaaaaaaaaaaaaaa</text>", 'width="1" height="1"'),
    "letters that fill a narrow document": svg(_LETTERS.format("a" * 90), 'viewBox="0 0 1 1" width="9" height="9"'),
    "letters in a document cut to its box": svg(
        _LETTERS.format("a"), 'viewBox="0 0 100 1" width="9" height="900" preserveAspectRatio="xMidYMid slice"'
    ),
    "letters without a size": svg(_LETTERS.format("a"), ""),
    "letters in a size by percent": svg(_LETTERS.format("a"), 'width="100%" height="100%"'),
    "letters far apart": svg('<g letter-spacing="1e9"><text>aaa</text></g>'),
    "a crowd of fonts": svg("".join(f'<text font-family="f{number}">a</text>' for number in range(9))),
    "letters with a stroke": svg(_LETTERS.format("a").replace("<text", '<text stroke="red"')),
    "letters with a stroke by inheritance": svg(f'<g stroke="red">{_LETTERS.format("a")}</g>'),
    "letters along a path": svg('<path id="a" d="M0 0H9"/><text><textPath href="#a">a</textPath></text>'),
    "a small tile": svg(f"<pattern {_TILE.replace('20', '.01')}>{_BOX}</pattern>{_TILED}"),
    "a large tile": svg(f"<pattern {_TILE.replace('20', '300')}>{_BOX}</pattern>{_TILED}"),
    "a tile by percent": svg(f"<pattern {_TILE.replace('20', '20%')}>{_BOX}</pattern>{_TILED}"),
    "a tile of the box": svg(f'<pattern id="p" width=".1" height=".1">{_BOX}</pattern>{_TILED}'),
    "a tile of another": svg(f'<pattern id="q" width="9e9"/><pattern {_TILE} href="#q">{_BOX}</pattern>{_TILED}'),
    "an enlarged tile": svg(f'<pattern {_TILE} patternTransform="scale(99)">{_BOX}</pattern>{_TILED}'),
    "a tile with a box": svg(f'<pattern {_TILE} viewBox="0 0 .1 .1">{_BOX}</pattern>{_TILED}'),
    "many tiles": svg(f"<pattern {_TILE}>{_BOX}</pattern>{_TILED * 20}"),
    "many letters in a tile": svg(f"<pattern {_TILE}>{_LETTERS.format('a' * 500)}</pattern>{_TILED * 5}"),
    "a tile in itself": svg(f"<pattern {_TILE}>{_TILED}</pattern>{_TILED}"),
    "a tile by an escape": svg(f'<pattern {_TILE}>{_BOX * 6000}</pattern><rect fill="u\\72l(#p)"/>'),
    "tiles in tiles": svg(
        '<pattern id="p0" width="20" height="20" patternUnits="userSpaceOnUse"><rect/></pattern>'
        + "".join(
            f'<pattern id="p{number}" width="20" height="20" patternUnits="userSpaceOnUse">'
            + f'<rect width="9" height="9" fill="url(#p{number - 1})"/>' * 9
            + "</pattern>"
            for number in range(1, 6)
        )
        + '<rect width="400" height="300" fill="url(#p5)"/>'
    ),
    "many blurs": svg(_BLUR + _BLURRED * 5),
    "blurs of blurs": svg(_BLUR.replace("<feG", '<feOffset dx="1"/>' * 9 + "<feG") + _BLURRED),
    "other filters": svg(f'<filter id="f"><feTurbulence numOctaves="9999"/></filter>{_BLURRED}'),
    "a filter's picture": svg(f'<filter id="f"><feImage href="#f"/></filter>{_BLURRED}'),
    "a filter by a function": svg('<rect width="9" height="9" filter="blur(9px)"/>'),
    "two filters": svg(f'{_BLUR}<rect width="9" height="9" filter="url(#f) url(#f)"/>'),
    "a filter by a style's function": svg('<rect width="9" height="9" style="filter:blur(9px)"/>'),
    "a filter of another": svg(f'<filter id="g"/><filter id="f" href="#g"/>{_BLURRED}'),
}
_ENTITY = b'<!DOCTYPE svg [<!ENTITY a "<text>aaaaaaaaaaa</text>">]>'


class CostTests(SynchronousTestCase):
    def test_what_is_certainly_cheap(self) -> None:
        for name, document in CHEAP.items():
            self.assertGreater(svg_cost(document).pixels, SMALL, name)

    def test_filters_and_patterns_are_cheap_in_small_pictures_only(self) -> None:
        for name, document in CHEAP_IF_SMALL.items():
            self.assertEqual(svg_cost(document), SvgCost(SMALL, measured=True), name)

    def test_what_may_cost_anything_also_in_small_pictures(self) -> None:
        for name, document in COSTLY.items():
            self.assertEqual(svg_cost(document).pixels, 0, name)

    def test_a_style_sheet_outside_of_the_document_is_not_cheap(self) -> None:
        document = b'<?xml-stylesheet href="data:text/css,text{font-size:9000px}"?>' + svg("<text>a</text>")
        self.assertEqual(svg_cost(document), SvgCost())

    def test_entities_hide_nothing(self) -> None:
        document = _ENTITY + svg("&a;")
        self.assertEqual(svg_cost(document), SvgCost())


class MeasureTests(SynchronousTestCase):
    def test_a_stated_size_is_read_in_place(self) -> None:
        for size in (_SIZE, 'width="4in" height="3in"', 'viewBox="0 0 4 3"', f'{_SIZE} viewBox="0 0 4 3"'):
            self.assertTrue(svg_cost(svg(COSTLY["other filters"].decode(), size)).measured, size)

    def test_whatever_lays_out_the_document_or_applies_rules_is_not(self) -> None:
        for size in (
            "",
            'width="400"',
            'width="100%" height="100%"',
            f'{_SIZE} style="width:100%"',
            'viewBox="0 0 0 0"',
        ):
            self.assertFalse(svg_cost(svg(COSTLY["other filters"].decode(), size)).measured, size)
        self.assertTrue(svg_cost(svg("<style>text{font-size:9px;stroke-width:3}</style><image/>")).measured)
        for sheet in ("svg{width:9px}", "svg{HEIGHT:100%}", "g~g{}", "[d]{}", "svg{wi\\64th:9px}", "a{}" * 9000):
            self.assertFalse(svg_cost(svg(f"<style>{sheet}</style>{'<g/>' * 300}<image/>")).measured, sheet[:20])
        self.assertFalse(svg_cost(svg("<style><g/></style><image/>")).measured)
        self.assertFalse(svg_cost(svg("<g/>" * 20_000)).measured)


class InPlaceTests(SynchronousTestCase):
    """No decoder process is started for these, and each looks as one draws it."""

    def _made(self, document: bytes, **options: Any) -> tuple[bytes, int]:
        before = decoder_usage()["started"]
        body = process(document, ProcessingOptions(format="png", **options), ProcessingSettings()).body
        return body, int(decoder_usage()["started"] - before)

    def test_they_look_as_a_process_draws_them(self) -> None:
        for name, document in (CHEAP | CHEAP_IF_SMALL).items():
            costly = document.replace(b"</svg>", b"<desc>" + b"x" * 300_000 + b"</desc></svg>")
            for options in ({}, {"width": 80}, {"width": 700}):
                (here, none), (there, some) = self._made(document, **options), self._made(costly, **options)
                self.assertEqual((none, some > 0), (0, True), name)
                self.assertEqual(here, there, name)

    def test_a_large_picture_with_a_filter_is_drawn_by_a_process(self) -> None:
        self.assertEqual(self._made(CHEAP_IF_SMALL["a blur"], width=1500)[1], 1)
