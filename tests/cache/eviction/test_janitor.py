"""When the janitor sweeps: at the start, every minute, soon after many writes, and again after a fault."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.cache_directory import ENTRY, DiskTierCase, number_key, write


class JanitorTests(DiskTierCase):
    async def test_it_sweeps_at_the_start_and_every_minute(self) -> None:
        for number in range(120):
            write(self.root, number, age=1000 - number)
        self.clock.advance(1)
        await self.until(lambda: len(self.entry_files()) == 95)
        lock = Path(self.root, "janitor.lock")
        await self.until(lambda: lock.stat().st_mtime > lock.stat().st_atime)
        os.utime(lock, (0, 1))  # as if that had been long ago
        for number in range(200, 220):
            write(self.root, number)
        await self.until(lambda: self.clock.getDelayedCalls() != [])
        self.clock.pump([1.0] * 59)
        self.assertEqual(len(self.entry_files()), 115)
        self.clock.pump([1.0] * 3)
        await self.until(lambda: len(self.entry_files()) == 95)

    async def test_it_sweeps_soon_after_much_was_written(self) -> None:
        self.clock.advance(1)
        await self.until(lambda: self.clock.getDelayedCalls() != [])
        for number in range(120):
            await self.tier.put(number_key(number), ENTRY)
        self.assertEqual(len(self.entry_files()), 120)
        self.clock.advance(1)
        await self.until(lambda: len(self.entry_files()) == 95)

    async def test_it_goes_on_after_a_fault(self) -> None:
        lock = Path(self.root, "janitor.lock")
        lock.mkdir()
        for number in range(120):
            write(self.root, number, age=1000 - number)
        self.clock.advance(1)
        await self.until(lambda: self.faults == [("disk", "io")])
        lock.rmdir()
        self.clock.pump([1.0] * 62)
        await self.until(lambda: len(self.entry_files()) == 95)
