"""Reads the lines of files and of standard input: as they come, and in bounded memory whatever the input is."""

from __future__ import annotations

import itertools
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

__all__ = ["BrokenInput", "chunks", "inflated", "line_batches", "opened"]

_CHUNK = 64 * 1024  # bytes that are read, or inflated, at once
_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_GZIP_WBITS = 31  # of zlib: a gzip header, and the largest window


class BrokenInput(Exception):
    """Compressed input that is damaged or cut off; the message is one line."""


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """The file at *path*, or standard input for `-`."""
    if path == "-":
        yield sys.stdin.buffer
        return
    with open(path, "rb") as file:
        yield file


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes of *stream*, each chunk as soon as it is there."""
    buffered: Any = stream
    while chunk := buffered.read1(_CHUNK):
        yield chunk


def inflated(data: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of *data*, unpacked if they begin as gzip does; `BrokenInput` where such data is damaged."""
    rest = iter(data)
    first = b""
    while len(first) < len(_GZIP) and (chunk := next(rest, b"")):
        first += chunk
    whole = itertools.chain([first], rest)
    return _gunzipped(whole) if first.startswith(_GZIP) else whole


def _gunzipped(data: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of all members of a gzip file, with or without zeros between them."""
    decoder = zlib.decompressobj(_GZIP_WBITS)
    try:
        for chunk in data:
            packed = chunk
            while packed:
                if decoder.eof:
                    packed = packed.lstrip(b"\0")
                    if not packed:
                        break
                    decoder = zlib.decompressobj(_GZIP_WBITS)
                unpacked = decoder.decompress(packed, _CHUNK)
                packed = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
                yield unpacked
        yield decoder.flush(_CHUNK)
    except zlib.error as error:
        raise BrokenInput(f"damaged gzip data: {error}") from None
    if not decoder.eof:
        raise BrokenInput("the gzip data ends too early")


def line_batches(data: Iterable[bytes], longest: int) -> Iterator[list[bytes | None]]:
    """The lines of *data* without their ends, in a list for each chunk; None for a line of more than *longest* bytes.

    At most *longest* bytes and a chunk are in memory.
    """
    beginning = b""  # of a line whose end has not come
    dropping = False  # whether that line is too long
    for chunk in data:
        *lines, rest = (beginning + chunk).split(b"\n")
        batch: list[bytes | None] = [
            None if len(line) > longest else line[:-1] if line.endswith(b"\r") else line for line in lines
        ]
        if dropping and batch:
            batch[0], dropping = None, False
        dropping = dropping or len(rest) > longest
        beginning = b"" if dropping else rest
        if batch:
            yield batch
    if dropping:
        yield [None]
    elif beginning:
        yield [beginning.removesuffix(b"\r")]
