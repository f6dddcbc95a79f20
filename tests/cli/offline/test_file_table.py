"""The files of a run of `imgforge process`: their order, the names of results, and how little memory they take."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from imgforge.cli.offline import FileTable, InputFile, find_inputs
from tests.support.fresh_python import output_of

# Paths whose list in memory would take 40 MB and more; the peak of memory is in kilobytes.
_MANY = """
import resource
from imgforge.cli.offline import FileTable, InputFile

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before, table = peak(), FileTable()
for number in range(40000):
    table.add(InputFile(f"/x{number:0200}y{number:0200}.jpg", ""))
while file := table.take():
    assert table.claim(file.path + ".webp", file.path) == file.path
print(table.count, peak() - before)
"""


class FileTableTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.table = FileTable()

    def taken(self) -> list[InputFile]:
        return list(iter(self.table.take, None))

    def write(self, *names: str | bytes) -> None:
        for name in names:
            path = os.path.join(os.fsencode(self.root), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb"):
                pass

    def test_files_come_in_their_order_and_each_once(self) -> None:
        self.write("b/2.jpg", "b/1.jpg", "b/c/0.jpg", "a.jpg", "b.txt")
        (self.root / "z.jpg").symlink_to(self.root / "a.jpg")
        arguments = [f"{self.root}/b/../b/2.jpg", str(self.root), f"{self.root}/**/*.jpg"]
        for file in find_inputs(arguments, {"jpg"}):
            self.table.add(file)
        taken = [(os.path.relpath(file.path, self.root), file.directory) for file in self.taken()]
        self.assertEqual(taken, [("b/2.jpg", ""), ("a.jpg", ""), ("b/1.jpg", "b"), ("b/c/0.jpg", "b/c")])
        self.assertEqual(self.table.count, 4)

    def test_matches_of_a_pattern_come_in_the_order_of_their_names(self) -> None:
        names = [f"{number}/{letter}.jpg" for number in range(3) for letter in "abc"]
        self.write(*reversed(names))
        found = [os.path.relpath(file.path, self.root) for file in find_inputs([f"{self.root}/*/*"], ())]
        self.assertEqual(found, names)

    def test_more_files_than_are_read_at_once_all_come(self) -> None:
        for number in range(1000):
            self.table.add(InputFile(f"/none/{number}"))
        self.assertEqual([file.path for file in self.taken()], [f"/none/{number}" for number in range(1000)])
        self.assertIsNone(self.table.take())

    def test_names_of_any_bytes_are_kept(self) -> None:
        self.write(b"\xff\xfe.jpg", "\N{SNOWMAN}.jpg", "a\nb.jpg")
        for file in find_inputs([str(self.root)], {"jpg"}):
            self.table.add(file)
        names = {os.fsencode(os.path.basename(file.path)) for file in self.taken()}
        self.assertEqual(names, {b"\xff\xfe.jpg", "\N{SNOWMAN}.jpg".encode(), b"a\nb.jpg"})

    def test_name_of_a_result_belongs_to_the_first_file_that_claims_it(self) -> None:
        self.assertFalse(self.table.is_claimed("o/a.webp"))
        self.assertEqual(self.table.claim("o/a.webp", "a.jpg"), "a.jpg")
        self.assertEqual(self.table.claim("o/a.webp", "a.png"), "a.jpg")
        self.assertEqual(self.table.claim("o/a.webp", "a.jpg"), "a.jpg")
        self.assertTrue(self.table.is_claimed("o/a.webp"))

    def test_memory_does_not_grow_with_the_files(self) -> None:
        count, kilobytes = map(int, output_of(_MANY).split())
        self.assertEqual(count, 40000)
        self.assertLess(kilobytes, 16 * 1024)
