"""How much room is left on the file system that a directory of entries lies on, and how much of it is to stay free."""

from __future__ import annotations

import errno
import os

__all__ = ["FULL", "Space"]

# The errors of a medium that is full, or full for its user.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

# What stays free unless the operator says otherwise: so many bytes, on a small file system so large a part of it.
_USUAL_FLOOR = 256 << 20
_USUAL_PART = 20
# An eviction leaves the floor and a quarter of it free, and is due before the floor is reached.
_MARGIN = 4
# An entry that is a larger part of the file system than this would displace too many others.
_LARGEST_PART = 4


class Space:
    """Keeps *floor* bytes free on the file system of *root*: 0 is none, less than 0 the usual. All on threads."""

    def __init__(self, root: str, floor: int) -> None:
        self._root = root
        self._floor = floor

    def scarce(self, size: int) -> bool:
        """Whether an eviction is due once *size* more bytes are written.

        OSError where they do not fit: EFBIG where there is no use in making room for them.
        """
        total, free, floor = self._now()
        if total and size > total // _LARGEST_PART:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if floor and size > free - floor:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return floor > 0 and size > free - floor - floor // _MARGIN

    def lacking(self) -> int:
        """How many bytes an eviction should remove; 0 or less for none."""
        _, free, floor = self._now()
        return floor + floor // _MARGIN - free if floor else 0

    def _now(self) -> tuple[int, int, int]:
        """All bytes, free bytes and the floor; all are 0 where the file system does not say."""
        try:
            status = os.statvfs(self._root)
        except FileNotFoundError:  # the first entry makes it
            return 0, 0, 0
        total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
        if total == 0:
            return 0, 0, 0
        return total, free, self._floor if self._floor >= 0 else min(_USUAL_FLOOR, total // _USUAL_PART)
