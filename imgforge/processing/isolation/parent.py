"""Decoders that hostile files drive to gigabytes, minutes or their death: each file in a process of its own.

A few hundred kilobytes of PDF make PDFium take 5 GB, a few of SVG librsvg for hours, and their calls cannot be
interrupted; to clean a large SVG takes seconds, in which other threads of this process get little done. The process
(a fork of `zygote`) bounds itself; here the wall's clock and the request's end are watched.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any

import pyvips

from imgforge.errors import DecoderLost, NotAnImage, ResultTooLarge, SourceTooLarge
from imgforge.processing.isolation.decoders import END
from imgforge.processing.isolation.pool import DecoderProcess, DecoderProcesses
from imgforge.processing.pixel_buffers import MOST_PIXELS, from_pixels
from imgforge.processing.resources import Cancellation

__all__ = ["clean_isolated", "decode_isolated", "decoder_usage", "size_only"]

_SECONDS = 10.0
_ATTEMPTS = 2  # with a file whose process dies with its zygote
_LONGEST_LINE = 100  # bytes, before a picture's samples
_CHUNK = 1 << 20
_MOST_OUTPUT = 4 * MOST_PIXELS + _CHUNK  # bytes
_PROCESSES = DecoderProcesses()


def decoder_usage() -> dict[str, float]:
    """How many decoder processes this process has now, and their use; see `DecoderProcesses.usage`."""
    return _PROCESSES.usage()


def decode_isolated(
    body: bytes, name: str, *arguments: float, enlarged: bool = False, cancellation: Cancellation | None = None
) -> tuple[list[Any], int]:
    """The pictures that the decoder *name* makes of *body*, and how many the file has.

    Raises `NotAnImage`, also where it takes too long or too much, and `SourceTooLarge` for too many pixels, or
    `ResultTooLarge` where they are because of being *enlarged*, and `RequestTimeout` once *cancellation* was cancelled.
    `DecoderLost` says nothing of the file: its process died with the zygote, and the next one as well.
    """
    words, rest = _answer(body, name, arguments, cancellation or Cancellation())
    if words[0] == "large":
        size = "x".join(words[1:])
        if enlarged:
            raise ResultTooLarge(f"the result would have too many pixels ({size})")
        raise SourceTooLarge(f"the source has too many pixels ({size})")
    return _pictures(rest), int(words[1])


def clean_isolated(document: bytes, style: str, *, unlimited: bool, cancellation: Cancellation) -> bytes:
    """Runs `codecs.svg.sanitised` in a process of its own; raises the errors of both it and `decode_isolated`."""
    sheet = style.encode("utf-8", "replace")
    words, cleaned = _answer(sheet + document, "clean", (int(unlimited), len(sheet)), cancellation)
    if words[0] == "refused":
        raise NotAnImage(" ".join(words[1:]))
    return bytes(cleaned)


def size_only(width: int, height: int) -> Any:
    """What stands for an SVG that is measured and not drawn."""
    return pyvips.Image.black(width, height, bands=4).copy(interpretation="srgb")


def _answer(
    body: bytes, name: str, arguments: Sequence[float], cancellation: Cancellation
) -> tuple[list[str], memoryview]:
    """The words of the first line of the decoder's answer, and the bytes after it (`decoders` documents both)."""
    line = " ".join((name, *(str(one) for one in (*arguments, MOST_PIXELS)))).encode()
    # To read fonts takes longer than anything else in most documents: a process that has done so is kept ahead.
    drawn_text = name == "svg" and arguments[2] and b"text" in body
    for _ in range(_ATTEMPTS):
        process = _PROCESSES.start("text" if drawn_text else name, cancellation)
        try:
            answer = _exchange(process, line + b"\n", body)
            lost = process.is_lost()
        except TimeoutError:
            cancellation.check()
            raise NotAnImage(f"the source takes too long to be decoded as {name}") from None
        finally:
            cancellation.watch_process(None)
            process.kill()  # if it is still there
            process.work.close()
        cancellation.check()
        end = answer.find(b"\n") + 1
        words = answer[:end].decode("ascii", "replace").split()
        if answer.endswith(END) and words:
            return words, memoryview(answer)[end : -len(END)]
        if not lost:
            raise NotAnImage(f"the source image is broken: the {name} decoder gave up")
    raise DecoderLost("the process that decoded the source was killed, and so was the next one")


def _exchange(process: DecoderProcess, line: bytes, body: bytes) -> bytes:
    """What the process answers to *line* and *body* until it closes its socket, or dies."""
    work, end = process.work, time.monotonic() + _SECONDS
    chunks, size = [], 0

    def limit_wait() -> None:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        work.settimeout(left)

    try:
        limit_wait()
        work.sendall(line)
        limit_wait()
        work.sendall(body)
        work.shutdown(socket.SHUT_WR)
        limit_wait()
        while chunk := work.recv(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > _MOST_OUTPUT:
                return b""
            limit_wait()
    except ConnectionError:
        return b""  # it has died
    return b"".join(chunks)


def _pictures(rest: memoryview) -> list[Any]:
    pictures, at = [], 0
    while at < len(rest):
        line, _, _ = bytes(rest[at : at + _LONGEST_LINE]).partition(b"\n")
        width, height, bands = map(int, line.split())
        if min(width, height) < 1 or not 0 <= bands <= 4:
            raise NotAnImage("the source image is broken: its decoder answers nonsense")
        start = at + len(line) + 1
        at = start + width * height * bands
        if bands:
            pictures.append(from_pixels(rest[start:at], width, height, bands))
        else:
            pictures.append(size_only(width, height))
    return pictures
