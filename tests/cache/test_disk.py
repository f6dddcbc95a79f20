"""The disk tier: shared by processes, verified, and harmless where the medium is full, slow or dead."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent
from zope.interface.verify import verifyObject

from imgforge.cache import entry_file, entry_path
from imgforge.interfaces import ICacheTier
from imgforge.model import CacheEntry
from tests.support.cache_directory import ENTRY, KEY, DiskTierCase, number_key, sized


class DiskTierTests(DiskTierCase):
    def test_it_is_a_tier(self) -> None:
        verifyObject(ICacheTier, self.tier)

    async def test_what_is_put_is_found_by_another_process_too(self) -> None:
        await self.tier.put(KEY, ENTRY)
        self.assertEqual(await self.make(self.root).get(KEY), ENTRY)

    async def test_what_is_still_being_written_is_found(self) -> None:
        writing = self.tier.put(KEY, ENTRY)
        self.assertIs(self.successResultOf(self.tier.get(KEY)), ENTRY)
        await writing
        self.assertEqual(await self.tier.get(KEY), ENTRY)

    async def test_a_damaged_entry_is_missed_removed_and_counted(self) -> None:
        await self.tier.put(KEY, ENTRY)
        path = entry_path(self.root, KEY)
        path.write_bytes(path.read_bytes()[:-1])
        self.assertIsNone(await self.tier.get(KEY))
        self.assertEqual((path.exists(), self.faults), (False, [("disk", "corrupt")]))

    async def test_a_directory_that_is_none_costs_entries_and_nothing_else(self) -> None:
        blocked = Path(self.root, "file")
        blocked.write_text("in the way")
        tier = self.make(str(blocked))
        await tier.put(KEY, ENTRY)
        self.assertIsNone(await tier.get(KEY))
        self.assertEqual({fault for _, fault in self.faults}, {"io"})

    async def test_what_is_larger_than_the_tier_is_not_written(self) -> None:
        tier = self.make(self.root, max_bytes=100)
        await tier.put(KEY, ENTRY)
        self.assertIsNone(await tier.get(KEY))

    async def test_remove(self) -> None:
        await self.tier.put(KEY, ENTRY)
        self.assertEqual((await self.tier.remove(KEY), await self.tier.remove(KEY)), (True, False))

    async def test_what_is_removed_while_it_is_being_written_stays_removed(self) -> None:
        keys = [number_key(number) for number in range(50)]
        changes: list[Deferred[Any]] = []
        for key in keys:
            changes += [self.tier.put(key, ENTRY), self.tier.remove(key)]
        for change in changes:
            await change
        self.assertEqual([await self.tier.get(key) for key in keys], [None] * 50)

    async def test_the_last_of_several_writes_stays(self) -> None:
        sizes = range(300_000, 0, -30_000)
        for change in [self.tier.put(KEY, sized(size)) for size in sizes]:
            await change
        self.assertEqual(await self.tier.get(KEY), sized(sizes[-1]))

    async def test_a_fault_is_told_once_a_minute_with_what_to_do(self) -> None:
        blocked = Path(self.root, "file")
        blocked.write_text("in the way")
        tier = self.make(str(blocked))
        with capturedLogs() as events:
            for _ in range(3):
                await tier.get(KEY)
            self.clock.advance(61)
            await tier.get(KEY)
        lines = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        warnings = [line for line in lines if "journal" not in line]
        self.assertEqual(len(warnings), 2)
        self.assertIn("IMGFORGE_CACHE_DISK_PATH", warnings[0])
        self.assertIn("the disk cache cannot read or write", warnings[0])


class StalledMediumTests(DiskTierCase):
    """A dead share: nothing that was begun comes back, until `revive`."""

    def setUp(self) -> None:
        super().setUp()
        self.dead = threading.Event()
        self.revive = self.dead.set
        self.addCleanup(self.revive)
        for _ in range(4):
            self.tier._threads.run(self.dead.wait)

    async def test_a_look_up_is_a_miss_after_a_second_and_the_next_ones_at_once(self) -> None:
        first = self.tier.get(KEY)
        self.clock.advance(0.9)
        self.assertNoResult(first)
        self.clock.advance(0.2)
        self.assertIsNone(self.successResultOf(first))
        self.assertIsNone(self.successResultOf(self.tier.get(KEY)))
        self.successResultOf(self.tier.put(KEY, ENTRY))
        self.assertEqual(self.faults, [("disk", "slow")] * 3)

    async def test_it_is_in_use_again_once_it_answers(self) -> None:
        self.tier.get(KEY)
        self.clock.advance(1.1)
        self.revive()
        await self.until(lambda: not self.tier._threads.stalled)
        await self.tier.put(KEY, ENTRY)
        self.assertEqual(await self.tier.get(KEY), ENTRY)

    async def test_what_waits_to_be_written_is_bounded(self) -> None:
        megabyte = sized(1 << 20)
        for number in range(70):
            self.tier.put(number_key(number), megabyte)
        self.assertEqual(self.faults, [("disk", "slow")] * 6)

    async def test_the_server_ends_all_the_same(self) -> None:
        self.tier.put(KEY, ENTRY)
        closing = self.tier.close()
        self.assertNoResult(closing)
        self.clock.pump([3.1, 3.1])
        self.successResultOf(closing)


class SlowReadTests(DiskTierCase):
    """One file does not come; the medium serves the others."""

    async def large_look_up(self) -> Deferred[CacheEntry | None]:
        """A look-up of 100 MB that is being read; the read ends at `go_on`."""
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)
        reading = threading.Event()
        big = sized(100 << 20)
        await self.tier.put(KEY, big)
        await self.tier.put(number_key(1), ENTRY)
        really_read = entry_file._read

        def slow(descriptor: int, key: bytes, size: int, longest: int) -> CacheEntry:
            if size > 1 << 20:
                reading.set()
                self.go_on.wait(30)
            return really_read(descriptor, key, size, longest)

        self.patch(entry_file, "_read", slow)
        found = self.tier.get(KEY)
        await self.until(reading.is_set)
        return found

    async def test_what_is_large_may_take_longer(self) -> None:
        found = await self.large_look_up()
        self.clock.pump([1.0] * 12)
        self.assertNoResult(found)
        self.go_on.set()
        entry = await found
        self.assertEqual((entry and len(entry.rendition.body), self.faults), (100 << 20, []))

    async def test_but_not_for_ever(self) -> None:
        found = await self.large_look_up()
        self.clock.pump([1.0] * 14)
        self.assertIsNone(self.successResultOf(found))

    async def test_one_that_hangs_costs_the_other_look_ups_nothing(self) -> None:
        await self.large_look_up()
        self.clock.pump([1.0] * 20)
        self.assertEqual(self.faults, [("disk", "slow")])
        self.assertEqual(await self.tier.get(number_key(1)), ENTRY)
        await self.tier.put(number_key(2), ENTRY)
        self.assertEqual(await self.make(self.root).get(number_key(2)), ENTRY)
        self.assertEqual(self.faults, [("disk", "slow")])

    async def test_when_two_hang_the_tier_rests_until_one_comes_back(self) -> None:
        await self.large_look_up()
        self.tier.get(KEY)
        self.clock.pump([1.0] * 20)
        self.assertIsNone(await self.tier.get(number_key(1)))
        self.go_on.set()
        await self.until(lambda: not self.tier._threads.stalled)
        self.assertEqual(await self.tier.get(number_key(1)), ENTRY)
