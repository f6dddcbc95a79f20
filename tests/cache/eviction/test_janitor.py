"""When the janitor sweeps: at the start, every minute, soon after many writes, and again after a fault."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from imgforge.cache import DiskLimits, DiskTier, Purge, entry_path, write_entry
from imgforge.cache.eviction import janitor
from imgforge.cache.purge import KnownPurges, known
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
        await self.rested()
        self.clock.pump([1.0] * 59)
        self.assertEqual(len(self.entry_files()), 115)
        self.clock.pump([1.0] * 3)
        await self.until(lambda: len(self.entry_files()) == 95)

    async def test_it_sweeps_soon_after_much_was_written(self) -> None:
        self.clock.advance(1)
        await self.rested()
        for number in range(120):
            await self.tier.put(number_key(number), ENTRY)
        self.assertEqual(len(self.entry_files()), 120)
        self.clock.advance(1)
        await self.until(lambda: len(self.entry_files()) == 95)

    async def test_it_looks_for_what_others_have_purged_once_nothing_new_can_be_covered(self) -> None:
        self.patch(known, "FINAL_AFTER", 5.0)
        self.patch(janitor, "FINAL_AFTER", 5.0)
        purges = KnownPurges(self.clock.seconds)
        self.clock.advance(2000)
        tier = DiskTier(self.clock.as_reactor, self.root, DiskLimits(), purges=purges)
        tier.start(purges.learn)
        self.addCleanup(tier.close)
        for number in range(4):
            tags = ("odd",) if number % 2 else ()
            write_entry(entry_path(self.root, number_key(number)), number_key(number), replace(ENTRY, tags=tags))
        purges.learn([Purge(1500.0, "tag", "odd")])  # by a tier that a fleet shares: this disk's journal has none of it
        self.assertLess(tier.purged_before(), 0)
        while len(self.entry_files()) > 2:
            self.clock.advance(1)
            Path(self.root, "janitor.lock").unlink(missing_ok=True)  # as if the last sweep were long ago
            await deferLater(reactor, 0.01)
        await self.until(lambda: tier.purged_before() > 0)

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
