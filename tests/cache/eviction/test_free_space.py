"""Eviction for free space: on a full disk, and before it is full."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import SkipTest

from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import DiskTier, disk, entry_path, sweep
from imgforge.cache.eviction import janitor
from tests.support.cache_directory import ENTRY, KEY, DiskTierCase, sized, write
from tests.support.process import Twistd, wait_for


class NoRoomTests(DiskTierCase):
    """A medium that is full; how full it is, the test says in place of the file system."""

    def setUp(self) -> None:
        super().setUp()
        self.tier._janitor.stopService()  # the tests make their own
        self.paths = [write(self.root, number, size=10_000, age=1000 - number) for number in range(40)]
        self.size = self.paths[0].stat().st_size
        self.free = 0
        self.total = 10 << 20
        self.patch(os, "statvfs", self.statvfs)

    def statvfs(self, _: str) -> SimpleNamespace:
        gone = 40 - len(self.entry_files())
        return SimpleNamespace(f_blocks=self.total, f_frsize=1, f_bavail=self.free + max(0, gone) * self.size)

    def on(self, min_free: int) -> DiskTier:
        self.tier = self.make(self.root, min_free=min_free)
        return self.tier

    async def swept(self, left: int) -> None:
        await self.rested()
        self.clock.advance(1)
        await self.until(lambda: len(self.entry_files()) == left)

    async def test_the_oldest_go_where_the_medium_says_that_it_is_full(self) -> None:
        tier = self.on(0)
        await self.swept(40)  # the sweep at the start finds nothing to do
        await self.rested()
        for code in (errno.ENOSPC, errno.EDQUOT):

            def refuse(*_: object, code: int = code) -> int:
                raise OSError(code, os.strerror(code))

            refusing = self.patch(disk, "write_entry", refuse)
            before = len(self.entry_files())
            await tier.put(KEY, sized(10_000))
            refusing.restore()
            await self.swept(before - 2)
            await self.rested()
        self.assertEqual(self.faults, [("disk", "full")] * 2)
        self.assertEqual([path.exists() for path in self.paths[:6]], [False] * 4 + [True] * 2)

    async def test_a_floor_is_kept(self) -> None:
        self.free = 100 * self.size
        tier = self.on(5 * self.size)
        await self.rested()  # from the sweep at the start, which finds nothing to do
        self.free = 0
        await tier.put(KEY, sized(10_000))
        self.assertFalse(entry_path(self.root, KEY).exists())
        self.assertEqual(self.faults, [("disk", "full")])
        await self.swept(40 - 7)  # the floor, and a quarter of it, in whole entries
        await tier.put(KEY, sized(10_000))
        self.assertTrue(entry_path(self.root, KEY).exists())

    async def test_room_is_made_before_there_is_none(self) -> None:
        self.free = 7 * self.size
        tier = self.on(6 * self.size)
        await self.rested()
        await tier.put(KEY, sized(9_000))
        self.assertEqual((len(self.entry_files()), self.faults), (41, []))
        await self.swept(38)  # what is lacking, but at least a twentieth

    async def test_by_default_it_is_a_part_of_a_small_medium(self) -> None:
        self.total = 100 * self.size
        self.on(-1)
        await self.swept(40 - 7)

    async def test_what_is_a_large_part_of_the_medium_displaces_nothing(self) -> None:
        self.total, self.free = 20 * self.size, 9 * self.size
        tier = self.on(-1)
        await tier.put(KEY, sized(6 * self.size))
        self.assertEqual(self.faults, [("disk", "too_large")])
        self.clock.pump([1.0] * 3)
        await tier.close()
        self.assertEqual(len(self.entry_files()), 40)

    async def test_a_medium_that_does_not_say_is_not_full(self) -> None:
        self.total = 0
        tier = self.on(-1)
        await tier.put(KEY, sized(10_000))
        self.assertEqual((len(self.entry_files()), self.faults), (41, []))

    async def test_where_others_have_filled_it_one_looks_again_after_a_minute_only(self) -> None:
        for path in self.paths:
            path.unlink()
        self.patch(os, "statvfs", lambda _: SimpleNamespace(f_blocks=10 << 20, f_frsize=1, f_bavail=0))
        sweeps: list[float] = []

        def counted(*given: Any, **named: Any) -> Any:
            sweeps.append(self.clock.seconds())
            return sweep(*given, **named)

        self.patch(janitor, "sweep", counted)
        tier = self.on(-1)
        for _ in range(55):
            await tier.put(KEY, ENTRY)
            self.clock.advance(1)
            await self.rested()
        self.assertLessEqual(len(sweeps), 2)


class RealFullDiskTests(SynchronousTestCase):
    """The server with its cache on a file system of 6 MB."""

    def test_new_images_take_the_place_of_the_oldest(self) -> None:
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
            raise SkipTest("mounts need CAP_SYS_ADMIN")
        server = Twistd({"PROCESSES": "1", "CACHE_TYPE": "disk", "ALLOW_UNSIGNED": "true"})
        self.addCleanup(server.clean)
        directory = Path(server.scratch.name, "cache")
        directory.mkdir()
        noise = Image.frombytes("RGB", (256, 256), os.urandom(3 * 256 * 256))
        noise.save(Path(server.scratch.name, "noise.png"))
        server.environment = {
            "IMGFORGE_CACHE_DISK_PATH": str(directory),
            "IMGFORGE_LOCAL_FILESYSTEM_ROOT": server.scratch.name,
        }
        mount = 'mount -t tmpfs -o size=6m tmpfs "$0" && exec "$@"'
        server.wrapper = ("unshare", "-m", "sh", "-c", mount, str(directory))
        server.start()
        assert server.process is not None
        inside = Path(f"/proc/{server.process.pid}/root{directory}")

        def kept(number: int) -> bool:
            """Made if need be; whether it was on the disk then, for a write that is under way serves hits as well."""
            reply = server.get(f"/unsafe/cb:{number}/plain/local:///noise.png@png")
            return entry_path(str(inside), bytes.fromhex(reply.headers["x-cache-key"])).exists()

        def first_is_there() -> bool:
            return entry_path(str(inside), first).exists()

        first = bytes.fromhex(server.get("/unsafe/cb:0/plain/local:///noise.png@png").headers["x-cache-key"])
        wait_for(first_is_there, "the first entry")
        for number in range(1, 36):
            wait_for(lambda number=number: kept(number), f"entry {number}")  # type: ignore[misc]
        self.assertFalse(first_is_there())
        status = os.statvfs(inside)
        self.assertEqual(status.f_blocks * status.f_frsize, 6 << 20)
        self.assertGreaterEqual(status.f_bavail * status.f_frsize, (6 << 20) // 20)
        self.assertEqual(server.metric('cache_faults_total{cache_type="disk",fault="io"}'), 0.0)
