"""The faults of tiers: what kinds metrics count, and how a failure is told to be one of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from imgforge.cache.entry_format import CorruptEntry
from imgforge.concurrency import Stalled

__all__ = ["DISK_FULL", "FaultObserver", "fault_kind", "fault_text"]

# Called with the tier's name and the kind of fault: corrupt, full, io, skipped, slow or too_large.
FaultObserver = Callable[[str, str], None]

# The errors of a medium that is full, or whose quota for the user is used up.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def fault_kind(error: object) -> str:
    """The kind of fault that *error* is."""
    if isinstance(error, CorruptEntry):
        return "corrupt"
    if isinstance(error, Stalled):
        return "slow"
    code = error.errno if isinstance(error, OSError) else None
    return "full" if code in DISK_FULL else "too_large" if code == errno.EFBIG else "io"


def fault_text(error: object) -> str:
    """What *error* says, in a few words where it is one of the operating system."""
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
