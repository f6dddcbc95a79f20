"""The program that runs one decoder in a process of its own; `parent` starts it. It needs no more than that decoder.

The command line names the work and its numbers; the last one is the most pixels that may be decoded:

    pdf FIRST_PAGE PAGES SCALE TRANSPARENT MOST_PIXELS    draws pages
    raw MOST_PIXELS                                       develops a camera's raw file
    svg DPI SCALE WITH_PIXELS UNLIMITED MOST_PIXELS       draws a document, or only measures it
    clean UNLIMITED STYLE_BYTES MOST_PIXELS               sanitises a document

Standard input is the file until its end. For `clean` a style sheet of STYLE_BYTES bytes comes before the document.

Standard output begins with one line of ASCII words, which says how it went:

    ok PAGES_OF_THE_FILE    for `clean` the sanitised document follows; otherwise the pictures do: each is a line
                            "WIDTH HEIGHT BANDS", then WIDTH x HEIGHT x BANDS samples of one byte. BANDS is 0, and no
                            samples follow, where an SVG is only measured.
    large WIDTH HEIGHT      there are more than MOST_PIXELS pixels; nothing was decoded
    refused REASON          `clean` does not accept the document

Any other failure ends the process with a status other than 0. The process limits its own memory and processor time
before it reads a byte.
"""

from __future__ import annotations

import io
import resource
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_MOST_MEMORY = 2 << 30
_SECONDS = 10


def main(what: str, *arguments: str) -> None:
    decoders: dict[str, Callable[..., None]] = {"pdf": _pdf, "raw": _raw, "svg": _svg, "clean": _clean}
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    decoders[what](sys.stdin.buffer.read(), *(float(argument) for argument in arguments))


def _say(*words: object) -> None:
    sys.stdout.buffer.write(b" ".join(str(word).encode() for word in words) + b"\n")


def _pdf(body: bytes, first: float, count: float, scale: float, clear: float, most: float) -> None:
    """Pages on white, or in RGBA where they are to be CLEAR."""
    pdfium: Any = import_module("pypdfium2")
    document = pdfium.PdfDocument(body)
    numbers = range(int(first), int(first + count))
    points = [document.get_page_size(number) for number in numbers]
    sizes = [(max(1, round(width * scale)), max(1, round(height * scale))) for width, height in points]
    widest, height = max(size[0] for size in sizes), sum(size[1] for size in sizes)
    if widest * height > most:
        _say("large", widest, height)
        return
    kind, bands = (pdfium.raw.FPDFBitmap_BGRA, 4) if clear else (pdfium.raw.FPDFBitmap_BGR, 3)
    _say("ok", len(document))
    for number, size in zip(numbers, sizes, strict=True):
        bitmap = pdfium.PdfBitmap.new_native(*size, format=kind, rev_byteorder=True)
        bitmap.fill_rect((255, 255, 255, 0 if clear else 255), 0, 0, *size)
        flags = pdfium.raw.FPDF_ANNOT | pdfium.raw.FPDF_REVERSE_BYTE_ORDER
        pdfium.raw.FPDF_RenderPageBitmap(bitmap, document[number], 0, 0, *size, 0, flags)
        _say(*size, bands)
        sys.stdout.buffer.write(bitmap.buffer)
        bitmap.close()


def _raw(body: bytes, most: float) -> None:
    rawpy: Any = import_module("rawpy")
    with rawpy.imread(io.BytesIO(body)) as negative:
        sizes = negative.sizes  # nothing is unpacked yet
        for width, height in ((sizes.raw_width, sizes.raw_height), (sizes.iwidth, sizes.iheight)):
            if width * height > most:
                _say("large", width, height)
                return
        picture = negative.postprocess(use_camera_wb=True, output_bps=8)
    _say("ok", 1)
    _say(picture.shape[1], picture.shape[0], 3)
    sys.stdout.buffer.write(picture.tobytes())


def _svg(body: bytes, dpi: float, scale: float, drawn: float, unlimited: float, most: float) -> None:
    pyvips: Any = import_module("pyvips")
    pyvips.concurrency_set(1)
    image = pyvips.Image.svgload_buffer(body, dpi=dpi, scale=scale, unlimited=bool(unlimited), access="sequential")
    if not drawn:
        _say("ok", 1)
        _say(image.width, image.height, 0)
        return
    if image.width * image.height > most:
        _say("large", image.width, image.height)
        return
    samples = image.write_to_memory()
    _say("ok", 1)
    _say(image.width, image.height, image.bands)
    sys.stdout.buffer.write(samples)


def _clean(body: bytes, unlimited: float, length: float, most: float) -> None:  # noqa: ARG001  no pixels here
    # The one module alone, and the errors that it imports: the package would bring libvips with it.
    package = Path(__file__).parents[2]
    sys.path.append(str(package.parent))
    spec = spec_from_file_location("svg", package / "processing" / "codecs" / "svg.py")
    if spec is None or spec.loader is None:
        raise ImportError("svg")
    svg = module_from_spec(spec)
    spec.loader.exec_module(svg)
    style = body[: int(length)].decode()
    try:
        cleaned = svg.sanitised(body[int(length) :], style, unlimited=bool(unlimited))
    except import_module("imgforge.errors").NotAnImage as error:
        _say("refused", error)
        return
    _say("ok", 1)
    sys.stdout.buffer.write(cleaned)


if __name__ == "__main__":
    main(*sys.argv[1:])
