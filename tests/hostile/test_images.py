"""Hostile images: they are rejected or processed within limits of memory and time, and make no connection."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from tests.support.decoder_processes import decoders
from tests.support.hostile_images import BOMBS, FOREIGN
from tests.support.hostile_world import Canary, RawOrigin, ask, memory, peak_memory, serving, whole
from tests.support.pictures import decode, encode, gradient
from tests.support.process import Twistd, wait_for

ALLOWED_STATUSES = {200, 400, 422}
_MAX_MEGABYTES = 1200  # of resident memory, over all tests of this module


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    origin = RawOrigin()
    origin.answers["/good.png"] = whole(encode(gradient(30, 20), "PNG"))
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Twistd]:
    with serving(
        ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", TIMEOUT="20", WORKERS="2", MAX_ANIMATION_FRAMES="100"
    ) as server:
        yield server


@pytest.fixture(scope="module")
def unsanitising_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twistd]:
    """A server whose operator has turned SANITIZE_SVG off."""
    with serving(ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", SANITIZE_SVG="false", WORKERS="2") as server:
        yield server


@cache
def bomb(name: str) -> bytes:
    return BOMBS[name][0]()


@pytest.mark.parametrize("name", BOMBS)
def test_decompression_bombs_are_rejected_or_processed_within_the_memory_limit(
    server: Twistd, origin: RawOrigin, name: str
) -> None:
    origin.answers["/bomb"] = whole(bomb(name), "200 OK", "Content-Type: image/png")
    must_be_rejected = BOMBS[name][1]
    for options, extension in (("w:40", "@webp"), ("w:40/kcr:1/sm:0/scp:0", "@png"), ("rot:90", "@jpg")):
        reply = ask(server, options, origin.url("/bomb"), extension)
        assert reply.status in (ALLOWED_STATUSES - {200} if must_be_rejected else ALLOWED_STATUSES), (
            options,
            reply.status,
        )
        if reply.status == 200 and "w:40" in options:
            assert decode(reply.body).width <= 40
    info = server.get(f"/info/unsafe/exif:1/iptc:1/xmp:1/avg:1/plain/{origin.url('/bomb')}")
    assert info.status in ALLOWED_STATUSES, info.body
    assert peak_memory(server) < _MAX_MEGABYTES


@pytest.mark.parametrize("name", FOREIGN)
def test_unsupported_formats_are_rejected(server: Twistd, origin: RawOrigin, canary: Canary, name: str) -> None:
    """They are rejected whatever their file name and Content-Type are."""
    body = FOREIGN[name].replace(b"{port}", str(canary.port).encode())
    for path, media_type in (("/a.png", "image/png"), ("/a.svg", "image/svg+xml"), ("/a", "application/octet-stream")):
        origin.answers[path] = whole(body, "200 OK", f"Content-Type: {media_type}")
        for extension in ("", "@png"):
            assert ask(server, "w:9", origin.url(path), extension).status == 422
        assert server.get(f"/info/unsafe/plain/{origin.url(path)}").status == 422
    assert not canary.connections


def svg(inside: str, before: str = "", more: str = "") -> bytes:
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<?xml version="1.0"?>{before}<svg {spaces} width="40" height="30" {more}>{inside}</svg>'.encode()


# Each refers to {here}, a file or a script, which an unsafe renderer would fetch or run.
REFERRING: dict[str, bytes] = {
    "image": svg('<image href="{here}/a.png" width="9" height="9"/>'),
    "xlink image": svg('<image xlink:href="{here}/a.png" width="9" height="9"/>'),
    "file image": svg('<image xlink:href="file:///etc/passwd" width="9" height="9"/>'),
    "relative image": svg('<image xlink:href="../../../../etc/passwd" width="9" height="9"/>'),
    "xml base": svg('<image xlink:href="a.png" width="9" height="9"/>', more='xml:base="{here}/"'),
    "use": svg('<use xlink:href="{here}/a.svg#x"/>'),
    "use by file": svg('<use href="file:///etc/passwd#x"/>'),
    "gradient": svg('<linearGradient id="g" xlink:href="{here}/a.svg#g"/><rect fill="url(#g)" width="9" height="9"/>'),
    "fill": svg('<rect fill="url({here}/a.svg#g)" width="9" height="9"/>'),
    "mask": svg('<rect mask="url({here}/a.svg#m)" width="9" height="9"/>'),
    "filter image": svg(
        '<filter id="f"><feImage href="{here}/a.png"/></filter><rect filter="url(#f)" width="9" height="9"/>'
    ),
    "text path": svg('<text><textPath href="{here}/a.svg#p">x</textPath></text>'),
    "tref": svg('<text><tref xlink:href="{here}/a.svg#p"/></text>'),
    "style": svg('<rect style="fill:url({here}/a.svg#g)" width="9" height="9"/>'),
    "style import": svg("<style>@import url({here}/a.css);</style>"),
    "style import by text": svg('<style>@import "{here}/a.css";</style>'),
    "style escape": svg("<style>@\\69mport url({here}/a.css);</style>"),
    "font face": svg('<style>@font-face{font-family:x;src:url({here}/a.ttf)}</style><text font-family="x">a</text>'),
    "font face uri": svg(
        '<font-face><font-face-src><font-face-uri xlink:href="{here}/a"/></font-face-src></font-face>'
    ),
    "stylesheet": svg("", before='<?xml-stylesheet href="{here}/a.css" type="text/css"?>'),
    "document type": svg("", before='<!DOCTYPE svg SYSTEM "{here}/a.dtd">'),
    "public document type": svg("", before='<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "{here}/a.dtd">'),
    "external entity": svg("<text>&e;</text>", before='<!DOCTYPE svg [<!ENTITY e SYSTEM "{here}/a">]>'),
    "file entity": svg("<text>&e;</text>", before='<!DOCTYPE svg [<!ENTITY e SYSTEM "file:///etc/passwd">]>'),
    "parameter entity": svg("", before='<!DOCTYPE svg [<!ENTITY % e SYSTEM "{here}/a.dtd"> %e;]>'),
    "entity in an attribute": svg(
        '<image xlink:href="&e;" width="9" height="9"/>', before='<!DOCTYPE svg [<!ENTITY e "{here}/a.png">]>'
    ),
    "include": svg('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{here}/a" parse="text"/>'),
    "script": svg('<script>fetch("{here}/")</script>'),
    "script by reference": svg('<script xlink:href="{here}/a.js"/>'),
    "handler": svg('<rect onload="fetch(\'{here}/\')" width="9" height="9"/>', more="onload=\"fetch('{here}/')\""),
    "script link": svg('<a xlink:href="javascript:fetch(\'{here}/\')"><rect width="9" height="9"/></a>'),
    "foreign object": svg(
        '<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="{here}/"/></foreignObject>'
    ),
    "html image": svg('<img xmlns="http://www.w3.org/1999/xhtml" src="{here}/a.png"/>'),
    "audio": svg('<audio xmlns="http://www.w3.org/1999/xhtml" src="{here}/a.mp3"/>'),
    "animated link": svg('<image id="i"/><set xlink:href="#i" attributeName="href" to="{here}/a.png"/>'),
    "svg in data": svg(
        "<image href=\"data:image/svg+xml,&lt;svg xmlns='http://www.w3.org/2000/svg'&gt;"
        "&lt;image href='{here}/a.png'/&gt;&lt;/svg&gt;\" width='9' height='9'/>"
    ),
    "cursor": svg('<rect cursor="url({here}/a.cur)" width="9" height="9"/>'),
    "unc path": svg('<image xlink:href="\\\\\\\\127.0.0.1\\\\a.png"/>'),
    "protocol relative": svg('<image xlink:href="//{host}/a.png"/>'),
    "handler in a namespace": svg('<x:script xmlns:x="http://www.w3.org/2000/svg">fetch("{here}/")</x:script>'),
}


@pytest.mark.parametrize("name", REFERRING)
def test_svg_fetches_nothing_and_is_served_without_references(
    server: Twistd, unsanitising_server: Twistd, origin: RawOrigin, canary: Canary, name: str
) -> None:
    """The SVG is rendered unsanitised, and served sanitised."""
    host = f"127.0.0.1:{canary.port}"
    body = REFERRING[name].replace(b"{here}", f"http://{host}".encode()).replace(b"{host}", host.encode())
    origin.answers["/a.svg"] = whole(body)
    origin.answers["/a.svgz"] = whole(gzip.compress(body))
    assert ask(unsanitising_server, "w:20", origin.url("/a.svg"), "@png").status in ALLOWED_STATUSES
    served = ask(server, "", origin.url("/a.svg"))
    assert ask(server, "", origin.url("/a.svgz")).body == served.body
    assert served.status in ALLOWED_STATUSES
    if served.status == 200:
        policy = served.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        text = served.body.lower()
        for word in (host.encode(), b"script", b"onload", b"passwd", b"<!entity", b"iframe", b"root:", b"@import"):
            assert word not in text, text
    assert not canary.connections


BIG = 'width="3000" height="3000"'
STOP = '<stop offset=".5"/>'
FILTER, FILTERED = '<filter id="f">', f'<rect {BIG} filter="url(#f)"/>'


def big(inside: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {BIG}>{inside}</svg>'.encode()


def chain(depth: int, width: int) -> str:
    """Returns *depth* levels of groups with *width* references each to the level below: width ** (depth - 1) paths."""
    rows = ['<g id="a0"><path d="M0 0h9v9z"/></g>']
    for level in range(1, depth):
        uses = f'<use href="#a{level - 1}"/>' * width
        rows.append(f'<g id="a{level}">{uses}</g>')
    return f'<defs>{"".join(rows)}</defs><use href="#a{depth - 1}"/>'


COSTLY: dict[str, bytes] = {
    "turbulence": big(f'{FILTER}<feTurbulence baseFrequency=".05" numOctaves="1000000"/></filter>{FILTERED}'),
    "morphology": big(f'{FILTER}<feMorphology operator="dilate" radius="900"/></filter>{FILTERED}'),
    "a chain of filters": big(FILTER + '<feGaussianBlur stdDeviation="90"/>' * 500 + f"</filter>{FILTERED}"),
    "convolution": big(f'{FILTER}<feConvolveMatrix order="99" kernelMatrix="{"1 " * 9801}"/></filter>{FILTERED}'),
    "deep reuse": big(chain(9, 9)),
    "huge text": big(f'<text font-size="300" y="300">{"W" * 500_000}</text>'),
    "text of no end": big(f'<text font-size="9e30">{"a" * 3000}</text>'),
    "many rules": big(f"<style>{'g > g + rect.a, g g g {fill:red}' * 20_000}</style>{'<g/><g/><rect/>' * 10_000}"),
    "layers": big('<g opacity=".9">' * 200 + f"<rect {BIG}/>" + "</g>" * 200),
    "patterns of patterns": big(
        "".join(
            f'<pattern id="p{n}" width="3" height="3" patternUnits="userSpaceOnUse">'
            f'<rect width="2" height="2" fill="url(#p{n + 1})"/></pattern>'
            for n in range(30)
        )
        + f'<rect {BIG} fill="url(#p0)"/>'
    ),
    "dashes": big('<path stroke="red" stroke-width="9" stroke-dasharray=".001" d="M0 0L3000 3000M0 3000L3000 0"/>'),
    "a long path": big(f'<path stroke="red" d="M0 0{"L9 3000L3000 0" * 200_000}"/>'),
    "many stops": big(
        f'<linearGradient id="g">{STOP * 30_000}</linearGradient>'
        + '<rect width="9" height="9" fill="url(#g)"/>' * 30_000
    ),
    "a picture within": big(
        '<image width="9" height="9" href="data:image/gif;base64,R0lGODlh//////8AAAAAACwAAAAA/////wAAAkQBADs="/>'
    ),
    "no size and much in it": chain(9, 9).join(['<svg xmlns="http://www.w3.org/2000/svg">', "</svg>"]).encode(),
}


def working_decoders(server: Twistd) -> list[int]:
    """The decoder processes of a server of one process, but for its zygote and the process that it keeps ahead."""
    assert server.process is not None
    return decoders(server.process.pid)[1:]


def test_costly_svgs_end_at_the_timeout_and_free_their_threads(origin: RawOrigin) -> None:
    """All are requested at once under a TIMEOUT of 3 s; afterwards both threads are idle and no decoder is left."""
    for name, body in COSTLY.items():
        origin.answers["/" + name.replace(" ", "-")] = whole(body)
    settings = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "TIMEOUT": "3", "WORKERS": "2", "CACHE_TYPE": ""}
    with serving(**settings) as server, ThreadPoolExecutor(8) as pool:
        before = memory(server)
        paths = [origin.url("/" + name.replace(" ", "-")) for name in COSTLY]
        responses = {
            path + extension: pool.submit(ask, server, options, path, extension)
            for path in paths
            for options, extension in (("w:2900", "@png"), ("", ""))
        }
        for path, response in responses.items():
            assert response.result().status in {200, 400, 408, 422}, path
        wait_for(lambda: not working_decoders(server), "the decoder processes to end")
        wait_for(
            lambda: b'image_operations_active{operation="process"} 0.0' in server.get("/metrics").body,
            "the threads to become idle",
        )
        assert ask(server, "w:9", origin.url("/good.png")).status == 200
        assert peak_memory(server) - before < _MAX_MEGABYTES


def test_the_server_still_processes_images_after_the_hostile_ones(server: Twistd, origin: RawOrigin) -> None:
    assert decode(ask(server, "w:15", origin.url("/good.png")).body).size == (15, 10)
    wait_for(lambda: not working_decoders(server), "the decoder processes to end")


def test_svgs_with_150000_attributes_kill_no_worker(origin: RawOrigin) -> None:
    """Four SVGs of 1.5 MB are processed at once, each under a URL of its own, while /status is requested."""
    attributes = " ".join(f"a{number}='1'" for number in range(150_000))
    origin.answers["/wide.svg"] = whole(svg(f"<rect {attributes}/>"), "200 OK", "Content-Type: image/svg+xml")
    with serving(ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", PROCESSES="2", WORKERS="4") as server:
        wait_for(lambda: len(server.children()) == 2, "both workers")
        workers = server.children()
        with ThreadPoolExecutor(4) as clients:
            responses = [clients.submit(ask, server, "w:9", origin.url(f"/wide.svg?{n}"), "@png") for n in range(4)]
            while not all(response.done() for response in responses):
                assert server.get("/status").status == 200
        assert [response.result().status for response in responses] == [422] * 4
        assert server.children() == workers
        assert "ended" not in server.output()
