"""The time to read a document grows linearly with its length, so that a limit of bytes is a limit of CPU time.

Each document is built from *n* and from 16 *n* pieces, and both are read, in CPU time of this thread. Linear work takes
16 times as long for the longer document, quadratic work 256 times; a test fails if each of several tries takes more
than 64 times as long: far from both, as a busy machine's caches make long documents dearer. IMGFORGE_FUZZ=N composes N
times as many random documents.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from imgforge.config import mask_user_info
from imgforge.errors import ImgforgeError
from imgforge.model import CacheControl
from imgforge.processing.codecs import detect_format
from imgforge.processing.codecs.svg import sanitised
from imgforge.processing.codecs.svg_cost import svg_cost
from imgforge.processing.metadata import rights_of, xmp_of
from imgforge.sources import AllowedSources
from imgforge.web import Clients
from tests.support.site_case import SiteCase

_MULTIPLIER = int(os.environ.get("IMGFORGE_FUZZ", "1"))
_TIMES = 16  # as many pieces in the longer document
_MAX_GROWTH = 64.0
_TRIES = 4
_MEASURABLE = 0.01  # seconds that the longer document must take to be compared

Shape = Callable[[int], bytes]


@pytest.fixture(autouse=True)
def _without_collections() -> Iterator[None]:
    """Without the garbage collector, which looks at what all tests before have left."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _seconds(call: Callable[[Any], object], document: Any) -> float:
    started = time.thread_time()
    with suppress(ImgforgeError):
        call(document)
    return time.thread_time() - started


def _growth(call: Callable[[Any], object], document: Callable[[int], Any], n: int) -> float:
    """Returns how many times longer *call* takes for 16 *n* pieces than for *n*, in the best of several tries."""
    short, long = document(n), document(_TIMES * n)
    _seconds(call, short)  # whatever only the first call does
    growths = []
    for _ in range(_TRIES):
        longer = _seconds(call, long)
        growths.append(longer / max(_seconds(call, short), 1e-6) if longer > _MEASURABLE else 0.0)
        if growths[-1] <= _MAX_GROWTH:
            break
    return min(growths)


def _svg(inside: str, attributes: str = "") -> bytes:
    return f"<svg xmlns='http://www.w3.org/2000/svg' xmlns:p='urn:p' {attributes}>{inside}</svg>".encode()


def _numbered(text: str, n: int, between: str = "") -> str:
    return between.join(text.replace("#", str(number)) for number in range(n))


SVG: dict[str, Shape] = {
    "attributes of one element": lambda n: _svg("", _numbered("a#='1'", n, " ")),
    "attributes that change": lambda n: _svg("", _numbered("a#='(\\'", n, " ")),
    "attributes with a prefix": lambda n: _svg("", _numbered("p:a#='('", n, " ")),
    "event handlers": lambda n: _svg("", _numbered("on#=''", n, " ")),
    "namespaces and scripts": lambda n: _svg("<script/>" * n, _numbered("xmlns:a#='u#'", n, " ")),
    "namespaces in a script": lambda n: _svg(
        f"<script>{_numbered('<a#:b/>', n)}</script>", _numbered("xmlns:a#='u#'", n, " ")
    ),
    "styles within one another": lambda n: _svg("<style>" * 200 + "(a" * n + "</style>" * 200),
    "styles": lambda n: _svg("<style>a{}</style>" * n),
    "elements in a style": lambda n: _svg(f"<style>{'<a/>b' * n}</style>"),
    "comments in a text": lambda n: _svg(f"<text>{'<!---->x' * n}</text>"),
    "scripts in a text": lambda n: _svg(f"<text>{'<script/>x' * n}</text>"),
    "an embedded picture": lambda n: _svg(f"<image href='data:image/png;base64,{'A' * 40 * n}'/>"),
    "a long path": lambda n: _svg(f"<path d='{'M1 1' * 10 * n}'/>"),
    "open addresses": lambda n: _svg(f"<style>{'url(#' * n}</style>"),
    "blanks in an address": lambda n: _svg(f"<g fill='url({' ' * 20 * n}'/>"),
    "references in a chain": lambda n: _svg(_numbered("<g id='i#'><use href='#i#0'/></g>", n)),
    "uses of one name of many": lambda n: _svg(("<g id='a'/>" + "<use href='#a'/>") * (n // 4)),
    "paints of one name of many": lambda n: _svg("<g id='a'/>" * (n // 4) + f"<g fill='{'url(#a)' * (n // 4)}'/>"),
    "filters of one name of many": lambda n: _svg(("<filter id='a'/>" + "<g filter='url(#a)'/>") * (n // 4)),
    "style sheets": lambda n: _svg(_numbered("<style>text, g > .c#{fill:#;opacity:.5}</style>", n)),
    "rules that are read": lambda n: _svg(f"<style>{_numbered('.c#,#d#{font:9px a;stroke:url(#a)}', n)}</style>"),
    "rules of one class": lambda n: _svg(f"<style>{_numbered('.c,.d#{opacity:.#}', n)}</style><g class='c d1'/>"),
    "blanks in a rule": lambda n: _svg(f"<style>a{' ' * 20 * n}a {{ fill : {' ' * 20 * n}a{' ' * 20 * n}}}</style>"),
    "a long selector": lambda n: _svg(f"<style>{'a > b.c#d ' * n}{{}}</style>"),
    "a long name in a style": lambda n: _svg(f"<style>{'a' * 20 * n}</style><g style='{'a' * 20 * n}'/>"),
    "styles of elements": lambda n: _svg(_numbered("<g style='font-size:#px;fill:#' class='a'/>", n)),
    "a long style": lambda n: _svg(f"<g style='{_numbered('fill:#;', n)}'/>"),
    "names": lambda n: _svg(_numbered("<g id='i#' class='a#'/>", n)),
    "default attributes": lambda n: (
        f"<!DOCTYPE svg [{_numbered(chr(60) + '!ATTLIST g a# CDATA ' + repr('v') + '>', n)}]>".encode()
        + _svg("<g/>" * n)
    ),
    "an entity in attributes": lambda n: (
        f"<!DOCTYPE svg [<!ENTITY e '{'x' * n}'>]>".encode() + _svg("<g a='&e;'/>" * n)
    ),
}


@pytest.mark.parametrize("name", SVG)
@pytest.mark.parametrize("call", [sanitised, svg_cost], ids=lambda call: str(call.__name__))
def test_time_for_svg_grows_linearly(
    call: Callable[[bytes], object], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgforge.processing.codecs.svg_cost.LARGE", 10 << 20)
    assert _growth(call, SVG[name], 1000) <= _MAX_GROWTH


_PIECES = (
    *("<g {a}>{i}</g>", "<style>{t}</style>", "<script>{i}</script>", "<text {a}>{t}{i}</text>", "<use href='#i#'/>"),
    *(
        "<set attributeName='href' {a}/>",
        "<p:x xmlns:q#='u#' q#:a='#'>{i}</p:x>",
        "<a xmlns='urn:#' {a}/>",
        "<!--{t}-->",
    ),
    *("<path id='i#' d='M1 1L#' {a}/>", "<image href='data:image/png,#'/>", "<linearGradient>{i}</linearGradient>"),
)
_ATTRIBUTES = (
    "a#='1'",
    "p:a#='('",
    "on#=''",
    "fill='url(#i#)'",
    "style='fill:\\#'",
    "class='a b c#'",
    "x='j a:b'",
    "id='i#'",
)
_TEXTS = ("a{b:c}", "url(", "/*", "\\41 ", "@import ", "a~b,", "&amp;", "<![CDATA[)]]>", "x#")


def _composed(seed: int, n: int) -> bytes:
    """Returns an SVG of *n* random pieces; one seed gives the same pieces in the same proportions for every *n*."""
    draw = random.Random(seed)
    pieces = draw.choices(_PIECES, k=3)
    attributes, text = draw.choices(_ATTRIBUTES, k=2), draw.choice(_TEXTS)
    # Repeated as siblings, within one element, or a few levels deep.
    repeated, depth = draw.choice(("elements", "attributes", "text")), draw.choice((1, 3, 30))
    count = n if repeated == "attributes" else 1
    attribute_text = " ".join(
        _numbered(one if "#" in one and "=" in one.partition("#")[2] else f"b#='{n}'", count, " ")
        for one in attributes[:1]
    )
    repeated_text = text * (n if repeated == "text" else 1)
    inside = ""
    for _ in range(depth):
        unit = (
            "".join(pieces)
            .replace("{a}", attribute_text if repeated == "attributes" else "x='1'")
            .replace("{t}", repeated_text)
        )
        inside = unit.replace("{i}", inside, 1).replace("{i}", "")
        if repeated != "elements":
            break
    return _svg(_numbered(inside, max(1, n // (4 * depth)) if repeated == "elements" else 1))


@pytest.mark.parametrize("seed", range(20 * _MULTIPLIER))
def test_time_for_random_svg_grows_linearly(seed: int) -> None:
    def document(n: int) -> bytes:
        return _composed(seed, n)

    for call in (sanitised, svg_cost):
        assert _growth(call, document, 500) <= _MAX_GROWTH, (seed, call.__name__, document(500)[:300])


_RDF = "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:p='u'"


def _xmp(inside: str, attributes: str = "") -> bytes:
    description = f"<rdf:Description {attributes}>{inside}</rdf:Description>"
    return f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF {_RDF}>{description}</rdf:RDF></x:xmpmeta>".encode()


XMP: dict[str, Shape] = {
    "attributes": lambda n: _xmp("", _numbered("p:a#=''", n, " ")),
    "properties": lambda n: _xmp("<p:a/>" * n),
    "rights": lambda n: _xmp("<dc:rights/>a" * n),
    "namespaces": lambda n: _xmp(_numbered("<a#:b/>", n), _numbered("xmlns:a#='u#'", n, " ")),
    "alternatives": lambda n: _xmp(f"<dc:rights><rdf:Alt>{'<rdf:li/>' * n}</rdf:Alt></dc:rights>"),
    "namespaces of rights": lambda n: _xmp(
        _numbered("<dc:rights><a#:b/></dc:rights>", n), _numbered("xmlns:a#='u#'", n, " ")
    ),
}


@pytest.mark.parametrize("name", XMP)
@pytest.mark.parametrize("call", [xmp_of, rights_of], ids=lambda call: str(call.__name__))
def test_time_for_xmp_grows_linearly(call: Callable[[bytes], object], name: str) -> None:
    assert _growth(call, XMP[name], 750) <= _MAX_GROWTH


PROLOGUES: dict[str, Shape] = {
    "an open comment": lambda n: b"<!--" * n,
    "document types": lambda n: b"<!DOCTYPE a []>" * n,
    "brackets": lambda n: b"<!DOCTYPE a " + b"[" * n + b"]" * n,
    "blanks": lambda n: b"<!DOCTYPE a [ ]" + b" " * n,
}


@pytest.mark.parametrize("name", PROLOGUES)
def test_time_to_detect_a_format_grows_linearly(name: str) -> None:
    assert _growth(detect_format, PROLOGUES[name], 400) <= _MAX_GROWTH


def _allow(patterns: Iterable[str]) -> Callable[[str], object]:
    return AllowedSources(tuple(patterns)).allow


_CLIENTS = Clients(trusted=["127.0.0.1"])


def _client_behind(forwarded: bytes) -> str:
    """Returns the client that a trusted proxy names in Forwarded."""
    return _CLIENTS.behind("127.0.0.1", b"", forwarded)


LINES: dict[str, tuple[Callable[[Any], object], Callable[[int], object]]] = {
    "blanks in Cache-Control": (CacheControl.parse, lambda n: "a" + " " * n + "\x01"),
    "a long directive": (CacheControl.parse, lambda n: "a" * n + "\x01"),
    "a long value": (CacheControl.parse, lambda n: "a=" + "b" * n + '"'),
    "blanks in Forwarded": (_client_behind, lambda n: b" " * n + b"\x01"),
    "a quotation in Forwarded": (_client_behind, lambda n: b'a="' + b"\\a" * n),
    "wildcards": (_allow(["https://*.*.com/"]), lambda n: "https://" + ".a" * (n // 2)),
    "slashes in a URL": (mask_user_info, lambda n: "//" * n + " @"),
    "user info without an end": (mask_user_info, lambda n: "//a.b:1" * n + "@"),
    "much user info": (mask_user_info, lambda n: "//a:b@" * n),
    "many wildcards": (_allow(["https://*.*.*.*.com/"]), lambda n: "https://" + ".a" * (n // 2)),
}


@pytest.mark.parametrize("name", LINES)
def test_time_for_headers_and_urls_up_to_16_kilobytes_grows_linearly(name: str) -> None:
    call, line = LINES[name]
    assert _growth(call, line, 100) <= _MAX_GROWTH
    assert _growth(call, line, 1000) <= _MAX_GROWTH


def _form(n: int) -> bytes:
    """Returns a POST of *n* multipart forms within one another, with many lines in the last one."""
    parts = (b"--%x\nContent-Type:multipart/a;boundary=%x\n\n" % (one, one + 1) for one in range(n))
    body = b"".join(parts) + b"\n" * 100 * n
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=0\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def _quoted(n: int) -> bytes:
    """Returns a POST with *n* quotation marks in its Content-Type."""
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: a/b;a=%s\r\nContent-Length: 2\r\n\r\n{}" % (b'"' * n)


@pytest.mark.parametrize(("request_of", "n"), [(_form, 28), (_quoted, 900)], ids=["forms", "quotation marks"])
def test_time_for_a_request_with_a_body_grows_linearly(request_of: Shape, n: int) -> None:
    case = SiteCase()
    case.setUp()
    assert _growth(case.ask, request_of, n) <= _MAX_GROWTH
