"""Which process listens on a port or a unix socket, by /proc, which does not show other users' open files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["holder_of_path", "holder_of_port"]

_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp, proc(5)


def holder_of_port(port: int) -> str:
    """`pid 4711 (twistd)` for the process that listens on *port*, on any address; "" where none is found."""
    local_port = f":{port:04X}"
    rows = (row for table in ("tcp", "tcp6") for row in _rows(table))
    return _holder({row[9] for row in rows if row[1].endswith(local_port) and row[3] == _LISTENING})


def holder_of_path(path: str) -> str:
    """The same for the unix socket at *path*."""
    return _holder({row[6] for row in _rows("unix") if row[7:] == [os.path.abspath(path)]})


def _rows(table: str) -> Iterator[list[str]]:
    with suppress(OSError):
        for line in Path("/proc/net", table).read_text("utf-8", "replace").splitlines()[1:]:
            yield line.split()


def _holder(inodes: Iterable[str]) -> str:
    links = {f"socket:[{inode}]" for inode in inodes}
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and links & set(_open_files(name))]
    # Of a server and the workers that inherited its socket, the server: its own parent does not hold the socket.
    top = [pid for pid in pids if _status(pid, "PPid") not in map(str, pids)]
    return f"pid {top[0]} ({_status(top[0], 'Name')})" if top else ""


def _open_files(pid: str) -> Iterator[str]:
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                yield os.readlink(entry.path)


def _status(pid: int, field: str) -> str:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value.strip()
    return ""
