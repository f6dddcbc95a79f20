"""The quarantine on disk, so that it outlives the server: the file `quarantine` of the cache directory.

It is read and written on a thread, since the directory may be a share that hangs. Several hosts may write it: each
keeps the others' entries, and if two write at once a verdict may be lost, which the next crash brings back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from imgforge.cache import replacing
from imgforge.interfaces import IServerReactor
from imgforge.service.supervisor.quarantine_table import QuarantineTable

__all__ = ["QuarantineFile", "load", "save"]

_NAME = "quarantine"
_LONGEST = 1 << 16  # bytes; more was not written by imgforge


class QuarantineFile:
    """Keeps the quarantine of *table* in *directory*; nowhere if that is empty."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, table: QuarantineTable, directory: str) -> None:
        self._reactor = reactor
        self._table = table
        self._directory = directory
        self._writing = DeferredLock()
        self._closed = False

    def restore(self, seconds: float) -> None:
        """Quarantine the sources of an earlier server again, for *seconds* from its verdict."""

        def loaded(sources: dict[str, float]) -> None:
            if not self._closed:
                self._table.restore(sources, seconds)

        if self._directory:
            reading: Deferred[Any] = self._on_thread(lambda: load(self._directory)).addCallback(loaded)
            reading.addErrback(lambda failure: self.log.failure("the quarantine cannot be read", failure))

    def write(self, seconds: float) -> None:
        """Write the quarantine as it is now."""
        sources, now = self._table.quarantined(seconds), self._reactor.seconds()
        if self._directory:
            writing = self._writing.run(self._on_thread, lambda: save(self._directory, sources, now))
            writing.addErrback(lambda failure: self.log.failure("the quarantine cannot be written", failure))

    def close(self) -> None:
        """Release the table's memory."""
        self._closed = True
        self._table.close()

    def _on_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)


def load(directory: str) -> dict[str, float]:
    """Hexadecimal digests, and until when each is valid; empty where there is no such file, or a damaged one."""
    with suppress(OSError, ValueError):
        file = os.open(Path(directory, _NAME), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            sources = json.loads(os.pread(file, _LONGEST, 0))
        finally:
            os.close(file)
        if isinstance(sources, dict) and all(isinstance(until, (int, float)) for until in sources.values()):
            return {digest: float(until) for digest, until in sources.items() if _is_digest(digest)}
    return {}


def save(directory: str, sources: Mapping[str, float], now: float) -> None:
    """Add *sources* to the file's, without those that have expired; OSError where it cannot be written."""
    kept = {digest: until for digest, until in {**load(directory), **sources}.items() if until > now}
    with replacing(Path(directory, _NAME)) as file:
        file.write(json.dumps(kept).encode())


def _is_digest(text: str) -> bool:
    with suppress(ValueError):
        return len(bytes.fromhex(text)) == 16
    return False
