"""The quarantine on disk, so that it outlives the server: the file `quarantine` of the cache directory.

It is read and written on a thread, for the directory may be a share that hangs. Several hosts may write it: each keeps
what it finds, and if two write at once the loss is a verdict that the next death brings again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from imgforge.cache import replacing
from imgforge.service.supervisor.quarantine_table import QuarantineTable

__all__ = ["QuarantineFile", "load", "save"]

_NAME = "quarantine"
_LONGEST = 1 << 16  # bytes: who writes more is not us

_decode = msgspec.json.Decoder(dict[str, float]).decode


class QuarantineFile:
    """Keeps what *ward* has quarantined in *directory*; nowhere if that is empty."""

    log = Logger()

    def __init__(self, reactor: Any, ward: QuarantineTable, directory: str) -> None:
        self._reactor = reactor
        self._ward = ward
        self._directory = directory
        self._turns = DeferredLock()
        self._closed = False

    def restore(self, seconds: float) -> None:
        """Have refused again what an earlier server refused, for *seconds* from its verdict."""

        def loaded(sources: dict[str, float]) -> None:
            if not self._closed:
                self._ward.restore(sources, seconds)

        if self._directory:
            reading: Deferred[Any] = self._on_thread(lambda: load(self._directory)).addCallback(loaded)
            reading.addErrback(lambda failure: self.log.failure("the quarantine cannot be read", failure))

    def keep(self, seconds: float) -> None:
        """Write down what is quarantined now."""
        sources, now = self._ward.quarantined(seconds), self._reactor.seconds()
        if self._directory:
            writing = self._turns.run(self._on_thread, lambda: save(self._directory, sources, now))
            writing.addErrback(lambda failure: self.log.failure("the quarantine cannot be written", failure))

    def close(self) -> None:
        """Give the ward's memory back."""
        self._closed = True
        self._ward.close()

    def _on_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)


def load(directory: str) -> dict[str, float]:
    """Digests in hexadecimal, and until when each counts; nothing where there is no file, or another one."""
    with suppress(OSError, msgspec.DecodeError):
        file = os.open(Path(directory, _NAME), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            sources = _decode(os.pread(file, _LONGEST, 0))
        finally:
            os.close(file)
        return {digest: until for digest, until in sources.items() if _is_digest(digest)}
    return {}


def save(directory: str, sources: Mapping[str, float], now: float) -> None:
    """Add *sources* to what is there and leave out what is over; OSError where it cannot be written."""
    kept = {digest: until for digest, until in {**load(directory), **sources}.items() if until > now}
    with replacing(Path(directory, _NAME)) as file:
        file.write(msgspec.json.encode(kept))


def _is_digest(text: str) -> bool:
    with suppress(ValueError):
        return len(bytes.fromhex(text)) == 16
    return False
