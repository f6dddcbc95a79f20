"""Draw one picture that shows what every option does to one photo: `python docs/contact_sheet.py docs/options.webp`."""

from __future__ import annotations

import argparse
import base64
from pathlib import Path
from typing import Any

import pyvips

from imgforge import processing
from imgforge.demo import draw_sample
from imgforge.processing import ProcessingSettings, process
from imgforge.urls.options import OptionParser

CELL_WIDTH, CELL_HEIGHT, CAPTION, ACROSS = 232, 150, 22, 6

# Each cell: the sample that it shows, and the options that are its caption.
CELLS = (
    ("landscape", "w:220"),
    ("landscape", "rs:fill:140:140"),
    ("landscape", "rs:fill:140:140/g:fp:0.68:0.42"),
    ("landscape", "rs:fill:140:140/g:ea"),
    ("landscape", "rs:force:220:60"),
    ("landscape", "rs:fit:220:140/ex:1/bg:d95f2b"),
    ("landscape", "c:800:500:soea/w:220"),
    ("landscape", "car:2/w:220"),
    ("landscape", "w:190/pd:8:14/bg:20304c"),
    ("landscape", "w:120/rot:90"),
    ("landscape", "w:220/fl:1"),
    ("landscape", "w:220/rc:24"),
    ("landscape", "h:140/w:140/rt:fill/rc:max"),
    ("logo", "w:140/t:10"),
    ("logo", "w:140/bg:ffd9b0"),
    ("logo", "w:140/bg:20304c/bga:0.4"),
    ("landscape", "w:220/bl:4"),
    ("landscape", "w:220/pbl:8:up"),
    ("landscape", "w:220/ba:8:0.55:0.25:0.3:0.3"),
    ("landscape", "w:220/sh:2"),
    ("landscape", "w:220/ush:always:1:10"),
    ("landscape", "w:220/pix:10"),
    ("landscape", "w:220/br:60"),
    ("landscape", "w:220/co:1.8"),
    ("landscape", "w:220/sa:2.5"),
    ("landscape", "w:220/sa:0"),
    ("landscape", "w:220/a:20:1.3:1.6"),
    ("landscape", "w:220/mc:1:d98032"),
    ("landscape", "w:220/dt:1:102a4c:ffd9a0"),
    ("landscape", "w:220/col:0.4:2080c0"),
    ("landscape", "w:220/gr:0.9:000"),
    ("landscape", "w:220/gr:0.8:d95f2b:right"),
    ("landscape", "w:220/wm:0.9:soea:6:6:0.3"),
    ("landscape", "w:220/wm:0.6:re:12:12:0.2"),
    ("landscape", "w:220/wm:0.6:ch:0:0:0.2"),
    ("landscape", "w:220/wm:1:ce:0:0:0.5/wmr:20/wmsh:4"),
    ("landscape", "w:220/wm:1:ce/wmt:(text)"),
    ("landscape", "w:220/q:5/f:jpg"),
    ("landscape", "w:220/pngo:0:1:6"),
    ("portrait", "h:140"),
    ("portrait", "h:100/ar:0"),
    ("drawing", "h:140/st:(css)"),
    ("landscape", "s:160:90/exar:1:so/bg:3a8f5c"),
    ("landscape", "w:60/dpr:2.5"),
    ("landscape", "w:110/z:2:1"),
    ("landscape", "c:60:40:fp:0.65:0.47/w:200/el:1"),
    ("landscape", "c:60:40:fp:0.65:0.47/w:200/el:1/ra:nearest"),
    ("landscape", "c:60:40:fp:0.65:0.47/mw:200"),
    ("landscape", "c:60:40:fp:0.65:0.47/mh:140"),
    ("landscape", "w:220/wm:1:nowe:6:6/wms:60:0"),
    ("landscape", "w:220/wm:1:ce:0:0:0.5/wmu:(url)"),
    ("animation", "h:140/pg:4"),
    ("animation", "h:140/pgs:3"),
    ("landscape", "w:220/f:jpg/mb:1500"),
    ("landscape", "w:220/f:jpg/aq:size:3000:5"),
    ("landscape", "w:220/f:jpg/fq:jpg:8"),
    ("landscape", "w:220/f:jpg/q:8/jpgo:0:1"),
    ("landscape", "w:220/f:webp/q:5/webpo:lossy:1"),
    ("landscape", "w:220/f:avif/q:10/avifo:on"),
    ("landscape", "w:220/f:jpg/cp:cmyk"),
)

# The options that no picture shows.
UNSEEN = frozenset(
    [
        "disable_animation",
        "dpi",
        "enforce_thumbnail",
        "hashsum",
        "keep_copyright",
        "preserve_hdr",
        "skip_processing",
        "strip_color_profile",
        "strip_metadata",
    ]
)

ARGUMENTS = {
    "(text)": "<span foreground='white' size='x-large'>imgforge</span>",
    "(css)": "ellipse{fill:#3a8f5c}",
    "(url)": "sample://portrait",
}


def cell(sample: str, options: str) -> Any:
    """One picture on a light ground, with its options below it."""
    text = options
    for name, argument in ARGUMENTS.items():
        text = text.replace(name, base64.urlsafe_b64encode(argument.encode()).decode().rstrip("="))
    parsed = OptionParser().parse(["f:png", *text.split("/")])
    settings = ProcessingSettings(png_quantization_colors=256)
    watermarks = {"": draw_sample("logo"), ARGUMENTS["(url)"]: draw_sample("portrait")}
    body = process(draw_sample(sample), parsed.processing, settings, watermarks=watermarks).body
    picture = pyvips.Image.new_from_buffer(body, "").colourspace("srgb")
    if picture.hasalpha():
        picture = picture.flatten(background=[244, 244, 244])
    picture = picture.gravity("centre", CELL_WIDTH, CELL_HEIGHT, extend="background", background=[244, 244, 244])
    caption = pyvips.Image.text(options, font="monospace 8", dpi=96, width=CELL_WIDTH - 8)
    caption = (255 - caption).gravity("centre", CELL_WIDTH, CAPTION, extend="white").cast("uchar")
    return picture.join(caption.bandjoin([caption, caption]).copy(interpretation="srgb"), "vertical")


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    path = parser.parse_args().path
    processing.configure()
    cells = [cell(sample, options) for sample, options in CELLS]
    sheet = pyvips.Image.arrayjoin(cells, across=ACROSS, shim=6, background=[255, 255, 255])
    sheet.write_to_file(str(path), Q=55, effort=6)
    print(f"{path}: {len(cells)} pictures, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
