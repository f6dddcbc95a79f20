"""BMP with run-length encoding, of 8 or 4 bits a pixel; commands of two bytes and what follows them:

    count value     so many pixels of that colour, with 4 bits of two colours in turn
    0 0             the end of the line      0 2 right up    move on from here
    0 1             the end of the picture   0 n pixels      n of them as they stand, padded to 16 bits

Pixels that nothing draws are black, as imgproxy shows them, and what goes beyond the end of its line is cut off. Pillow
gives such pixels the palette's first colour, goes on in the next line, and refuses a picture that ends before its last
pixel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import starmap
from operator import getitem

from imgforge.processing.containers import BmpHeader, read_bmp_header

__all__ = ["Drawing", "decoded", "is_run_length_encoded"]

_BITS = {1: 8, 2: 4}  # by the number of the compression

_END_OF_LINE, _END, _MOVE = 0, 1, 2
# Runs in a row are drawn together, but only as many as take a fraction of a millisecond: the interpreter is held.
_RUNS = re.compile(rb"(?:[^\0].){1,512}", re.DOTALL)
_LONGEST = 255
_COUNTS = tuple(map(slice, range(_LONGEST + 1)))
_BLACK = bytes(3)

# Pixels to draw, how far to move on then (right, up), whether from the line's start, and of how many commands it comes.
_Stroke = tuple[bytes, int, int, bool, int]


def is_run_length_encoded(header: BmpHeader) -> bool:
    """Whether the pixels behind *header* are for `decoded`."""
    return header.is_windows and header.bits == _BITS.get(header.compression)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture as indexes into a palette of 256 colours, from the top left on.

    `drawn` is 1 where a pixel was drawn, and None where all of them look as they should: what was not drawn has the
    index of black, if there is one. `complete`: the picture's end is there.
    """

    indexes: bytearray
    palette: bytes
    drawn: bytearray | None
    complete: bool


def decoded(body: bytes, width: int, height: int) -> Drawing:
    """The picture as far as it goes."""
    header = read_bmp_header(body)
    bits = header.bits
    palette = _palette(body[header.palette :], min(header.colours, 1 << bits) or 1 << bits)
    black = palette.index(_BLACK) if _BLACK in palette else None
    indexes = bytearray(bytes((black or 0,)) * (width * height))
    drawn = bytearray(width * height) if black is None else None

    def draw(at: int, pixels: bytes) -> None:
        indexes[at : at + len(pixels)] = pixels
        if drawn is not None:
            drawn[at : at + len(pixels)] = b"\1" * len(pixels)

    complete = _draw(draw, _strokes(body, header.start, bits), width, height, upwards=header.height > 0)
    return Drawing(indexes, b"".join(palette), drawn, complete)


def _draw(
    draw: Callable[[int, bytes], None], strokes: Iterator[_Stroke], width: int, height: int, *, upwards: bool
) -> bool:
    """Draw what lies inside; whether the picture's end is there."""
    # A picture has no more commands than pixels, ends of lines and moves; more of them draw nothing, or over and over.
    most = width * height + 2 * height + 1
    x = y = 0
    try:
        for pixels, right, up, afresh, commands in strokes:
            most -= commands
            if most < 0:
                return False
            if pixels and x < width:
                draw((height - 1 - y if upwards else y) * width + x, pixels[: width - x])
            x, y = 0 if afresh else min(x + len(pixels) + right, width), y + up
            if y >= height:
                break
    except _EndsEarly:
        return y == height - 1 and x == width
    return True


class _EndsEarly(Exception):
    pass


def _palette(table: bytes, colours: int) -> list[bytes]:
    """256 colours, as RGB; those that the table lacks are black."""
    entries = [table[at + 2 : at - 1 if at else None : -1] for at in range(0, 4 * colours, 4)]
    return [entry if len(entry) == 3 else _BLACK for entry in entries] + [_BLACK] * (256 - colours)


def _strokes(body: bytes, at: int, bits: int) -> Iterator[_Stroke]:
    """What the commands from *at* on draw, up to the end of the picture; `_EndsEarly` where that is missing."""
    units = [bytes((byte,)) if bits == 8 else bytes((byte >> 4, byte & 15)) for byte in range(256)]
    per_byte = 8 // bits
    runs = [unit * -(-_LONGEST // per_byte) for unit in units]
    while True:
        if found := _RUNS.match(body, at):
            at, counts, values = found.end(), found[0][::2], found[0][1::2]
            pairs = zip(map(runs.__getitem__, values), map(_COUNTS.__getitem__, counts), strict=True)
            yield b"".join(starmap(getitem, pairs)), 0, 0, False, len(counts)
            continue
        command, at = body[at : at + 2], at + 2
        if len(command) < 2:
            raise _EndsEarly
        if command[1] == _END:
            return
        if command[1] == _END_OF_LINE:
            yield b"", 0, 1, True, 1
        elif command[1] == _MOVE:
            if at + 2 > len(body):
                raise _EndsEarly
            yield b"", body[at], body[at + 1], False, 1
            at += 2
        else:
            count = -(-command[1] // per_byte)
            pixels = body[at : at + count]
            if len(pixels) < count:
                raise _EndsEarly
            if per_byte > 1:
                pixels = b"".join(map(units.__getitem__, pixels))[: command[1]]
            yield pixels, 0, 0, False, 1
            at += count + count % 2
