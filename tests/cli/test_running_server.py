"""The commands that ask a running server, or read the cache directory of one."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge
from tests.support.cache_directory import Directory
from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd, wait_for


class HealthCommandTests(SynchronousTestCase):
    def test_health_succeeds_while_the_server_runs(self) -> None:
        server = Twistd({"PROCESSES": "1"})
        self.addCleanup(server.clean)
        server.start()
        url = f"http://127.0.0.1:{server.port}"
        self.assertEqual(imgforge("health", "--url", url).returncode, 0)
        self.assertEqual(imgforge("health", IMGFORGE_BIND=f"127.0.0.1:{server.port}").returncode, 0)
        server.stop()
        self.assertEqual(imgforge("health", "--url", url).returncode, 1)


class EntryCommandTests(SynchronousTestCase):
    """`cache find` and `cache show` describe the results and originals that a server wrote to disk."""

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
        result = imgforge("cache", *arguments, IMGFORGE_CACHE_DISK_PATH=self.directory, IMGFORGE_CACHE_TTL="3600")
        return result.returncode, result.stdout, result.stderr

    def found(self, source: str) -> list[dict[str, Any]]:
        status, output, errors = self.run_cache("find", "--source", source)
        self.assertEqual((status, errors), (0, ""))
        return [json.loads(line) for line in output.splitlines()]

    def test_entries_are_found_by_source_and_shown_by_key(self) -> None:
        source, other = self.origin.url("/a.png"), self.origin.url("/b.png")
        replies = {}
        for options in ("w:10/plain/{}@webp", "w:20/ct:spring/plain/{}@png"):
            reply = self.server.get("/unsafe/" + options.format(source))
            self.assertEqual(reply.status, 200)
            replies[reply.headers["x-cache-key"]] = reply
        self.server.get(f"/unsafe/w:10/plain/{other}@webp")
        wait_for(lambda: len(self.found(source)) == 3, "the entries to be written")
        found = {entry["key"]: entry for entry in self.found(source)}
        originals = [key for key in found if key not in replies]
        self.assertEqual([found[key]["kind"] for key in originals], ["original"])
        for key, reply in replies.items():
            self.assertEqual((found[key]["kind"], found[key]["size"]), ("result", len(reply.body)))
            self.assertEqual(found[key]["content_type"], reply.headers["content-type"])
            self.assertGreaterEqual(found[key]["age"], 0)
        self.assertEqual({entry["format"] for entry in found.values()}, {"webp", "png", None})
        self.assertEqual(self.found(self.origin.url("/")), [])

        for key, reply in replies.items():
            shown = self.shown(key)
            self.assertEqual((shown["source"], shown["kind"], shown["size"]), (source, "result", len(reply.body)))
            self.assertEqual((f'"{shown["etag"]}"', shown["source_etag"]), (reply.headers["etag"], '"o"'))
            self.assertEqual(shown["source_headers"], {"x-photo": "yes"})
            self.assertEqual(self.seconds(shown), 3600)
        shown = self.shown(originals[0])
        self.assertEqual((shown["kind"], shown["source"], shown["format"]), ("original", source, None))
        self.assertEqual(self.seconds(shown, "origin_asked"), 600)  # the origin's max-age

    def shown(self, key: str) -> dict[str, Any]:
        status, output, errors = self.run_cache("show", key)
        self.assertEqual((status, errors), (0, ""))
        shown: dict[str, Any] = json.loads(output)
        self.assertEqual(shown["key"], key)
        return shown

    def seconds(self, shown: dict[str, Any], since: str = "created") -> float:
        end, begin = (datetime.fromisoformat(shown[name]) for name in ("fresh_until", since))
        return (end - begin).total_seconds()


class PurgeCommandTests(Directory):
    def test_purge_removes_entries_of_a_running_server(self) -> None:
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
