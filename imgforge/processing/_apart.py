"""Decoders that hostile files drive to gigabytes, minutes or their death: each file in a process of its own.

A few hundred kilobytes of PDF make PDFium take 5 GB, and its calls cannot be interrupted. The process (`_child`) bounds
itself; here only the wall's clock is watched. To start it takes some 100 ms, which is little for such files.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from imgforge.errors import NotAnImage, ResultTooLarge, SourceTooLarge
from imgforge.processing._memory import MOST_PIXELS, from_pixels

__all__ = ["decoded_apart"]

_CHILD = Path(__file__).with_name("_child.py")
_SECONDS = 10.0
# One thread an image, and no memory for the threads' own sake. Nothing of the operator's environment goes along.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def decoded_apart(body: bytes, name: str, *arguments: float, enlarged: bool = False) -> tuple[list[Any], int]:
    """The pictures that the decoder *name* makes of *body*, and how many the file has.

    Raises `NotAnImage`, also where it takes too long or too much, and `SourceTooLarge` for too many pixels, or
    `ResultTooLarge` where they are because of being *enlarged*.
    """
    command = [sys.executable, "-I", str(_CHILD), name, *(str(one) for one in (*arguments, MOST_PIXELS))]
    try:
        done = subprocess.run(  # noqa: S603  our own program and numbers
            command, input=body, capture_output=True, timeout=_SECONDS, env=_ENVIRONMENT, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotAnImage(f"the source takes too long to be decoded as {name}") from None
    said, _, rest = done.stdout.partition(b"\n")
    words = said.decode("ascii", "replace").split()
    if done.returncode or not words:
        raise NotAnImage(f"the source image is broken: the {name} decoder gave up")
    if words[0] == "large":
        size = "x".join(words[1:])
        if enlarged:
            raise ResultTooLarge(f"the result would have too many pixels ({size})")
        raise SourceTooLarge(f"the source has too many pixels ({size})")
    return _pictures(rest), int(words[1])


def _pictures(rest: bytes) -> list[Any]:
    pictures, view, at = [], memoryview(rest), 0
    while at < len(rest):
        end = rest.index(b"\n", at)
        width, height = map(int, rest[at:end].split())
        at = end + 1 + width * height * 3
        pictures.append(from_pixels(view[end + 1 : at], width, height, 3))
    return pictures
