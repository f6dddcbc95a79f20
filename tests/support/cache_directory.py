"""Entries, directories of entries, and a disk tier on a clock, for the tests of the cache."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from imgforge.cache import DiskLimits, DiskTier, entry_path, write_entry
from imgforge.cache.purge import KnownPurges
from imgforge.interfaces import IServerReactor
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
    """Write the file of an entry of *size* bytes that was used *age* seconds ago; returns its path."""
    key = number_key(number)
    path = entry_path(root, key)
    write_entry(path, key, sized(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


class Directory(SynchronousTestCase):
    """A test with a temporary directory, `root`."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name


class ThreadedClock(Clock):
    """Time that stands still until a test advances it, with threads that really run."""

    @property
    def as_reactor(self) -> IServerReactor:
        """This clock, as the reactor of a cache: a cache needs the time and `callFromThread` of it."""
        return cast("IServerReactor", self)

    def callFromThread(self, callable: Callable[..., object], *args: object, **named: object) -> None:  # noqa: A002
        reactor.callFromThread(callable, *args, **named)  # type: ignore[attr-defined]


class DiskTierCase(TestCase):
    """A disk tier on a temporary directory, `root`, whose faults are kept in `faults`."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name
        self.faults: list[tuple[str, str]] = []
        self.clock = ThreadedClock()
        self.tier = self.make(self.root)

    def make(self, root: str, max_bytes: int = 10**9, min_free: int = 0) -> DiskTier:
        tier = DiskTier(
            self.clock.as_reactor,
            root,
            DiskLimits(max_bytes, 100, free=min_free),
            on_fault=lambda tier, fault: self.faults.append((tier, fault)),
        )
        tier.start(KnownPurges(self.clock.seconds).learn)
        self.addCleanup(tier.close)
        return tier

    def entry_files(self) -> list[Path]:
        return list(Path(self.root).rglob("*.entry"))

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until *happened* is true, while threads work; the test's timeout ends it otherwise."""
        while not happened():
            await deferLater(reactor, 0.005)

    async def rested(self) -> None:
        """Wait until no sweep is under way: while one is, the janitor does not look at the clock."""
        await self.until(lambda: self.tier._janitor._checks.call is not None)
