"""How much space the file system of a directory has left, and how much of it stays free."""

from __future__ import annotations

import errno
import os

__all__ = ["FreeSpace"]

# The usual floor, in bytes; on a small file system it is a twentieth of all.
_USUAL_FLOOR = 256 << 20
_USUAL_PART = 20
# An eviction leaves the floor and a quarter of it free, and starts before the floor is reached.
_MARGIN = 4
# An entry larger than a quarter of the file system would displace too many others.
_LARGEST_PART = 4


class FreeSpace:
    """Keeps *floor* bytes of the file system of *root* free; 0 is none, less than 0 the usual floor.

    All methods do file work and belong on a thread.
    """

    def __init__(self, root: str, floor: int) -> None:
        self._root = root
        self._floor = floor

    def is_scarce(self, size: int) -> bool:
        """Whether an eviction is due once *size* more bytes are written.

        OSError where they do not fit: EFBIG for an entry that is too large for an eviction to be worth it, else ENOSPC.
        """
        total, free, floor = self._measure()
        if total and size > total // _LARGEST_PART:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if floor and size > free - floor:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return floor > 0 and size > free - floor - floor // _MARGIN

    def lacking(self) -> int:
        """The bytes that an eviction should remove; 0 or less for none."""
        _, free, floor = self._measure()
        return floor + floor // _MARGIN - free if floor else 0

    def _measure(self) -> tuple[int, int, int]:
        """All bytes, free bytes and the floor; zeros where the file system does not report its size."""
        try:
            status = os.statvfs(self._root)
        except FileNotFoundError:  # the first entry creates the directory
            return 0, 0, 0
        total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
        if total == 0:
            return 0, 0, 0
        return total, free, self._floor if self._floor >= 0 else min(_USUAL_FLOOR, total // _USUAL_PART)
