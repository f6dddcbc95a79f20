"""Tables count requests by minute; files of other processes are merged, and broken ones left out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import ImageRequest, ProcessingOptions
from imgforge.observability import RequestRecord
from imgforge.service.telemetry.top import Minute, SharedMinutes, TopTables, merged
from imgforge.web import TargetHits


def record(source: str = "http://o/a.png", seconds: float = 0.5, status: int = 200, width: int = 10) -> RequestRecord:
    """A request that has ended."""
    made = RequestRecord(
        target=b"/s/w:%d/plain/%s?q" % (width, source.encode("utf-8", "surrogateescape")), began=0.0, ended=seconds
    )
    made.image = ImageRequest(source, ProcessingOptions(width=width))
    made.source, made.format, made.status, made.size = source, "webp", status, 1000
    return made


def names(minute: Minute, table: str, by: str) -> list[str]:
    return [row["name"] for row in minute.tables[table][by].top(10)]


class TableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tables = TopTables(10, self.clock.seconds)

    def test_requests_are_ranked_by_source_origin_options_and_format(self) -> None:
        for _ in range(3):
            self.tables.note(record())
        self.tables.note(record("http://p/slow.png", seconds=9.0, width=20))
        self.tables.note(record("http://p/bad.png", status=404))
        self.tables.fold()
        minute = self.tables.present
        self.assertEqual(names(minute, "sources", "count")[0], "http://o/a.png")
        self.assertEqual(names(minute, "sources", "time")[0], "http://p/slow.png")
        self.assertEqual(names(minute, "sources", "errors"), ["http://p/bad.png"])
        self.assertEqual(names(minute, "origins", "time"), ["http://p", "http://o"])
        self.assertEqual(names(minute, "options", "time"), ["width=20", "width=10"])
        self.assertEqual(names(minute, "formats", "bytes"), ["webp"])
        self.assertEqual(minute.totals, (5.0, 11.0, 5000.0, 1.0, 0.0))

    def test_what_asks_for_no_image_and_who_leaves_is_no_error(self) -> None:
        self.tables.note(RequestRecord(target=b"/metrics", status=403))
        self.tables.note(record(status=499))
        self.tables.fold()
        self.assertEqual(self.tables.present.totals[0], 1.0)
        self.assertEqual(self.tables.present.totals[3], 0.0)

    def test_what_looks_into_the_caches_only_is_not_counted(self) -> None:
        probe = record(status=504)
        probe.only_cached = True
        self.tables.note(probe)
        self.tables.fold()
        self.assertEqual(self.tables.present.totals[0], 0.0)

    def test_hits_have_the_options_of_the_request_that_was_rendered(self) -> None:
        self.tables.note(record(width=30))
        target = b"/s/w:30/plain/http://o/a.png"
        self.tables.note_hits([TargetHits(target, "http://o/a.png", "webp", 16, 16000, sampled=True)])
        self.tables.fold()
        (row,) = self.tables.present.tables["options"]["count"].top(10)
        self.assertEqual((row["name"], row["count"], row["bytes"], row["estimated"]), ("width=30", 17, 17000, 16))

    def test_minutes_end_and_five_are_kept(self) -> None:
        for number in range(8):
            self.tables.note(record(f"http://o/{number}"))
            self.tables.fold()
            self.assertEqual((self.tables.present.minute, self.tables.present.totals[0]), (number, 1.0))
            self.clock.advance(60)
            self.tables.fold()
            self.assertEqual((self.tables.present.minute, self.tables.present.totals[0]), (number + 1, 0.0))
        self.assertEqual([one.minute for one in self.tables.finished], [3, 4, 5, 6, 7])
        whole = merged(self.tables.finished, 10)
        self.assertEqual(sorted(names(whole, "sources", "count")), [f"http://o/{number}" for number in range(3, 8)])

    def test_names_that_are_no_utf8_do_not_break_the_file(self) -> None:
        self.tables.note(record("http://o/\udcff.png"))
        self.tables.fold()
        self.assertEqual(names(self.tables.present, "sources", "count"), ["http://o/?.png"])
        self.assertEqual(msgspec.json.decode(msgspec.json.encode(self.tables.present), type=Minute).totals[0], 1.0)

    def test_long_targets_are_not_remembered(self) -> None:
        self.tables.note(record("http://o/" + "a" * 2000))
        self.assertEqual(len(self.tables._options), 0)
        for number in range(3000):
            self.tables.note(record(f"http://o/{number}"))
        self.assertEqual(len(self.tables._options), 2000)

    def test_waiting_names_are_bounded(self) -> None:
        for number in range(5000):
            self.tables.note(record(f"http://o/{number}"))
        self.assertLess(sum(map(len, self.tables._waiting.values())), 8001)
        self.assertLessEqual(len(self.tables.present.tables["sources"]["count"].rows), 20)


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name
        self.mine, self.others = (SharedMinutes(self.directory, pid) for pid in (1, 2))

    def document(self, minute: int) -> bytes:
        tables = TopTables(10, lambda: 60.0 * minute)
        tables.note(record())
        tables.fold()
        return msgspec.json.encode(tables.present)

    def test_other_processes_minutes_are_read(self) -> None:
        self.mine.write(9, self.document(9))
        for minute in (3, 8, 9):
            self.others.write(minute, self.document(minute))
        self.assertEqual(len(os.listdir(self.directory)), 3)  # 3 and 9 share a place
        found = list(self.mine.read_others(least=8))
        self.assertEqual(sorted((pid, one.minute) for pid, one in found), [("2", 8), ("2", 9)])
        self.assertEqual(merged((one for _, one in found), 10).totals[0], 2.0)

    def test_files_that_are_broken_foreign_or_too_long_are_left_out(self) -> None:
        good = self.document(9)
        for number, content in enumerate(
            (b"", b"{}", good[:-5], b"[" * 100_000, good.replace(b'"count"', b'"count2"', 1)[:20], b"\x80\x04N.")
        ):
            Path(self.directory, f"top.7.{number}").write_bytes(content)
        with Path(self.directory, "top.8.0").open("wb") as file:
            file.truncate(9 * 1024 * 1024)
        Path(self.directory, "top.9.0").symlink_to("/dev/zero")
        os.mkfifo(Path(self.directory, "top.9.1"))
        Path(self.directory, "counter_1.db").write_bytes(good)
        self.assertEqual(list(self.mine.read_others(least=0)), [])

    def test_files_of_processes_that_are_long_gone_are_removed(self) -> None:
        self.others.write(1, b"old")
        self.mine.write(2, b"new")
        os.utime(Path(self.directory, "top.2.1"), (1000, 1000))
        self.mine.remove_old(2000.0)
        self.assertEqual(os.listdir(self.directory), ["top.1.2"])

    def test_directory_that_is_gone_costs_nothing_else(self) -> None:
        gone = SharedMinutes(self.directory + "/gone", 1)
        gone.write(1, b"x")
        gone.remove_old(1.0)
        self.assertEqual(list(gone.read_others(0)), [])
