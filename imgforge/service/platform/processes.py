"""What a process asks of the kernel about itself, its parent and its children (prctl(2))."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

__all__ = [
    "adopt_orphans",
    "close_others",
    "confine",
    "die_with_parent",
    "has_one_thread",
    "reap_orphans",
    "rename_process",
]

_ARGUMENTS = slice(45, 47)  # of the fields behind the name
_PDEATHSIG, _NAME, _CHILD_SUBREAPER, _NO_NEW_PRIVILEGES = 1, 15, 36, 38  # prctl.h


def _prctl(option: int, value: object) -> bool:
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    return prctl is not None and not prctl(option, value, 0, 0, 0)


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent dies, however that is."""
    _prctl(_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Makes this process the parent of what its children leave behind; `OSError` where it cannot.

    `reap_orphans` is to be called now and then.
    """
    if not _prctl(_CHILD_SUBREAPER, 1):
        raise OSError(ctypes.get_errno(), "this system has no subreapers; IMGFORGE_PROCESSES=1 does without")


def reap_orphans(is_awaited: Callable[[int], bool]) -> None:
    """Releases children that have ended, up to the first one that *is_awaited* by another part of this process."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or is_awaited(ended.si_pid):
            return
        os.waitpid(ended.si_pid, 0)


def rename_process(name: str) -> None:
    """Shows this process as *name* in `ps` and `top`, in place of the command line that it was forked with.

    Otherwise who sends a signal to the main process by its command line sends it to its forks, too.
    """
    _prctl(_NAME, name.encode())  # of which Linux keeps 15 bytes
    with suppress(OSError, ValueError):
        # Only the owner sees these addresses, those of the arguments: proc_pid_stat(5).
        fields = Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        start, end = (int(field) for field in fields[_ARGUMENTS])
        if 0 < start < end:
            ctypes.memset(start, 0, end - start)
            ctypes.memmove(start, name.encode(), min(len(name), end - start - 1))


def confine() -> None:
    """Denies this process and its children core files and new privileges, for good; `OSError` where it cannot.

    A core file would contain the secrets; new privileges come from set-user-ID programs and file capabilities only.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not _prctl(_NO_NEW_PRIVILEGES, 1):
        raise OSError(ctypes.get_errno(), "IMGFORGE_SANDBOX: this system cannot forbid new privileges")


def has_one_thread() -> bool:
    """Whether this process may be forked and go on in the child: locks of other threads would never open there."""
    return len(os.listdir("/proc/self/task")) == 1


def close_others(kept: Collection[int]) -> None:
    """Closes all descriptors but those *kept*."""
    first = 0
    for descriptor in (*sorted(kept), resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        if first < descriptor:  # an empty range would be taken for one without an end
            os.closerange(first, descriptor)
        first = descriptor + 1
