"""Entries, and directories of them, for the tests of the disk tier."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import entry_path, write_entry
from imgforge.model import CacheEntry, Rendition

KEY = bytes(range(32))
ENTRY = CacheEntry(
    Rendition(b"pixels" * 100, "webp", "image/webp", 3, 4, "jpeg", 30, 40, 999),
    stored_at=1000.5,
    etag="abc",
    source="http://x/ä.jpg",
    source_etag='"o"',
)


def number_key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def sized(size: int) -> CacheEntry:
    return replace(ENTRY, rendition=replace(ENTRY.rendition, body=bytes(size)))


def write(root: str, number: int, size: int = 1000, age: float = 0) -> Path:
    """A file of an entry of *size* bytes that was used *age* seconds ago."""
    key = number_key(number)
    path = entry_path(root, key)
    write_entry(path, key, sized(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


class Directory(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name


class ThreadedClock(Clock):
    """Time that stands still until a test moves it, with threads that really run."""

    def callFromThread(self, callable: Callable[..., object], *args: object, **named: object) -> None:  # noqa: A002
        reactor.callFromThread(callable, *args, **named)  # type: ignore[attr-defined]
