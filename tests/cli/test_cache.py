"""`imgforge cache` on directories that the tests write; on one that a server wrote: test_running_server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from imgforge.cache import entry_path
from tests.cli.runner import imgforge
from tests.support.cache_directory import ENTRY, Directory, number_key, write
from tests.support.process import ROOT


class CacheCommandTests(Directory):
    def cache(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        result = imgforge("cache", *arguments, IMGFORGE_CACHE_DISK_PATH=self.root)
        return result.returncode, json.loads(result.stdout or "{}"), result.stderr

    def test_stats_counts_entries_and_ignores_other_files(self) -> None:
        empty = {"entries": 0, "bytes": 0}
        self.assertEqual(self.cache("stats"), (0, empty | {"originals": empty}, ""))
        sizes = [write(self.root, number).stat().st_size for number in range(3)]
        Path(self.root, "other").write_text("not ours")
        original = write(os.path.join(self.root, "originals"), 7, size=5000).stat().st_size
        counted = {"entries": 3, "bytes": sum(sizes), "originals": {"entries": 1, "bytes": original}}
        self.assertEqual(self.cache("stats"), (0, counted, ""))

    def test_prune_removes_the_least_recently_used_entries(self) -> None:
        sizes = [write(self.root, number, age=number * 100).stat().st_size for number in range(10)]
        size = sizes[0]
        status, pruned, _ = self.cache("prune", "--max-bytes", str(size * 5))
        self.assertEqual((status, pruned), (0, {"removed": 6, "entries": 4, "bytes": 4 * size}))
        self.assertTrue(entry_path(self.root, number_key(0)).exists())
        self.assertEqual(self.cache("prune", "--max-bytes", "0")[1]["entries"], 0)

    def test_verify_reports_and_removes_damaged_entries(self) -> None:
        paths = [write(self.root, number, age=1000) for number in range(4)]
        last_used = [path.stat().st_mtime for path in paths]
        self.assertEqual(self.cache("verify")[:1], (0,))
        self.assertEqual([path.stat().st_mtime for path in paths], last_used)
        paths[1].write_bytes(paths[1].read_bytes()[:-1] + b"x")
        paths[2].write_bytes(b"imgforg1" + paths[2].read_bytes()[8:])
        status, report, lines = self.cache("verify", "--keep")
        self.assertEqual((status, report["damaged"], report["old"], report["removed"]), (1, 1, 1, 0))
        self.assertEqual(sorted(line.split(":")[0] for line in lines.splitlines()), sorted(map(str, paths[1:3])))
        self.assertEqual(self.cache("verify")[1]["removed"], 2)
        self.assertEqual([path.exists() for path in paths], [True, False, False, True])
        self.assertEqual(self.cache("verify")[0], 0)

    def test_a_reader_that_leaves_ends_it_quietly(self) -> None:
        for number in range(3):
            write(self.root, number)
        reading, writing = os.pipe()
        os.close(reading)
        program = "from imgforge.cli import main; main()"
        environment = os.environ | {"PYTHONPATH": str(ROOT), "IMGFORGE_CACHE_DISK_PATH": self.root}
        ended = subprocess.run(
            [sys.executable, "-c", program, "cache", "find", "--source", ENTRY.source],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment,
            check=False,
        )
        os.close(writing)
        self.assertEqual((ended.returncode, ended.stderr), (1, b""))

    def test_show_reports_malformed_and_unknown_keys_in_one_line(self) -> None:
        for key in ("nonsense", "ab", "../" * 11, "00" * 32):
            status, shown, errors = self.cache("show", key)
            self.assertEqual((status, shown, len(errors.splitlines())), (1, {}, 1), errors)

    def test_stats_without_a_cache_directory_fails_in_one_line(self) -> None:
        home = {"HOME": self.root}
        result = imgforge("cache", "stats", IMGFORGE_CACHE_TYPE="memory", **home)
        self.assertEqual((result.returncode, "IMGFORGE_CACHE_DISK_PATH" in result.stderr), (1, True))
        result = imgforge("cache", "stats", IMGFORGE_CACHE_DISK_PATH=os.path.join(self.root, "none"))
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1))
