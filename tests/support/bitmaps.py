"""BMP files, byte by byte."""

from __future__ import annotations

import struct

__all__ = ["BLACK", "BLUE", "GREEN", "GREY", "PALETTE", "RED", "bmp"]


BLACK, RED, GREEN, BLUE, GREY = (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)


PALETTE = (GREY, RED, GREEN, BLUE)  # what is not drawn must not look like the first


def bmp(runs: bytes, width: int = 6, height: int = 3, bits: int = 8) -> bytes:
    table = b"".join(bytes((blue, green, red, 0)) for red, green, blue in PALETTE)
    start = 54 + len(table)
    header = struct.pack("<2sIII", b"BM", start + len(runs), 0, start)
    compression = 1 if bits == 8 else 2
    header += struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(runs), 0, 0, len(PALETTE), 0)
    return header + table + runs
