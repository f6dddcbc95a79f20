"""`imgforge cache` on a shared cache in Redis."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache.entry_format import encode
from imgforge.model import CacheEntry
from tests.cli.runner import imgforge
from tests.support.cache_directory import ENTRY, Directory, number_key, sized, write
from tests.support.process import free_port
from tests.support.redis_server import RedisServer


class CacheCommandTests(SynchronousTestCase):
    server: ClassVar[RedisServer]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = RedisServer()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()

    def setUp(self) -> None:
        self.server.command("FLUSHALL")

    def put(self, number: int, entry: CacheEntry, seconds: int = 1000) -> None:
        name = f"imgforge:entry:{number_key(number).hex()}"
        self.server.command("SET", name, b"".join(encode(number_key(number), entry)), "EX", seconds)

    def cache(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        variables = {"CACHE_USE": "redis", "CACHE_REDIS_URL": self.server.url, "CACHE_TTL": "1000"} | environment
        variables = {f"IMGFORGE_{name}": value for name, value in variables.items()}
        result = imgforge("cache", *arguments, **{"IMGFORGE_KEY": "ab", "IMGFORGE_SALT": "cd"} | variables)
        return result.returncode, result.stdout, result.stderr

    def counts(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        status, output, _ = self.cache(*arguments)
        return status, json.loads(output)

    def test_stats(self) -> None:
        self.assertEqual(self.counts("stats"), (0, {"entries": 0, "bytes": 0}))
        for number in range(3):
            self.put(number, sized(10_000))
        self.server.command("SET", "other", "x" * 100_000)
        status, counted = self.counts("stats")
        self.assertEqual((status, counted["entries"]), (0, 3))
        self.assertTrue(30_000 < counted["bytes"] < 60_000, counted)

    def test_find_and_show(self) -> None:
        self.put(1, ENTRY)
        self.put(2, replace(ENTRY, source="http://other/"))
        status, output, _ = self.cache("find", "--source", ENTRY.source)
        self.assertEqual((status, json.loads(output)["key"]), (0, number_key(1).hex()))
        status, output, _ = self.cache("show", number_key(2).hex())
        shown = json.loads(output)
        self.assertEqual((status, shown["source"], shown["size"]), (0, "http://other/", 600))
        self.assertEqual(self.cache("show", number_key(3).hex())[0], 1)

    def test_prune(self) -> None:
        self.server.command("CONFIG", "SET", "maxmemory-policy", "volatile-lfu")  # so that the times to live decide
        for number in range(10):
            self.put(number, sized(10_000), 1000 - 50 * number)
        total = self.counts("stats")[1]["bytes"]
        status, pruned = self.counts("prune", "--max-bytes", str(total // 2))
        self.assertEqual((status, pruned), (0, {"removed": 5, "entries": 5, "bytes": total // 2}))
        self.assertEqual(self.cache("show", number_key(4).hex())[0], 0)
        self.assertEqual(self.cache("show", number_key(5).hex())[0], 1)
        self.assertEqual(self.counts("prune", "--max-bytes", "0")[1]["entries"], 0)

    def test_verify(self) -> None:
        for number in range(4):
            self.put(number, sized(1000))
        self.assertEqual(self.cache("verify")[0], 0)
        names = [f"imgforge:entry:{number_key(number).hex()}" for number in range(4)]
        self.server.command("APPEND", names[1], "x")
        self.server.command("SETRANGE", names[2], 7, "1")
        status, output, errors = self.cache("verify", "--keep")
        report = json.loads(output)
        self.assertEqual((status, report["damaged"], report["old"], report["removed"]), (1, 1, 1, 0))
        self.assertEqual(sorted(line.rpartition(":")[0] for line in errors.splitlines()), sorted(names[1:3]))
        self.assertEqual(json.loads(self.cache("verify")[1])["removed"], 2)
        self.assertEqual(self.server.command("EXISTS", *names), 2)
        self.assertEqual(self.cache("verify")[0], 0)

    def test_what_is_missing_is_told_in_one_line_without_secrets(self) -> None:
        for changes, text in (
            ({"CACHE_REDIS_URL": f"redis://:hush@127.0.0.1:{free_port()}"}, "cannot be reached"),
            ({"CACHE_REDIS_URL": f"redis://:hush@127.0.0.1:{self.server.port}/3"}, "has no password"),
            ({"CACHE_REDIS_URL": ""}, "IMGFORGE_CACHE_REDIS_URL"),
        ):
            status, output, errors = self.cache("stats", **changes)
            self.assertEqual((status, output, len(errors.splitlines())), (1, "", 1), errors)
            self.assertIn(text, errors)
            self.assertNotIn("hush", errors)
        status, _, errors = self.cache("stats", "--shared", CACHE_USE="")
        self.assertEqual((status, "IMGFORGE_CACHE_USE" in errors), (1, True))


class BesideADiskCacheTests(Directory):
    def test_the_disk_cache_is_meant_unless_the_shared_one_is_named(self) -> None:
        server = RedisServer()
        self.addCleanup(server.close)
        write(self.root, 1)
        environment = {"IMGFORGE_CACHE_USE": "redis", "IMGFORGE_CACHE_REDIS_URL": server.url}
        environment |= {"IMGFORGE_CACHE_TYPE": "hybrid", "IMGFORGE_CACHE_DISK_PATH": self.root}
        of_disk = json.loads(imgforge("cache", "stats", **environment).stdout)
        shared = json.loads(imgforge("cache", "stats", "--shared", **environment).stdout)
        self.assertEqual((of_disk["entries"], shared["entries"]), (1, 0))
