"""The decoders of `zygote`'s children: each runs in a process of its own, which it may crash or fill.

A request is a line, and the file after it until the stream's end. The line names the work and its numbers; the last one
is the most pixels that may be decoded:

    pdf FIRST_PAGE PAGES SCALE TRANSPARENT MOST_PIXELS    draws pages
    raw MOST_PIXELS                                       develops a camera's raw file
    svg DPI SCALE WITH_PIXELS UNLIMITED MOST_PIXELS       draws a document, or only measures it
    clean UNLIMITED STYLE_BYTES MOST_PIXELS               sanitises a document

For `clean` a style sheet of STYLE_BYTES bytes comes before the document.

The answer begins with one line of ASCII words, which says how it went:

    ok PAGES_OF_THE_FILE    for `clean` the sanitised document follows; otherwise the pictures do: each is a line
                            "WIDTH HEIGHT BANDS", then WIDTH x HEIGHT x BANDS samples of one byte. BANDS is 0, and no
                            samples follow, where an SVG is only measured.
    large WIDTH HEIGHT      there are more than MOST_PIXELS pixels; nothing was decoded
    refused REASON          `clean` does not accept the document

A whole answer ends with END; one without it is that of a process that died.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["END", "answer", "load", "warm_up"]

END = b"\nend\n"
_WARM_UP = b"""<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9">a</text></svg>"""


def load(name: str) -> None:
    """Import the library of the work *name* (`text` is an SVG with text); threads that it started could not fork."""
    if name == "clean":
        _sanitiser()
    elif name in {"svg", "text"}:
        _svg_header(_WARM_UP, 96.0, 1.0, unlimited=False)
    else:
        import_module({"pdf": "pypdfium2", "raw": "rawpy"}[name])


def warm_up() -> None:
    """Have the library of SVG read its fonts, and do all else that it does once in a process."""
    _svg_header(_WARM_UP, 96.0, 1.0, unlimited=False).write_to_memory()


def answer(request: BinaryIO, out: BinaryIO) -> None:
    """Read *request* and do its work; write the answer to *out*."""
    name, *arguments = request.readline().decode("ascii").split()
    _DECODERS[name](out, request.read(), *(float(argument) for argument in arguments))
    out.write(END)


def _say(out: BinaryIO, *words: object) -> None:
    out.write(b" ".join(str(word).encode() for word in words) + b"\n")


def _pdf(out: BinaryIO, body: bytes, first: float, count: float, scale: float, clear: float, most: float) -> None:
    """Pages on white, or in RGBA where they are to be CLEAR."""
    pdfium: Any = import_module("pypdfium2")
    document = pdfium.PdfDocument(body)
    numbers = range(int(first), int(first + count))
    points = [document.get_page_size(number) for number in numbers]
    sizes = [(max(1, round(width * scale)), max(1, round(height * scale))) for width, height in points]
    widest, height = max(size[0] for size in sizes), sum(size[1] for size in sizes)
    if widest * height > most:
        _say(out, "large", widest, height)
        return
    kind, bands = (pdfium.raw.FPDFBitmap_BGRA, 4) if clear else (pdfium.raw.FPDFBitmap_BGR, 3)
    _say(out, "ok", len(document))
    for number, size in zip(numbers, sizes, strict=True):
        bitmap = pdfium.PdfBitmap.new_native(*size, format=kind, rev_byteorder=True)
        bitmap.fill_rect((255, 255, 255, 0 if clear else 255), 0, 0, *size)
        flags = pdfium.raw.FPDF_ANNOT | pdfium.raw.FPDF_REVERSE_BYTE_ORDER
        pdfium.raw.FPDF_RenderPageBitmap(bitmap, document[number], 0, 0, *size, 0, flags)
        _say(out, *size, bands)
        out.write(bitmap.buffer)
        bitmap.close()


def _raw(out: BinaryIO, body: bytes, most: float) -> None:
    rawpy: Any = import_module("rawpy")
    with rawpy.imread(io.BytesIO(body)) as negative:
        sizes = negative.sizes  # nothing is unpacked yet
        for width, height in ((sizes.raw_width, sizes.raw_height), (sizes.iwidth, sizes.iheight)):
            if width * height > most:
                _say(out, "large", width, height)
                return
        picture = negative.postprocess(use_camera_wb=True, output_bps=8)
    _say(out, "ok", 1)
    _say(out, picture.shape[1], picture.shape[0], 3)
    out.write(picture.tobytes())


def _svg(out: BinaryIO, body: bytes, dpi: float, scale: float, drawn: float, unlimited: float, most: float) -> None:
    image = _svg_header(body, dpi, scale, unlimited=bool(unlimited))
    if not drawn:
        _say(out, "ok", 1)
        _say(out, image.width, image.height, 0)
        return
    if image.width * image.height > most:
        _say(out, "large", image.width, image.height)
        return
    samples = image.write_to_memory()
    _say(out, "ok", 1)
    _say(out, image.width, image.height, image.bands)
    out.write(samples)


def _clean(out: BinaryIO, body: bytes, unlimited: float, length: float, most: float) -> None:  # noqa: ARG001  no pixels here
    svg = _sanitiser()
    style = body[: int(length)].decode()
    try:
        cleaned = svg.sanitised(body[int(length) :], style, unlimited=bool(unlimited))
    except import_module("imgforge.errors").NotAnImage as error:
        _say(out, "refused", error)
        return
    _say(out, "ok", 1)
    out.write(cleaned)


def _svg_header(body: bytes, dpi: float, scale: float, *, unlimited: bool) -> Any:
    pyvips: Any = import_module("pyvips")
    pyvips.concurrency_set(1)
    return pyvips.Image.svgload_buffer(body, dpi=dpi, scale=scale, unlimited=unlimited, access="sequential")


@cache
def _sanitiser() -> Any:
    """The one module `codecs.svg`, and the errors that it imports: the package would bring libvips with it."""
    package = Path(__file__).parents[2]
    sys.path.append(str(package.parent))
    spec = spec_from_file_location("svg", package / "processing" / "codecs" / "svg.py")
    if spec is None or spec.loader is None:
        raise ImportError("svg")
    svg = module_from_spec(spec)
    spec.loader.exec_module(svg)
    return svg


_DECODERS: dict[str, Callable[..., None]] = {"pdf": _pdf, "raw": _raw, "svg": _svg, "clean": _clean}
