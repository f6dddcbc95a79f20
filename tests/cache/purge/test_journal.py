"""The journal by which processes tell each other of purges."""

from __future__ import annotations

import os
from pathlib import Path

from imgforge.cache import Purge
from imgforge.cache.purge.journal import Journal
from tests.support.cache_directory import Directory


class JournalTests(Directory):
    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.root, "purges")
        self.writer, self.reader = Journal(self.root), Journal(self.root)

    def test_what_one_appends_the_other_reads_once(self) -> None:
        self.assertEqual(self.reader.read_new(), (False, []))
        purges = [Purge(1.0, "source", "http://x/ä\n"), Purge(2.0, "tag", "t")]
        self.writer.append(purges[0])
        self.assertEqual(self.reader.read_new()[1], purges[:1])
        self.writer.append(purges[1])
        self.assertEqual(self.reader.read_new(), (False, purges[1:]))
        self.assertEqual(self.reader.read_new(), (False, []))

    def test_what_is_taken_out_is_gone_for_all(self) -> None:
        purges = [Purge(float(at), "tag", str(at)) for at in range(4)]
        for purge in purges:
            self.writer.append(purge)
        self.reader.read_new()
        self.writer.compact(lambda purge: purge.at >= 2)
        self.assertEqual(self.reader.read_new(), (True, purges[2:]))
        self.writer.append(purges[0])
        self.assertEqual(self.reader.read_new(), (False, purges[:1]))
        self.assertEqual(os.listdir(self.root), ["purges"])

    def test_a_file_that_is_removed_begins_anew(self) -> None:
        self.writer.append(Purge(1.0, "tag", "a"))
        self.reader.read_new()
        self.path.unlink()
        self.assertEqual(self.reader.read_new(), (True, []))
        self.writer.append(Purge(2.0, "tag", "b"))
        self.assertEqual(self.reader.read_new()[1], [Purge(2.0, "tag", "b")])

    def test_half_a_line_hides_neither_what_was_before_nor_what_follows(self) -> None:
        first, last = Purge(1.0, "tag", "a"), Purge(2.0, "tag", "b")
        self.writer.append(first)
        with self.path.open("ab") as file:
            file.write(b'{"at":1,"kind":"tag","va')
        self.assertEqual(self.reader.read_new()[1], [first])
        self.writer.append(last)
        self.assertEqual(self.reader.read_new()[1], [last])

    def test_no_garbage_is_a_purge(self) -> None:
        deep = b'{"x":' + b"[" * 50_000
        for line in (deep, b"\xff\xfe", b'{"at":1}', b'{"at":1,"kind":"all","value":"x"}', b"[" * 100_000, b"null"):
            self.path.write_bytes(line + b"\n")
            self.assertEqual(Journal(self.root).read_new()[1], [], line[:40])

    def test_a_purge_from_the_future_is_one_of_now(self) -> None:
        self.writer.append(Purge(1e12, "tag", "a"))
        self.assertLess(self.reader.read_new()[1][0].at, 1e11)
