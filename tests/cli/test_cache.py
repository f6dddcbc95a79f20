"""`imgforge cache` and `imgforge purge`, run as their users run them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from imgforge.cache import entry_path
from tests.cache.directory import Directory, number_key, write
from tests.cli.test_main import imgforge
from tests.live._process import Twistd


class CacheCommandTests(Directory):
    def cache(self, *arguments: str) -> tuple[int, dict[str, int], str]:
        result = imgforge("cache", *arguments, IMGFORGE_CACHE_DISK_PATH=self.root)
        return result.returncode, json.loads(result.stdout or "{}"), result.stderr

    def test_stats_counts_entries_and_nothing_else(self) -> None:
        self.assertEqual(self.cache("stats"), (0, {"entries": 0, "bytes": 0}, ""))
        sizes = [write(self.root, number).stat().st_size for number in range(3)]
        Path(self.root, "other").write_text("not ours")
        self.assertEqual(self.cache("stats"), (0, {"entries": 3, "bytes": sum(sizes)}, ""))

    def test_prune_removes_what_has_not_been_used_longest(self) -> None:
        sizes = [write(self.root, number, age=number * 100).stat().st_size for number in range(10)]
        size = sizes[0]
        status, told, _ = self.cache("prune", "--max-bytes", str(size * 5))
        self.assertEqual((status, told), (0, {"removed": 6, "entries": 4, "bytes": 4 * size}))
        self.assertTrue(entry_path(self.root, number_key(0)).exists())
        self.assertEqual(self.cache("prune", "--max-bytes", "0")[1]["entries"], 0)

    def test_verify_finds_damage_and_removes_it(self) -> None:
        paths = [write(self.root, number, age=1000) for number in range(4)]
        used = [path.stat().st_mtime for path in paths]
        self.assertEqual(self.cache("verify")[:1], (0,))
        self.assertEqual([path.stat().st_mtime for path in paths], used)
        paths[1].write_bytes(paths[1].read_bytes()[:-1] + b"x")
        paths[2].write_bytes(b"imgforg1" + paths[2].read_bytes()[8:])
        status, told, lines = self.cache("verify", "--keep")
        self.assertEqual((status, told["damaged"], told["old"], told["removed"]), (1, 1, 1, 0))
        self.assertEqual(sorted(line.split(":")[0] for line in lines.splitlines()), sorted(map(str, paths[1:3])))
        self.assertEqual(self.cache("verify")[1]["removed"], 2)
        self.assertEqual([path.exists() for path in paths], [True, False, False, True])
        self.assertEqual(self.cache("verify")[0], 0)

    def test_without_a_directory_it_says_so(self) -> None:
        home = {"HOME": self.root}
        result = imgforge("cache", "stats", IMGFORGE_CACHE_TYPE="memory", **home)
        self.assertEqual((result.returncode, "IMGFORGE_CACHE_DISK_PATH" in result.stderr), (1, True))
        result = imgforge("cache", "stats", IMGFORGE_CACHE_DISK_PATH=os.path.join(self.root, "none"))
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1))


class PurgeCommandTests(Directory):
    def test_a_running_server_forgets(self) -> None:
        server = Twistd(
            {"PROCESSES": "1", "PURGE_SECRET": "s", "CACHE_TYPE": "disk", "CACHE_DISK_PATH": self.root},
            environment={"IMGFORGE_LOCAL_FILESYSTEM_ROOT": self.root},
        )
        self.addCleanup(server.clean)
        server.start()
        base = f"http://127.0.0.1:{server.port}"
        picture = "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'><rect width='8' height='8'/></svg>"
        Path(self.root, "a.svg").write_text(picture)
        path = "/unsafe/w:4/cache_tags:t/plain/local:///a.svg@png"
        for arguments, count in (
            (("--source", "local:///a.svg"), 1),
            (("--prefix", "local:"), 1),
            (("--tag", "t"), 1),
            (("--url", path), 1),
            (("--url", base + path), 1),
            (("--tag", "other"), 0),
        ):
            self.assertEqual(server.get(path).status, 200)
            result = imgforge("purge", "--base-url", base, *arguments, IMGFORGE_PURGE_SECRET="s")
            self.assertEqual((result.returncode, json.loads(result.stdout)), (0, {"purged": count}), result.stderr)

    def test_what_goes_wrong_is_said_in_one_line(self) -> None:
        for arguments, secret, status in (
            (("--base-url", "http://127.0.0.1:1", "--tag", "t"), "s", 1),
            (("--base-url", "nonsense", "--tag", "t"), "s", 1),
            (("--base-url", "http://127.0.0.1:1", "--tag", "t"), "", 1),
            (("--base-url", "http://127.0.0.1:1"), "s", 2),
            (("--base-url", "http://127.0.0.1:1", "--tag", "t", "--url", "/x"), "s", 2),
        ):
            result = imgforge("purge", *arguments, IMGFORGE_PURGE_SECRET=secret)
            self.assertEqual((result.returncode, "Traceback" in result.stderr), (status, False), result.stderr)
