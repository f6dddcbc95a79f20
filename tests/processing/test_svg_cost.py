"""SVG that may cost much is drawn in a process that can be killed, and comes out as it would otherwise."""

from __future__ import annotations

import os
import threading
from typing import Any
from unittest.mock import patch

import numpy as np
import pyvips
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import NotAnImage, RequestTimeout, ResultTooLarge
from imgforge.model import InfoOptions, ProcessingOptions, Rendition, Trim
from imgforge.processing import Cancellation, ProcessingSettings, describe, process
from imgforge.processing.codecs.svg_cost import svg_cost
from imgforge.processing.isolation import decoder_usage
from tests.support.decoder_processes import busy_decoders, until


def svg(inside: str, size: str = 'width="40" height="20"') -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{inside}</svg>'.encode()


def chain(depth: int, width: int) -> str:
    """References to references: *width* to the power of *depth* squares."""
    rows = ['<g id="a0"><rect width="1" height="1"/></g>']
    for level in range(1, depth):
        uses = f'<use href="#a{level - 1}"/>' * width
        rows.append(f'<g id="a{level}">{uses}</g>')
    return f'<defs>{"".join(rows)}</defs><use href="#a{depth - 1}"/>'


RED = '<rect x="4" width="30" height="20" fill="red"/>'
TWIRL = '<filter id="f"><feTurbulence baseFrequency=".05" numOctaves="100000"/></filter>'
ENDLESS = svg(f'{TWIRL}<rect width="4000" height="4000" filter="url(#f)"/>', 'width="4000" height="4000"')

CHEAP = {
    "shapes": f'{RED}<path d="M0 0L9 9"/><circle r="4"/><g transform="scale(2)"><ellipse rx="3"/></g>',
    "gradients": '<linearGradient id="g"><stop/><stop/></linearGradient><rect width="9" height="9" fill="url(#g)"/>',
    "a few references": chain(3, 4),
    "half transparent colours": '<rect width="9" height="9" fill-opacity=".5" style="stroke-opacity:.5"/>',
    "a small style sheet": f"<style>rect{{fill:red}}</style>{RED}",
    "an editor's notes": '<n:view xmlns:n="http://editor.example/"><n:filter/></n:view>',
}
COSTLY = {
    "filters": f'{TWIRL}<rect filter="url(#f)"/>',
    "patterns": '<pattern id="p" width=".01" height=".01"/><rect fill="url(#p)"/>',
    "masks": '<mask id="m"/><rect style="mask:url(#m)"/>',
    "markers": '<path d="M0 0L9 9" marker-mid="url(#m)"/>',
    "text": '<text font-size="100000000">A</text>',
    "pictures": '<image href="data:image/png;base64,AAAA"/>',
    "dashes": '<path stroke-dasharray=".000001" d="M0 0H1000000"/>',
    "layers": '<g opacity=".9">' * 20 + "</g>" * 20,
    "layers by style": '<g style="opacity:.9">' * 20 + "</g>" * 20,
    "layers by sheet": "<style>g{opacity:.9}</style>" + "<g/>" * 20,
    "deep reuse": chain(8, 10),
    "huge arcs": f'<path d="M0 0{"a1e6 1e6 0 1 1 9 9" * 100}"/>',
    "huge curves by digits": f'<path d="M0 0{"q1 2000000 3 3" * 500}"/>',
    "huge circles": '<circle r="1000000"/>' * 200,
    "huge circles in other units": '<circle r="9999in"/>' * 200,
    "huge circles by fonts": '<circle r="9999em"/>' * 50,
    "huge circles by a transformation": '<g transform="scale(9) scale(999)">' + '<circle r="9"/>' * 200 + "</g>",
    "huge circles by matrices": '<g transform="matrix(99 0 0 99 0 0)">' * 2 + '<circle r="90"/>' * 200 + "</g></g>",
    "huge circles by reuse": '<circle id="c" r="90"/><g transform="scale(999)">' + '<use href="#c"/>' * 200 + "</g>",
    "huge circles by a transformation that is none": '<g transform="scale(9) x">' + '<circle r="9"/>' * 50 + "</g>",
    "huge circles by a box": '<svg viewBox="0 0 .01 .01">' + '<circle r="90"/>' * 200 + "</svg>",
    "huge circles by a symbol": '<symbol id="s" viewBox="0 0 1 1"><circle r="9"/></symbol>'
    + '<use href="#s" width="99999" height="9"/>' * 200,
    "thick strokes": f'<path stroke-width="1e6" stroke-linejoin="round" d="M0 0{"l9 9" * 1000}"/>',
    "thick strokes by a style": f'<path style="stroke-width:1e6px;stroke-linejoin:round" d="M0 0{"l9 9" * 1000}"/>',
    "styles that are not read": "<style>@media all{}</style><g/>",
    "fonts": "".join(f'<text font-size="{9 + number / 100}">a</text>' for number in range(60)),
    "fonts by reuse": "".join(f'<g font-size="{9 + number}"><use href="#t"/></g>' for number in range(60))
    + '<text id="t">a</text>',
    "another document": '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="data:image/png,"/>',
    "circles": '<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>',
    "long paths": f'<path d="M0 0{"L9 9" * 20_000}"/>',
    "many rules": f"<style>{'g > g + rect{fill:red}' * 2000}</style>{'<g/>' * 2000}",
    "many classes": f"<style>{'.a' * 20_000}{{}}</style><g class='{'b ' * 5000}'/>",
    "siblings": f"<style>g~g{{fill:red}}</style>{'<g/>' * 9}",
    "attributes in selectors": "<style>[d*='9']{fill:red}</style><g/>",
    "places in selectors": "<style>g:nth-child(2n){fill:red}</style><g/>",
    "selectors behind a brace that is none": "<style>g\\{ ~ g{fill:red}</style><g/>",
    "selectors within a rule": "<style>@media all{ g ~ g{fill:red}}</style><g/>",
    "a crowd of attributes": "<g " + " ".join(f'a{number}=""' for number in range(300)) + "/>",
    "many stops": f'<linearGradient id="g">{"<stop/>" * 500}</linearGradient>' + '<rect fill="url(#g)"/>' * 100,
    "great length": f"<desc>{'x' * 300_000}</desc>",
}


class CostTests(SynchronousTestCase):
    def test_the_cheap_are_cheap(self) -> None:
        for name, inside in CHEAP.items():
            self.assertGreater(svg_cost(svg(inside)).pixels, 1_000_000, name)

    def test_the_costly_are_found(self) -> None:
        for name, inside in COSTLY.items():
            self.assertEqual(svg_cost(svg(inside)).pixels, 0, name)

    def test_a_few_layers_are_cheap_in_a_small_picture(self) -> None:
        few, many = (svg_cost(svg(RED * number)).pixels for number in (3, 4000))
        layered = svg_cost(svg('<g opacity=".9">' * 3 + "</g>" * 3)).pixels
        self.assertGreater(few, 10_000_000)
        self.assertTrue(0 < many < 1_000_000 < layered < few)


class ApartTests(SynchronousTestCase):
    """`desc` makes them costly and changes nothing that is seen."""

    def made(self, body: bytes, cancellation: Cancellation | None = None, **options: Any) -> Rendition:
        options = {"format": "png"} | options
        return process(body, ProcessingOptions(**options), ProcessingSettings(), cancellation=cancellation)

    def test_they_look_the_same(self) -> None:
        for options in ({}, {"width": 80}, {"width": 13}, {"trim": Trim(10.0)}):
            plain, isolated = (
                pyvips.Image.new_from_buffer(self.made(svg(body), **options).body, "").numpy()
                for body in (RED, RED + COSTLY["great length"])
            )
            np.testing.assert_array_equal(plain, isolated, str(options))

    def test_many_shapes_are_drawn_in_place_in_a_small_picture_only(self) -> None:
        for width, processes in ((400, 0), (2000, 1)):
            before = decoder_usage()["started"]
            self.made(svg(RED * 1500), width=width)
            self.assertEqual(decoder_usage()["started"] - before, processes)

    def test_their_size_is_told_without_drawing(self) -> None:
        info = describe(ENDLESS, InfoOptions(), ProcessingSettings())
        self.assertEqual((info["width"], info["height"]), (4000, 4000))
        self.assertEqual(self.made(ENDLESS, format="svg").width, 4000)

    def test_too_large_a_result_is_refused(self) -> None:
        with self.assertRaises(ResultTooLarge):
            self.made(svg(COSTLY["text"]), width=16000, height=16000)

    def test_what_takes_forever_is_given_up(self) -> None:
        with (
            patch("imgforge.processing.isolation.parent._SECONDS", 0.5),
            self.assertRaisesRegex(NotAnImage, "too long"),
        ):
            self.made(ENDLESS)

    def test_a_cancelled_one_is_killed(self) -> None:
        cancellation = Cancellation()

        def cancel() -> None:
            until(lambda: busy_decoders(os.getpid()))
            cancellation.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with patch("imgforge.processing.isolation.parent._SECONDS", 3600.0), self.assertRaises(RequestTimeout):
            self.made(ENDLESS, cancellation)
        canceller.join()
        self.assertTrue(until(lambda: not busy_decoders(os.getpid())))
