"""Draws random SVG that is judged cheap, as much of it as still is, and tells what takes longer than it may.

    nice -n 19 python -m tests.hostile.fuzz_svg --seconds 1200 --seed 1 --report report.json

A case is a seed: `--only SEED` repeats one and writes its document. From the seed come a few pieces of SVG, a style
sheet and a size; the pieces are repeated as often as the document is judged cheap, and it is drawn with as many pixels
as are, in a process of its own. A finding is one that takes more CPU time or memory than a plain picture of this size
and `MAX_SECONDS` or `MAX_MEGABYTES` more, or that dies of it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import pyvips

from imgforge.errors import NotAnImage
from imgforge.processing import configure
from imgforge.processing.codecs.svg import sanitised
from imgforge.processing.codecs.svg_cost import SvgCost, svg_cost

MAX_SECONDS = 3.0
MAX_MEGABYTES = 250
_ALLOWED_SECONDS = 20  # until a process is killed
_ALLOWED_BYTES = 3 << 30
_SECONDS_A_MEGAPIXEL, _MEGABYTES_A_MEGAPIXEL = 0.01, 9
_START_SECONDS, _START_MEGABYTES = 0.3, 120  # of a process, with the fonts
_MOST_PIXELS = 20_000_000  # of one case: plain pixels are no news
_MOST_REPEATS = 40_000
_MOST_BYTES = 250_000


class Draw(random.Random):
    """Chances of one seed, and the theme that its document keeps to: one of `_THEMES`."""

    theme = ""
    wildness = 0.0

    @property
    def tame(self) -> bool:
        """Whether the next choice is one that leaves a document cheap."""
        return self.theme != "anything" and self.random() >= self.wildness


@dataclass(frozen=True, slots=True)
class Case:
    """A document that is judged cheap, and what it takes to draw it: CPU seconds, megabytes, and how it ended."""

    seed: int
    repeats: int
    length: int
    pixels: int
    measured_only: bool = False
    seconds: float = 0.0
    megabytes: float = 0.0
    status: int = 0

    @property
    def finding(self) -> bool:
        """Whether it took more than may be."""
        mega = self.pixels / 1e6
        return (
            self.status != 0
            or self.seconds > _START_SECONDS + mega * _SECONDS_A_MEGAPIXEL + MAX_SECONDS
            or self.megabytes > _START_MEGABYTES + mega * _MEGABYTES_A_MEGAPIXEL + MAX_MEGABYTES
        )


def _number(draw: Draw) -> str:
    if not draw.tame and draw.random() < 0.1:
        return draw.choice(("0", "1e9", "1e-9", "-1", "99999999", "1e38", ".001", "NaN", "50%", "9em", "1e99"))
    return f"{draw.choice((1, 1, 1, -1)) * draw.choice((draw.random(), draw.uniform(0, 400), draw.uniform(0, 40))):.4g}"


def _coordinates(draw: Draw, n: int) -> str:
    return " ".join(_number(draw) for _ in range(n))


def _path(draw: Draw) -> str:
    steps = (
        *("M{2}", "L{2}", "H{1}", "V{1}", "C{6}", "S{4}", "Q{4}", "T{2}", "Z", "l{2}", "m{2}", "c{6}", "q{4}"),
        "A{2} 9 1 0 {2}",
    )
    text = "M0 0" + draw.choice(("", "", "a9 9 0 0 1 400 300", "a1e6 1e6 0 1 1 9 9", "q1 2e6 9 9"))
    for _ in range(draw.choice((1, 2, 5, 20))):
        step = draw.choice(steps)
        for n in (1, 2, 4, 6):
            step = step.replace(f"{{{n}}}", _coordinates(draw, n))
        text += step
    return text * draw.choice((1, 1, 1, 10, 100))


def _transform(draw: Draw) -> str:
    if draw.tame:
        turned = f"translate({draw.uniform(-9, 99):.1f}) rotate({draw.uniform(0, 360):.1f})"
        return draw.choice((turned, f"scale({draw.random():.3f})", "rotate(45)"))
    return draw.choice(
        (
            f"translate({_coordinates(draw, 2)})",
            f"rotate({_number(draw)})",
            f"scale({draw.random():.3f})",
            f"scale({_number(draw)})",
            f"scale(.5) rotate({_number(draw)})",
            f"matrix({_coordinates(draw, 6)})",
            f"skewX({_number(draw)})",
        )
    )


_NAMES = "abc"
_FUNCTIONS = ("url(#{name})", "url('#{name}')", "none", "red", "#12345678", "rgba(1,2,3,.5)", "currentColor", "inherit")
_STYLE: dict[str, Sequence[str]] = {
    "fill": _FUNCTIONS,
    "stroke": _FUNCTIONS,
    "stroke-width": ("{number}", "99", "1e5"),
    "stroke-linejoin": ("round", "bevel", "miter"),
    "stroke-linecap": ("round", "square"),
    "stroke-miterlimit": ("{number}", "1e9"),
    "stroke-dasharray": ("none", "1 2", ".01"),
    "opacity": (".5", "1", "{number}"),
    "fill-opacity": (".5",),
    "stroke-opacity": (".5",),
    "fill-rule": ("evenodd",),
    "clip-path": ("url(#{name})", "none"),
    "clip-rule": ("evenodd",),
    "mask": ("url(#{name})", "none"),
    "filter": ("url(#{name})", "none", "blur(9px)", "url(#{name}) url(#{name})"),
    "marker": ("none", "url(#{name})"),
    "marker-mid": ("url(#{name})",),
    "font-size": ("{size}", "12px", "9pt", "200", "9em", "large"),
    "font-family": ("serif", "'DejaVu Sans'", "a, b, c", "monospace"),
    "font": ("bold {size}px serif", "{number}px a", "9px/2 'b c'"),
    "font-weight": ("bold", "1000"),
    "font-style": ("italic",),
    "letter-spacing": ("0", "{number}"),
    "word-spacing": ("normal", "1e6"),
    "text-anchor": ("middle", "end"),
    "text-decoration": ("none", "underline"),
    "writing-mode": ("lr-tb", "tb"),
    "mix-blend-mode": ("normal", "multiply"),
    "isolation": ("auto", "isolate"),
    "enable-background": ("new", "new 0 0 9 9", "accumulate"),
    "paint-order": ("stroke",),
    "shape-rendering": ("crispEdges", "geometricPrecision"),
    "text-rendering": ("geometricPrecision",),
    "vector-effect": ("non-scaling-stroke",),
    "stop-color": ("red", "#1234"),
    "stop-opacity": (".5",),
    "flood-color": ("red",),
    "display": ("inline",),
    "overflow": ("visible", "hidden"),
    "transform": ("scale(9)",),
    "width": ("{number}px",),
    "baseline-shift": ("super",),
    "direction": ("rtl",),
    "color-interpolation-filters": ("sRGB", "linearRGB"),
}
# What most documents have, and what keeps them cheap more often than not.
_USUAL = (
    "fill",
    "stroke",
    "stroke-width",
    "opacity",
    "font-size",
    "clip-path",
    "filter",
    "fill-opacity",
    "stroke-linejoin",
)


# What a theme has most of: kinds of pieces, kinds of what they refer to, and properties.
_THEMES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "anything": ("shape text use group server", "", _USUAL),
    "painting": ("shape", "radialGradient linearGradient", ("fill", "stroke", "stroke-width", "fill-opacity")),
    "letters": ("text", "linearGradient g", ("font-size", "font-family", "font", "fill", "font-style", "text-anchor")),
    "filters": ("shape", "filter", ("filter", "fill-opacity", "stroke-width", "stroke-linejoin")),
    "patterns": ("shape", "pattern", ("fill", "fill", "fill", "stroke")),
    "layers": ("shape group", "clipPath", ("opacity", "clip-path", "enable-background", "fill")),
    "plain": ("shape", "g", ("fill-opacity", "stroke-width", "stroke-linejoin", "fill-rule")),
    "reuse": ("use group shape", "g symbol", ("fill", "opacity")),
}


def _declaration(draw: Draw) -> tuple[str, str]:
    usual = draw.tame or draw.random() < 0.7
    name = draw.choice(_THEMES[draw.theme][2] if usual else tuple(_STYLE))
    value = _STYLE[name][0] if draw.tame and draw.random() < 0.7 else draw.choice(_STYLE[name])
    if draw.tame and name == "filter":
        value = _STYLE[name][0]
    value = value.replace("{size}", f"{draw.choice((9, 12, draw.uniform(1, 30), draw.uniform(1, 200))):.1f}")
    return name, value.replace("{name}", draw.choice(_NAMES)).replace("{number}", _number(draw))


def _attributes(draw: Draw) -> str:
    found: dict[str, str] = {}
    for _ in range(draw.choice((0, 1, 1, 2) if draw.tame else (1, 1, 2, 3))):
        name, value = _declaration(draw)
        if name != "font" or not draw.tame:
            found[name] = value
    if draw.random() < 0.2:
        found["transform"] = _transform(draw)
    if draw.theme != "plain" and draw.random() < 0.3:
        found["class"] = draw.choice(("a", "b", "a b c", "z"))
    if draw.random() < (0.1 if draw.tame else 0.3):
        found["style"] = ";".join(":".join(_declaration(draw)) for _ in range(draw.choice((1, 2, 3))))
    return "".join(f' {name}="{value}"' for name, value in found.items())


def _sheet(draw: Draw) -> str:
    odd_selectors = (":root", "g ~ g", "@media all", "[d]")
    selectors = (
        "*",
        "g",
        "text",
        "rect",
        "path",
        ".a",
        ".b",
        "#a",
        "g .a",
        "svg > *",
        "g g *",
        "use",
        "a,.b , #c",
        "stop",
    )
    rules: list[str] = []
    for _ in range(draw.choice((1, 2, 5, 30))):
        selector = draw.choice(selectors if draw.tame or draw.random() < 0.97 else odd_selectors)
        if draw.tame and draw.random() < 0.8:  # what others refer to has no class
            selector = draw.choice((".a", ".b", "g .c"))
        rules.append(f"{selector}{{{';'.join(':'.join(_declaration(draw)) for _ in range(draw.choice((1, 1, 2))))}}}")
    return f"<style>{draw.choice((' ', chr(10), '')).join(rules)}</style>"


def _shape(draw: Draw, _: int) -> str:
    name, *geometry = draw.choice(
        (
            *(("rect", "x", "y", "width", "height"), ("rect", "width", "height", "rx"), ("circle", "cx", "cy", "r")),
            *(
                ("ellipse", "cx", "cy", "rx", "ry"),
                ("line", "x1", "y1", "x2", "y2"),
                ("path",),
                ("polygon",),
                ("polyline",),
            ),
        )
    )
    large = draw.choice(("300", "300", "300", "20000", "1e6", "4e6"))
    sized = "".join(f' {one}="{draw.choice((_number(draw), large))}"' for one in geometry)
    if name == "path":
        sized = f' d="{_path(draw)}"'
    elif name.startswith("poly"):
        sized = f' points="{_coordinates(draw, draw.choice((4, 10, 60)))}"'
    return f"<{name}{sized}{_attributes(draw)}/>"


def _text(draw: Draw, _: int) -> str:
    letters = draw.choice(("a", "A line of text", "W" * 50, "fi ffl", "é" * 9, "a bcd" * 100))
    if not draw.tame:
        letters = draw.choice(("\u0627\u0644", "x " * 200, "<!-- -->a"))
    places = f' x="{_number(draw)}" y="{draw.choice((_number(draw), "90"))}"' if draw.random() < 0.8 else ""
    inner = draw.choice(("", f"<tspan{_attributes(draw)}>{letters}</tspan>"))
    if not draw.tame:
        inner = draw.choice((f"<a>{letters}</a>", "<tspan><tspan>b</tspan></tspan>"))
    extra = draw.choice(("", "", ' textLength="9999"', ' textLength="1e9" lengthAdjust="spacingAndGlyphs"'))
    return f"<text{places}{extra}{_attributes(draw)}>{letters}{inner}</text>"


def _use(draw: Draw, _: int) -> str:
    return f'<use href="#{draw.choice(_NAMES)}"{_attributes(draw)}/>'


def _group(draw: Draw, depth: int) -> str:
    kind = "g" if draw.tame else draw.choice(("g", "g", "g", "a", "defs", "symbol", "svg", "switch"))
    box = f' viewBox="{_coordinates(draw, 4)}"' if kind in {"symbol", "svg"} and draw.random() < 0.5 else ""
    return f"<{kind}{box}{_attributes(draw)}>{_pieces(draw, depth + 1)}</{kind}>"


def _stop(draw: Draw) -> str:
    return draw.choice((' stop-color="red"', ' stop-opacity=".5"', "")) if draw.tame else _attributes(draw)


def _server(draw: Draw, depth: int, name: str = "") -> str:
    """Something that others refer to, by *name* or any."""
    identity = f'id="{name or draw.choice(_NAMES)}"'
    units = draw.choice(("", 'gradientUnits="userSpaceOnUse"'))
    tile = draw.choice(
        ('width="20" height="20"', f'width="{_number(draw)}" height="{_number(draw)}"', 'width="9" height="9"')
    )
    if draw.tame:
        tile = f'width="{draw.uniform(7, 100):.1f}" height="{draw.uniform(5, 75):.1f}"'
    user = draw.choice(('patternUnits="userSpaceOnUse"', "", 'patternUnits="userSpaceOnUse" x="3"'))
    primitives = "".join(
        draw.choice(
            (
                f'<feGaussianBlur stdDeviation="{draw.choice((_number(draw), "5", "100", "1e5", "3 0"))}"/>',
                f'<feOffset dx="{_number(draw)}" dy="{_number(draw)}"/>',
                "<feFlood/>",
                '<feMerge><feMergeNode/><feMergeNode in="SourceGraphic"/></feMerge>',
                '<feComposite in="SourceAlpha" operator="arithmetic" k1="1" k4="2"/>',
                f'<feDropShadow stdDeviation="{_number(draw)}"/>',
                '<feMorphology radius="9"/>',
                '<feColorMatrix type="saturate"/>',
            )
        )
        for _ in range(draw.choice((1, 1, 2, 3)))
    )
    if draw.tame:
        user = 'patternUnits="userSpaceOnUse"'
        primitives = f'<feGaussianBlur stdDeviation="{draw.choice((_number(draw), "5", "100"))}"/>' + (
            draw.choice(
                ("", "<feMerge><feMergeNode/></feMerge>", '<feOffset dx="4"/>', '<feComposite in="SourceAlpha"/>')
            )
        )
    region = draw.choice(("", "", 'x="-1" y="-1" width="3" height="3"', 'filterUnits="userSpaceOnUse" width="1e6"'))
    stops = "".join(f'<stop offset="{draw.random():.2f}"{_stop(draw)}/>' for _ in range(draw.choice((1, 2, 3, 9))))
    spread = draw.choice(("", 'spreadMethod="repeat" x2=".01"', 'spreadMethod="reflect" r=".01"'))
    if not draw.tame:
        spread = 'href="#a"'
    wanted = _THEMES[draw.theme][1].split()
    servers = (
        f"<linearGradient {identity} {units} {spread}>{stops}</linearGradient>",
        f"<radialGradient {identity} {units} {spread}>{stops}</radialGradient>",
        f"<pattern {identity} {tile} {user}>{_pieces(draw, depth + 1)}</pattern>",
        f"<filter {identity} {region}>{primitives}</filter>",
        f"<filter {identity} {region}>{primitives}</filter>",
        f"<clipPath {identity}>{_pieces(draw, depth + 2)}</clipPath>",
        f"<mask {identity}>{_pieces(draw, depth + 2)}</mask>",
        f"<marker {identity}>{_pieces(draw, depth + 2)}</marker>",
        f"<g {identity}>{_pieces(draw, depth + 1)}</g>",
        f"<symbol {identity}>{_pieces(draw, depth + 1)}</symbol>",
    )
    return draw.choice([server for server in servers if not wanted or server[1:].split()[0] in wanted])


def _servers(draw: Draw) -> str:
    """What the pieces of the theme refer to; what is in them refers to nothing, or to the last of them."""
    theme = draw.theme
    text = ""
    for name in _NAMES:
        kind = draw.choice(_THEMES[theme][1].split())
        draw.theme = "plain"
        inside = _pieces(draw, 2)
        if theme == "reuse" and name != _NAMES[-1]:
            inside += f'<use href="#{_NAMES[-1]}"/>' * draw.choice((1, 10))
        elif theme == "letters":
            draw.theme = theme
            inside += '<text y="90">abcdefgh</text>'
        if kind in {"g", "symbol", "clipPath"}:
            text += f'<{kind} id="{name}">{inside}</{kind}>'
        else:
            draw.theme = theme
            server = _server(draw, 2, name)
            text += re.sub("(<pattern[^>]*>).*(</pattern>)", rf"\1{inside}\2", server)
    draw.theme = theme
    return text


def _pieces(draw: Draw, depth: int) -> str:
    if depth > 3:
        return _shape(draw, depth)
    kinds: dict[str, Callable[[Draw, int], str]] = {
        "shape": _shape,
        "text": _text,
        "use": _use,
        "group": _group,
        "server": _server,
    }
    usual = [kinds[name] for name in _THEMES[draw.theme][0].split()]
    rare = draw.theme not in {"anything", "plain"} and not draw.tame and draw.random() < 0.3
    return "".join(
        draw.choice(tuple(kinds.values()) if rare else usual)(draw, depth) for _ in range(draw.choice((1, 1, 2, 3)))
    )


_SIZES = (
    *(
        'width="400" height="300"',
        'width="400" height="300"',
        'viewBox="0 0 400 300"',
        'width="100%" height="100%"',
        "",
    ),
    *('width="4in" height="3in" viewBox="0 0 400 300"', 'width="20" height="20"', 'viewBox="0 0 4000 30"'),
    *('width="40" height="30" viewBox="0 0 4000 3000"', 'width="4000" height="3000" viewBox="0 0 40 30"'),
)


def written(seed: int) -> Callable[[int], bytes]:
    """Returns what writes the document of the case *seed* with its pieces repeated so many times."""
    draw = Draw(seed)
    draw.theme = draw.choice([theme for theme in _THEMES if theme != "plain"])
    draw.wildness = draw.choice((0, 0, 0, 0.02))
    size = draw.choice(_SIZES) if draw.random() < 0.5 else _SIZES[0]
    sheet = _sheet(draw) if draw.random() < 0.5 else ""
    defined = "".join(_server(draw, 0) for _ in range(draw.choice((0, 1, 2, 4))))
    if draw.theme != "anything":
        defined = _servers(draw)
    repeated = _pieces(draw, 0)
    nested = draw.random() < 0.1
    attributes = _attributes(draw)

    def document(repeats: int) -> bytes:
        inside = repeated * repeats
        if nested:
            levels = min(repeats, 200)
            inside = f"<g{attributes}>" * levels + repeated + "</g>" * levels
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{sheet}{defined}{inside}</svg>'.encode()

    return document


def _judged(document: bytes) -> tuple[bytes, SvgCost]:
    if len(document) > _MOST_BYTES:
        return b"", SvgCost()
    try:
        clean = sanitised(document)
    except NotAnImage:
        return b"", SvgCost()
    return clean, svg_cost(clean)


# What campaigns and their readers have found.
HARD: dict[str, Callable[[int], bytes]] = {
    "huge arcs": lambda n: _small(f'<path d="M0 0{"a1e6 1e6 0 1 1 9 9" * n}"/>'),
    "thick arcs": lambda n: _small(
        f'<path fill="none" stroke="red" stroke-width="60" d="M0 0{"A2 1 0 0 1 399 9A2 1 0 0 1 0 0" * n}"/>'
    ),
    "fonts": lambda n: _small("".join(f'<text font-size="{9 + number / 100}">a</text>' for number in range(n))),
    "half transparent circles": lambda n: _small(
        '<circle r="300" stroke="red" stroke-width="200" fill-opacity=".5" stroke-opacity=".5"/>' * n
    ),
    "gradients": lambda n: _small(
        '<linearGradient id="g" x2=".01" spreadMethod="reflect"><stop stop-opacity=".5"/><stop offset="1"/>'
        "</linearGradient>" + '<circle r="300" fill="url(#g)"/>' * n
    ),
}


def _small(inside: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300">{inside}</svg>'.encode()


def largest_cheap(document: Callable[[int], bytes]) -> tuple[int, bytes, SvgCost]:
    """Returns how often the pieces of *document* may be repeated, and it; 0 times if it is never cheap."""
    low, high = 0, 1
    best = b"", SvgCost()
    while high <= _MOST_REPEATS:
        clean, cost = _judged(document(high))
        if not cost.pixels:
            break
        low, high, best = high, high * 2, (clean, cost)
    while low and high - low > max(1, low // 20):
        middle = (low + high) // 2
        clean, cost = _judged(document(middle))
        if cost.pixels:
            low, best = middle, (clean, cost)
        else:
            high = middle
    return low, *best


def _draw_within_limits(document: bytes, pixels: float) -> None:
    """Runs in the child: draws *document*, or reads its header where *pixels* is 0."""
    resource.setrlimit(resource.RLIMIT_CPU, (_ALLOWED_SECONDS, _ALLOWED_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_ALLOWED_BYTES, _ALLOWED_BYTES))
    try:
        image = pyvips.Image.svgload_buffer(document, dpi=96, scale=0.75)
        if pixels:
            scale = math.sqrt(pixels / (image.width * image.height))
            image = pyvips.Image.svgload_buffer(document, dpi=96, scale=0.75 * scale, access="sequential")
            if image.width * image.height <= 4 * pixels:  # a narrow one is a pixel wide at least
                image.write_to_memory()
    except pyvips.Error:
        pass  # librsvg refuses it


def measured(document: bytes, pixels: float) -> tuple[float, float, int]:
    """Returns the CPU seconds and megabytes that drawing takes in a process of its own, and how the process ended."""
    pid = os.fork()
    if not pid:
        try:
            _draw_within_limits(document, pixels)
        finally:
            os._exit(0)
    _, status, usage = os.wait4(pid, 0)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, status


def run(seed: int, document: Callable[[int], bytes] | None = None) -> list[Case]:
    """Returns the cases of *seed*, or of *document*: as often as is cheap, and once with more pixels."""
    document = document or written(seed)
    repeats, clean, cost = largest_cheap(document)
    cases = []
    if repeats:
        tried = [(repeats, clean, cost)]
        if repeats > 1:
            tried.append((1, *_judged(document(1))))
        for number, body, judged in tried:
            pixels = min(judged.pixels, _MOST_PIXELS)
            cases.append(Case(seed, number, len(body), int(pixels), False, *measured(body, pixels)))
    for number in (1, 300, 5000):
        body, judged = _judged(document(number))
        if judged.measured and not judged.pixels:
            cases.append(Case(seed, number, len(body), 0, True, *measured(body, 0)))
    return cases


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="CPU seconds of a campaign (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("--cases", type=float, default=math.inf, help="the most cases of a campaign")
    parser.add_argument("--only", type=int, help="repeat this case alone, and write its document to standard output")
    parser.add_argument("--report", help="write the findings and the slowest cases to this file")
    return parser


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> int:
    """Run a campaign; returns 1 if it found anything."""
    arguments = _arguments().parse_args()
    configure()
    if arguments.only is not None:
        sys.stdout.write(largest_cheap(written(arguments.only))[1].decode())
        for case in run(arguments.only):
            print(case, case.finding, file=sys.stderr)
        return 0
    cases: list[Case] = []
    seed = arguments.seed
    while _spent() < arguments.seconds and seed - arguments.seed < arguments.cases:
        for case in run(seed):
            cases.append(case)
            if case.finding:
                print(case, flush=True)
        seed += 1
        if arguments.report and seed % 100 == 0:
            _write(arguments.report, cases)
    if arguments.report:
        _write(arguments.report, cases)
    findings = sum(case.finding for case in cases)
    print(f"{seed - arguments.seed} seeds, {len(cases)} documents, {findings} findings")
    return int(findings > 0)


def _write(path: str, cases: Sequence[Case]) -> None:
    """Write the findings, and what took most."""
    report = {
        "documents": len(cases),
        "cpu_seconds": _spent(),
        "findings": [asdict(case) for case in cases if case.finding],
        "slowest": [asdict(case) for case in sorted(cases, key=lambda case: -case.seconds)[:20]],
        "largest": [asdict(case) for case in sorted(cases, key=lambda case: -case.megabytes)[:20]],
    }
    with open(path, "w") as file:
        json.dump(report, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
