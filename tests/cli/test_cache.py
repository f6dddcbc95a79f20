"""`imgforge cache` and `imgforge purge`, run as their users run them."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import entry_path
from tests.support.cache_directory import Directory, number_key, write
from tests.support.cli import imgforge
from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd, wait_for


class CacheCommandTests(Directory):
    def cache(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        result = imgforge("cache", *arguments, IMGFORGE_CACHE_DISK_PATH=self.root)
        return result.returncode, json.loads(result.stdout or "{}"), result.stderr

    def test_stats_counts_entries_and_nothing_else(self) -> None:
        none = {"entries": 0, "bytes": 0}
        self.assertEqual(self.cache("stats"), (0, none | {"originals": none}, ""))
        sizes = [write(self.root, number).stat().st_size for number in range(3)]
        Path(self.root, "other").write_text("not ours")
        original = write(os.path.join(self.root, "originals"), 7, size=5000).stat().st_size
        counted = {"entries": 3, "bytes": sum(sizes), "originals": {"entries": 1, "bytes": original}}
        self.assertEqual(self.cache("stats"), (0, counted, ""))

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

    def test_what_is_no_key_or_not_there_is_said_in_one_line(self) -> None:
        for key in ("nonsense", "ab", "../" * 11, "00" * 32):
            status, told, errors = self.cache("show", key)
            self.assertEqual((status, told, len(errors.splitlines())), (1, {}, 1), errors)

    def test_without_a_directory_it_says_so(self) -> None:
        home = {"HOME": self.root}
        result = imgforge("cache", "stats", IMGFORGE_CACHE_TYPE="memory", **home)
        self.assertEqual((result.returncode, "IMGFORGE_CACHE_DISK_PATH" in result.stderr), (1, True))
        result = imgforge("cache", "stats", IMGFORGE_CACHE_DISK_PATH=os.path.join(self.root, "none"))
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1))


class EntryCommandTests(SynchronousTestCase):
    """What a server has left on disk, its originals too, and how the commands tell of it."""

    def setUp(self) -> None:
        picture = encode(gradient(40, 30), "PNG")
        headers = {"ETag": '"o"', "Cache-Control": "max-age=600", "X-Photo": "yes"}
        self.origin = Origin({"/a.png": picture, "/b.png": picture}, headers)
        self.addCleanup(self.origin.close)
        self.server = Twistd(
            {
                "PROCESSES": "1",
                "CACHE_TYPE": "disk",
                "SOURCE_CACHE_TYPE": "disk",
                "CACHE_TTL": "3600",
                "ALLOW_UNSIGNED": "true",
                "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
                "RESPONSE_HEADERS_PASSTHROUGH": "X-Photo",
            }
        )
        self.addCleanup(self.server.clean)
        self.directory = os.path.join(self.server.scratch.name, "cache")
        self.server.settings = {**self.server.settings, "CACHE_DISK_PATH": self.directory}
        self.server.start()

    def run_cache(self, *arguments: str) -> tuple[int, str, str]:
        ran = imgforge("cache", *arguments, IMGFORGE_CACHE_DISK_PATH=self.directory, IMGFORGE_CACHE_TTL="3600")
        return ran.returncode, ran.stdout, ran.stderr

    def found(self, source: str) -> list[dict[str, Any]]:
        status, output, errors = self.run_cache("find", "--source", source)
        self.assertEqual((status, errors), (0, ""))
        return [json.loads(line) for line in output.splitlines()]

    def test_an_entry_is_found_by_its_source_and_shown_by_its_key(self) -> None:
        source, other = self.origin.url("/a.png"), self.origin.url("/b.png")
        made = {}
        for options in ("w:10/plain/{}@webp", "w:20/ct:spring/plain/{}@png"):
            reply = self.server.get("/unsafe/" + options.format(source))
            self.assertEqual(reply.status, 200)
            made[reply.headers["x-cache-key"]] = reply
        self.server.get(f"/unsafe/w:10/plain/{other}@webp")
        wait_for(lambda: len(self.found(source)) == 3, "all to be written")
        found = {one["key"]: one for one in self.found(source)}
        originals = [key for key in found if key not in made]
        self.assertEqual([found[key]["kind"] for key in originals], ["original"])
        for key, reply in made.items():
            self.assertEqual((found[key]["kind"], found[key]["size"]), ("result", len(reply.body)))
            self.assertEqual(found[key]["content_type"], reply.headers["content-type"])
            self.assertGreaterEqual(found[key]["age"], 0)
        self.assertEqual({one["format"] for one in found.values()}, {"webp", "png", None})
        self.assertEqual(self.found(self.origin.url("/")), [])

        for key, reply in made.items():
            shown = self.shown(key)
            self.assertEqual((shown["source"], shown["kind"], shown["size"]), (source, "result", len(reply.body)))
            self.assertEqual((f'"{shown["etag"]}"', shown["source_etag"]), (reply.headers["etag"], '"o"'))
            self.assertEqual(shown["source_headers"], {"x-photo": "yes"})
            self.assertEqual(self.seconds(shown), 3600)
        shown = self.shown(originals[0])
        self.assertEqual((shown["kind"], shown["source"], shown["format"]), ("original", source, None))
        self.assertEqual(self.seconds(shown, "origin_asked"), 600)  # by its origin's own word

    def shown(self, key: str) -> dict[str, Any]:
        status, output, errors = self.run_cache("show", key)
        self.assertEqual((status, errors), (0, ""))
        shown: dict[str, Any] = json.loads(output)
        self.assertEqual(shown["key"], key)
        return shown

    def seconds(self, shown: dict[str, Any], since: str = "created") -> float:
        until, begin = (datetime.fromisoformat(shown[name]) for name in ("fresh_until", since))
        return (until - begin).total_seconds()


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
