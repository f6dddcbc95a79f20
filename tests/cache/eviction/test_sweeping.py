"""The sweep: under the limits afterwards, and nothing touched that is not ours."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from pathlib import Path

from imgforge.cache import DiskLimits, Sweep, SweepOptions, sweep
from imgforge.cache.eviction.sweeping import last_sweep
from tests.support.cache_directory import Directory, write


class SweepTests(Directory):
    def left(self) -> set[Path]:
        return set(Path(self.root).rglob("*.entry"))

    def test_nothing_happens_below_the_limits(self) -> None:
        for number in range(10):
            write(self.root, number)
        result = sweep(self.root, DiskLimits(10**6, 100))
        self.assertEqual((result and result.entries, len(self.left())), (10, 10))

    def test_the_oldest_go_until_the_entries_fit(self) -> None:
        paths = [write(self.root, number, age=1000 - number) for number in range(40)]
        sweep(self.root, DiskLimits(0, 20))
        self.assertEqual(self.left(), set(paths[21:]))

    def test_the_oldest_go_until_the_bytes_fit(self) -> None:
        paths = [write(self.root, number, size=10_000, age=1000 - number) for number in range(20)]
        result = sweep(self.root, DiskLimits(100_000))
        self.assertLessEqual(sum(path.stat().st_size for path in self.left()), 100_000)
        self.assertLessEqual(self.left(), set(paths[10:]))
        self.assertEqual(result and result.bytes, sum(path.stat().st_size for path in self.left()))

    def test_what_is_too_old_goes(self) -> None:
        write(self.root, 1, age=500)
        young = write(self.root, 2, age=50)
        sweep(self.root, DiskLimits(age=100))
        self.assertEqual(self.left(), {young})

    def test_left_over_temporary_files_go_and_fresh_ones_stay(self) -> None:
        path = write(self.root, 1)
        old, fresh = (path.with_name(f"{path.stem}.{process}-0123456789ab.partial") for process in (1, 2))
        for one in (old, fresh):
            one.write_bytes(b"x")
        os.utime(old, (0, 0))
        sweep(self.root, DiskLimits())
        self.assertEqual((old.exists(), fresh.exists()), (False, True))

    def test_what_is_not_ours_is_left_alone(self) -> None:
        with tempfile.TemporaryDirectory() as elsewhere:
            precious = Path(elsewhere, "00", "precious.entry")
            precious.parent.mkdir()
            precious.write_bytes(bytes(5000))
            Path(self.root, "aa").symlink_to(elsewhere)
            others = [Path(self.root, "README"), write(self.root, 9).with_name("book.entry")]
            others += [
                Path(self.root, *names) for names in (("en", "us", "0" * 64 + ".entry"), ("00", "00", "a.partial"))
            ]
            for other in others:
                other.parent.mkdir(parents=True, exist_ok=True)
                other.write_text("mine")
                os.utime(other, (0, 0))
            for number in range(5):
                write(self.root, number, age=100)
            sweep(self.root, DiskLimits(1, 1))
            self.assertTrue(all(path.exists() for path in (precious, *others)))

    def test_one_sweeps_at_a_time(self) -> None:
        write(self.root, 1)
        sweep(self.root, DiskLimits())
        with open(Path(self.root, "janitor.lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIsNone(sweep(self.root, DiskLimits(1, 1)))
        self.assertEqual(len(self.left()), 1)

    def test_all_processes_together_rest_between_sweeps(self) -> None:
        for number in range(4):
            write(self.root, number)
        self.assertIsNotNone(sweep(self.root, DiskLimits(0, 4), SweepOptions(rest=60)))
        write(self.root, 4)
        self.assertIsNone(sweep(self.root, DiskLimits(0, 4), SweepOptions(rest=60)))
        self.assertIsNotNone(sweep(self.root, DiskLimits(0, 4)))
        self.assertEqual(len(self.left()), 3)

    def test_all_processes_know_what_the_last_sweep_left(self) -> None:
        self.assertIsNone(last_sweep(self.root))
        for number in range(4):
            write(self.root, number)
        result = sweep(self.root, DiskLimits(0, 3))
        known = last_sweep(self.root)
        self.assertEqual((known and known.bytes, known and known.entries), (result and result.bytes, len(self.left())))
        self.assertIsNone(sweep(self.root, DiskLimits(0, 3), SweepOptions(rest=60)))  # to be asked is no sweep
        Path(self.root, "janitor.left").write_text("damaged")
        self.assertIsNone(last_sweep(self.root))

    def test_all_processes_know_when_one_last_looked_for_purged_entries(self) -> None:
        write(self.root, 1)
        before = time.time()
        looked = sweep(self.root, DiskLimits(), SweepOptions(purged=lambda _: False))
        assert looked is not None
        self.assertTrue(before <= looked.looked_at <= time.time())
        sweep(self.root, DiskLimits())
        self.assertEqual(last_sweep(self.root), Sweep(looked.bytes, 1, looked_at=looked.looked_at))
        for written, kept in (("5 1", 0.0), ("5 1 nan", 0.0), ("5 1 1e99", 0.0), ("5 1 -3", 0.0), ("5 1 7.5", 7.5)):
            Path(self.root, "janitor.left").write_text(f"{written}\n")
            self.assertEqual(last_sweep(self.root), Sweep(5, 1, looked_at=kept), written)

    def test_a_clock_that_was_put_back_does_not_stop_the_sweeps(self) -> None:
        sweep(self.root, DiskLimits(0, 4))
        later = time.time() + 10_000
        os.utime(Path(self.root, "janitor.lock"), (later - 1, later))
        self.assertIsNotNone(sweep(self.root, DiskLimits(0, 4), SweepOptions(rest=60)))

    def test_a_sweep_that_is_told_to_stop_removes_nothing_more(self) -> None:
        for number in range(4):
            write(self.root, number)
        self.assertIsNone(sweep(self.root, DiskLimits(1, 1), SweepOptions(stopping=lambda: True)))
        self.assertEqual(len(self.left()), 4)
