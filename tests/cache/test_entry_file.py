"""A file is believed when it is whole, and costs nothing when it is not."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from unittest import SkipTest

from hypothesis import given
from hypothesis import strategies as st

from imgforge.cache import CorruptEntry, entry_path, read_entry, write_entry
from tests.support.cache_directory import ENTRY, KEY, Directory


class FileTests(Directory):
    def setUp(self) -> None:
        super().setUp()
        self.path = entry_path(self.root, KEY)
        write_entry(self.path, KEY, ENTRY)

    def spoil(self, change: Callable[[bytearray], object]) -> None:
        content = bytearray(self.path.read_bytes())
        change(content)
        self.path.write_bytes(content)

    def test_what_is_written_is_read(self) -> None:
        self.assertEqual(read_entry(self.path, KEY), ENTRY)

    def test_nothing_but_the_entry_is_left(self) -> None:
        files = [path for path in Path(self.root).rglob("*") if path.is_file()]
        self.assertEqual(files, [self.path])

    def test_no_flipped_bit_is_believed(self) -> None:
        whole = self.path.read_bytes()
        for at in [*range(120), *range(120, len(whole), 37)]:
            self.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with self.assertRaises(CorruptEntry):
                read_entry(self.path, KEY)

    def test_no_cut_file_is_believed(self) -> None:
        whole = self.path.read_bytes()
        for length in (0, 1, 35, 36, 60, len(whole) - 1):
            self.path.write_bytes(whole[:length])
            with self.assertRaises(CorruptEntry):
                read_entry(self.path, KEY)

    def test_lengths_that_lie_allocate_nothing(self) -> None:
        def lie(content: bytearray) -> None:
            content[12:20] = b"\x7f" + b"\xff" * 7

        self.spoil(lie)
        with self.assertRaisesRegex(CorruptEntry, "length"):
            read_entry(self.path, KEY)

    def test_another_keys_file_is_not_believed(self) -> None:
        other = bytes(32)
        entry_path(self.root, other).parent.mkdir(parents=True)
        self.path.rename(entry_path(self.root, other))
        with self.assertRaisesRegex(CorruptEntry, "key"):
            read_entry(entry_path(self.root, other), other)

    def test_links_and_pipes_are_not_followed(self) -> None:
        target = Path(self.root, "target")
        self.path.rename(target)
        self.path.symlink_to(target)
        with self.assertRaises(OSError):
            read_entry(self.path, KEY)
        self.path.unlink()
        os.mkfifo(self.path)
        with self.assertRaises(CorruptEntry):
            read_entry(self.path, KEY)

    def test_a_pipe_with_a_writer_is_not_waited_for(self) -> None:
        self.path.unlink()
        os.mkfifo(self.path)
        ends = [os.open(self.path, flag | os.O_NONBLOCK) for flag in (os.O_RDONLY, os.O_WRONLY)]
        for end in ends:
            self.addCleanup(os.close, end)
        with self.assertRaises(CorruptEntry):
            read_entry(self.path, KEY)

    def test_a_directory_in_an_entrys_place_costs_no_descriptor(self) -> None:
        self.path.unlink()
        self.path.mkdir()
        before = set(os.listdir("/proc/self/fd"))
        for _ in range(5):
            with self.assertRaises(CorruptEntry):
                read_entry(self.path, KEY)
        self.assertLessEqual(set(os.listdir("/proc/self/fd")), before)

    def test_a_body_beyond_the_limit_is_not_read(self) -> None:
        self.assertEqual(read_entry(self.path, KEY, longest=600), ENTRY)
        with self.assertRaisesRegex(CorruptEntry, "length"):
            read_entry(self.path, KEY, longest=599)

    def test_a_sparse_file_of_a_terabyte_allocates_nothing(self) -> None:
        with open(self.path, "wb") as file:
            file.write(struct.pack(">8sIQ16s", b"imgforg2", 1, 1 << 40, bytes(16)))
            file.truncate(37 + (1 << 40))
        with self.assertRaisesRegex(CorruptEntry, "length"):
            read_entry(self.path, KEY)

    def forge(self, header: bytes) -> None:
        """A file with *header*, an empty body and the right checksum."""
        digest = blake2b(header, digest_size=16).digest()
        self.path.write_bytes(struct.pack(">8sIQ16s", b"imgforg2", len(header), 0, digest) + header)

    def test_metadata_of_any_depth_are_refused_calmly(self) -> None:
        honest = self.path.read_bytes()
        header = honest[36 : 36 + int.from_bytes(honest[8:12], "big")]
        # One more field behind those that are known, of lists in lists.
        self.forge(b"\x93" + header[1:] + b"\x91" * 60_000 + b"\x90")
        with self.assertRaisesRegex(CorruptEntry, "metadata"):
            read_entry(self.path, KEY)

    @given(st.binary(max_size=300))
    def test_metadata_with_a_right_checksum_are_not_trusted_for_it(self, header: bytes) -> None:
        self.forge(header)
        with self.assertRaises(CorruptEntry):
            read_entry(self.path, KEY)

    def test_an_old_entry_of_another_user_is_read_though_it_cannot_be_touched(self) -> None:
        if os.geteuid():
            raise SkipTest("only root can become another user")
        os.chmod(self.path, 0o644)
        for directory in self.path.parents[:3]:
            directory.chmod(0o755)
        os.utime(self.path, (1, 1))
        os.seteuid(65534)
        try:
            self.assertEqual(read_entry(self.path, KEY), ENTRY)
        finally:
            os.seteuid(0)

    def test_reading_touches_an_entry_now_and_then(self) -> None:
        for age, touched in ((200, False), (400, True)):
            written = time.time() - age
            os.utime(self.path, (written, written))
            read_entry(self.path, KEY)
            self.assertEqual(self.path.stat().st_mtime > written + 1, touched)
