"""Processes mutated images of every format with the whole engine, in child processes that may crash.

    python -m tests.hostile.fuzz_images --cases 100000 --seed 1 --report report.json

Each case is a seed: `--only SEED` repeats one. A finding is an exception other than `ImgforgeError`, an error of status
500, a case that takes more CPU time than `MAX_SECONDS`, or a crash of the process inside libvips or a decoder.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from imgforge.errors import ImgforgeError
from imgforge.model import InfoOptions, ProcessingOptions
from imgforge.processing import ProcessingSettings, configure, describe, process
from tests.support import hostile_images

BATCH = 500
MAX_SECONDS = 30.0  # of CPU time for one case
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><defs><linearGradient id="g"><stop offset="0.5" '
    b'stop-color="red"/></linearGradient></defs><g transform="rotate(9)"><use href="#r"/></g><rect id="r" width="20" '
    b'height="9" fill="url(#g)" style="opacity:.5"/><path d="M1 2L30 4Z"/><style>rect{stroke:red}</style></svg>'
)
FORMATS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: hostile_images.encoded(
        "JPEG", exif=hostile_images.exif(hostile_images.exif_entry(0x112, 3, 1, 6), 1), icc_profile=bytes(600)
    ),
    "progressive": lambda: hostile_images.encoded("JPEG", progressive=True),
    "png": lambda: hostile_images.png(
        20, 20, hostile_images.png_chunk(b"tEXt", b"a\0b"), hostile_images.png_chunk(b"gAMA", bytes(3) + b"\x01")
    ),
    "apng": lambda: hostile_images.encoded("PNG", save_all=True, default_image=True),
    "gif": lambda: hostile_images.gif(9, 9, 5, (9, 9)),
    "gif of pixels": lambda: hostile_images.encoded("GIF"),
    "webp": lambda: hostile_images.encoded("WEBP"),
    "lossless": lambda: hostile_images.encoded("WEBP", lossless=True),
    "webp animation": lambda: hostile_images.webp_canvas(64, 48, 3),
    "tiff": lambda: hostile_images.encoded("TIFF"),
    "packed tiff": lambda: hostile_images.encoded("TIFF", compression="tiff_lzw"),
    "avif": lambda: hostile_images.encoded("AVIF"),
    "bmp": lambda: hostile_images.encoded("BMP"),
    "ico": lambda: hostile_images.encoded("ICO", 32, 32),
    "svg": lambda: SVG,
}
OPTIONS: tuple[dict[str, Any], ...] = (
    {"format": "png", "width": 20},
    {"format": "jpeg"},
    {"format": "webp", "rotate": 90, "strip_metadata": False},
)
WORDS = (
    b"\xff" * 4,
    bytes(4),
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\0\0\x01",
    b"\xff\xff\xff\xfe",
    b"\x01",
    b"\xff\xd9",
    b"-1e99",
)


@cache
def original(name: str) -> bytes:
    return FORMATS[name]()


def mutated(seed: int) -> tuple[str, bytes]:
    """Returns the format and the damaged file of the case *seed*."""
    chance = random.Random(seed)
    name = chance.choice(sorted(FORMATS))
    body = bytearray(original(name))
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(body)) if chance.random() < 0.6 else chance.randrange(min(len(body), 200))
        match chance.randrange(7):
            case 0:
                body[at] ^= 1 << chance.randrange(8)
            case 1:
                body[at] = chance.randrange(256)
            case 2:
                word = chance.choice(WORDS)
                body[at : at + len(word)] = word
            case 3:
                del body[at : at + chance.randrange(1, 30)]
            case 4:
                body[at:at] = body[at : at + chance.randrange(1, 60)]
            case 5:
                end = chance.randrange(len(body))
                body[at : at + 40] = body[end : end + 40]
            case _:
                del body[at:]
        body = body or bytearray(b"x")
    return name, bytes(body)


def run(seed: int, limits: ProcessingSettings) -> str:
    """Returns the outcome of one case: `ok`, the status of an error, or `finding: ` and what happened."""
    _, body = mutated(seed)
    began = time.process_time()
    outcomes = []
    for options in OPTIONS:
        try:
            process(body, ProcessingOptions(**options), limits)
            outcomes.append("ok")
        except ImgforgeError as error:
            outcomes.append(str(error.status) if error.status < 500 else f"finding: {error!r}")
        except Exception as error:
            outcomes.append(f"finding: {error!r}")
    try:
        info = describe(body, InfoOptions(average=True, exif=True, iptc=True, xmp=True), limits)
        json.dumps(info).encode("ascii")
    except ImgforgeError as error:
        outcomes.append(str(error.status) if error.status < 500 else f"finding: {error!r}")
    except Exception as error:
        outcomes.append(f"finding: {error!r}")
    if time.process_time() - began > MAX_SECONDS:
        return "finding: too slow"
    return next((outcome for outcome in outcomes if outcome.startswith("finding")), outcomes[0])


def batch(first: int, count: int) -> None:
    """Runs in the child: prints a line before and after each case, so that the parent knows which case crashed it."""
    configure()
    limits = ProcessingSettings(max_animation_frames=10, max_src_resolution=5)
    for seed in range(first, first + count):
        print(seed, flush=True)
        print(run(seed, limits), flush=True)


def campaign(first: int, count: int) -> dict[str, Any]:
    """Runs *count* cases from seed *first* on, in batches; returns the count of each outcome and the findings."""
    outcomes: Counter[str] = Counter()
    findings: dict[str, str] = {}
    at, end = first, first + count
    while at < end:
        size = min(BATCH, end - at)
        command = [sys.executable, "-m", "tests.hostile.fuzz_images", "--batch", str(at), str(size)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=size * MAX_SECONDS, check=False)
            lines, failure = done.stdout.split("\n")[:-1], f"finding: died with {done.returncode}: {done.stderr[-300:]}"
        except subprocess.TimeoutExpired as timeout:
            lines, failure = (timeout.stdout or b"").decode().split("\n")[:-1], "finding: hung"
        if len(lines) % 2 or not lines:
            lines += [failure] if lines else [str(at), failure]
        for seed, outcome in zip(lines[::2], lines[1::2], strict=True):
            if outcome.startswith("finding"):
                findings[f"{seed} {mutated(int(seed))[0]}"] = outcome
                outcome = "finding"
            outcomes[outcome] += 1
        at += len(lines) // 2
    return {"cases": count, "outcomes": dict(outcomes), "findings": findings}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case")
    parser.add_argument("--only", type=int, help="seed of a single case to run in this process")
    parser.add_argument("--report", type=Path, help="file for the JSON report; default: standard output")
    parser.add_argument("--batch", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.batch:
        batch(*arguments.batch)
    elif arguments.only is not None:
        batch(arguments.only, 1)
    else:
        text = json.dumps(campaign(arguments.seed, arguments.cases), indent=1)
        if arguments.report:
            arguments.report.write_text(text)
        else:
            print(text)


if __name__ == "__main__":
    main()
