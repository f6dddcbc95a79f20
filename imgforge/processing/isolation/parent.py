"""Decoders that hostile files drive to gigabytes, minutes or their death: each file in a process of its own.

A few hundred kilobytes of PDF make PDFium take 5 GB, a few of SVG librsvg for hours, and their calls cannot be
interrupted; to clean a large SVG takes seconds, in which other threads of this process get little done. The process
(`child`) bounds itself; here the wall's clock and the request's end are watched. To start it takes some 100 ms, which
is little for such files.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyvips

from imgforge.errors import NotAnImage, ResultTooLarge, SourceTooLarge
from imgforge.processing.pixel_buffers import MOST_PIXELS, from_pixels
from imgforge.processing.resources import Cancellation

__all__ = ["clean_isolated", "decode_isolated"]

_CHILD = Path(__file__).with_name("child.py")
_SECONDS = 10.0
_LONGEST_LINE = 100  # bytes, before a picture's samples
# One thread an image, and no memory for the threads' own sake. Of the operator's environment nothing goes along but
# where fonts are found.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_PASSED_ON = ("FONTCONFIG_FILE", "FONTCONFIG_PATH", "HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")


def decode_isolated(
    body: bytes, name: str, *arguments: float, enlarged: bool = False, cancellation: Cancellation | None = None
) -> tuple[list[Any], int]:
    """The pictures that the decoder *name* makes of *body*, and how many the file has.

    Raises `NotAnImage`, also where it takes too long or too much, and `SourceTooLarge` for too many pixels, or
    `ResultTooLarge` where they are because of being *enlarged*, and `RequestTimeout` once *cancellation* was cancelled.
    """
    words, rest = _answer(body, name, arguments, cancellation or Cancellation())
    if words[0] == "large":
        size = "x".join(words[1:])
        if enlarged:
            raise ResultTooLarge(f"the result would have too many pixels ({size})")
        raise SourceTooLarge(f"the source has too many pixels ({size})")
    return _pictures(rest), int(words[1])


def clean_isolated(document: bytes, style: str, *, unlimited: bool, cancellation: Cancellation) -> bytes:
    """Runs `codecs.svg.sanitised` in a subprocess; raises the errors of both that function and `decode_isolated`."""
    sheet = style.encode("utf-8", "replace")
    words, cleaned = _answer(sheet + document, "clean", (int(unlimited), len(sheet)), cancellation)
    if words[0] == "refused":
        raise NotAnImage(" ".join(words[1:]))
    return bytes(cleaned)


def _answer(
    body: bytes, name: str, arguments: Sequence[float], cancellation: Cancellation
) -> tuple[list[str], memoryview]:
    """The words of the first line of the decoder's output, and the bytes after it (`child` documents both)."""
    command = [sys.executable, "-I", str(_CHILD), name, *(str(one) for one in (*arguments, MOST_PIXELS))]
    status, output = _run(command, body, name, cancellation)
    cancellation.check()
    end = output.find(b"\n") + 1
    words = output[:end].decode("ascii", "replace").split()
    if status or not words:
        raise NotAnImage(f"the source image is broken: the {name} decoder gave up")
    return words, memoryview(output)[end:]


def _run(command: list[str], body: bytes, name: str, cancellation: Cancellation) -> tuple[int, bytes]:
    """Exit status and output of *command*, which gets *body*."""
    environment = _ENVIRONMENT | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with subprocess.Popen(  # noqa: S603  our own program and numbers
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        cancellation.watch_process(process)
        try:
            output, _ = process.communicate(body, _SECONDS)
        except subprocess.TimeoutExpired:
            raise NotAnImage(f"the source takes too long to be decoded as {name}") from None
        finally:
            cancellation.watch_process(None)
            process.kill()  # if it is still there
        return process.returncode, output


def _pictures(rest: memoryview) -> list[Any]:
    pictures, at = [], 0
    while at < len(rest):
        line, _, _ = bytes(rest[at : at + _LONGEST_LINE]).partition(b"\n")
        width, height, bands = map(int, line.split())
        start = at + len(line) + 1
        at = start + width * height * bands
        if bands:
            pictures.append(from_pixels(rest[start:at], width, height, bands))
        else:
            pictures.append(pyvips.Image.black(width, height, bands=4).copy(interpretation="srgb"))
    return pictures
