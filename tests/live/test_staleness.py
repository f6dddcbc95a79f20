"""Cached originals and stale entries, on the real server."""

from __future__ import annotations

import json
import tempfile
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import decode, encode, gradient
from tests.support.process import Origin, Reply, Twistd, wait_for


class CacheCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.origin = Origin({"/a.png": encode(gradient(40, 30), "PNG")}, {"ETag": '"1"'})
        self.addCleanup(self.origin.close)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name

    def server(self, **settings: str) -> Twistd:
        base = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PROCESSES": "1", "CACHE_DISK_PATH": self.directory}
        server = Twistd(base | settings)
        self.addCleanup(server.clean)
        return server.start()

    def ask(self, server: Twistd, width: int = 20, path: str = "/a.png") -> Reply:
        return server.get(f"/unsafe/w:{width}/plain/{quote(self.origin.url(path), safe='')}@png")


class OriginalCacheTests(CacheCase):
    def test_each_cache_type_serves_later_renditions_from_the_cached_original(self) -> None:
        for kind in ("memory", "disk", "hybrid"):
            before = len(self.origin.requests)
            server = self.server(SOURCE_CACHE_TYPE=kind, CACHE_DISK_PATH=f"{self.directory}/{kind}")
            for width in (10, 20, 30):
                self.assertEqual(decode(self.ask(server, width).body).width, width)
            self.assertEqual(len(self.origin.requests) - before, 1, kind)
            server.stop()

    def test_originals_on_disk_are_shared_by_workers_and_survive_a_restart(self) -> None:
        for _ in range(2):
            server = self.server(SOURCE_CACHE_TYPE="disk", PROCESSES="2")
            wait_for(lambda server=server: len(server.children()) == 2, "two workers")  # type: ignore[misc]
            for width in range(10, 20):
                self.assertEqual(self.ask(server, width).status, 200)
            server.stop()
        # Both workers may have fetched it before the first one had written it.
        self.assertLessEqual(len(self.origin.requests), 2)


class StalenessTests(CacheCase):
    def test_an_entry_that_is_not_modified_is_renewed_and_returns_to_the_fast_lane(self) -> None:
        server = self.server(CACHE_TYPE="hybrid", CACHE_TTL="0.3")
        first = self.ask(server)
        replies: list[Reply] = []

        def renewed() -> bool:
            replies.append(self.ask(server))
            return "revalidated" in replies[-1].headers["cache-status"]

        for _ in range(3):  # in between it is in the fast lane, which drops it when it is stale
            wait_for(renewed, "an entry that is renewed")
        self.assertEqual({(reply.status, reply.body) for reply in replies}, {(200, first.body)})
        self.assertEqual({reply.headers["etag"] for reply in replies}, {first.headers["etag"]})
        self.assertNotIn("MISS", "".join(reply.headers["cache-status"] for reply in replies))
        metrics = server.get("/metrics").body.decode()
        self.assertIn('processed_images_total{format="png"} 1.0\n', metrics)
        self.origin.files["/a.png"], self.origin.headers["ETag"] = encode(gradient(80, 30), "PNG"), '"2"'
        wait_for(lambda: self.ask(server).body != first.body, "the new picture")

    def test_a_stale_entry_outlasts_an_outage_of_its_origin(self) -> None:
        server = self.server(CACHE_TYPE="memory", CACHE_TTL="0.3", CACHE_STALE_IF_ERROR="600")
        first = self.ask(server)
        self.origin.status = 503
        wait_for(lambda: "stale" in self.ask(server).headers["cache-status"], "a stale answer")
        self.assertEqual(self.ask(server).body, first.body)
        self.assertEqual(self.ask(server, 21).status, 502)

    def test_a_stale_entry_is_served_instead_of_a_408(self) -> None:
        server = self.server(CACHE_TYPE="memory", CACHE_TTL="0.3", CACHE_STALE_IF_ERROR="600", TIMEOUT="0.5")
        wait_for(lambda: self.ask(server).status == 200, "an image in time")
        first = self.ask(server)
        self.origin.hold()
        wait_for(lambda: "stale" in self.ask(server).headers["cache-status"], "a stale answer")
        self.assertEqual(self.ask(server).body, first.body)
        self.assertEqual(self.ask(server, 21).status, 408)

    def test_no_client_waits_while_an_entry_is_revalidated(self) -> None:
        server = self.server(CACHE_TYPE="memory", CACHE_TTL="0.3", CACHE_STALE_WHILE_REVALIDATE="600")
        self.ask(server)
        self.origin.hold()
        wait_for(lambda: "stale" in self.ask(server).headers["cache-status"], "a stale answer")
        wait_for(lambda: len(self.origin.requests) == 2, "the revalidation in the background")
        for _ in range(3):
            self.assertEqual(self.ask(server).status, 200)
        self.assertEqual(len(self.origin.requests), 2)

    def test_the_age_header_counts_from_the_origins_answer(self) -> None:
        self.origin.headers["Cache-Control"] = "max-age=600"
        server = self.server(CACHE_TYPE="memory", SOURCE_CACHE_TYPE="memory", CACHE_CONTROL_PASSTHROUGH="true")
        self.ask(server)
        for _ in range(3):  # rendered, from the memory tier, by the fast lane
            wait_for(lambda: int(self.ask(server).headers.get("age", 0)) in range(1, 600), "an age")
        of_an_old_original = self.ask(server, 21)
        self.assertIn("MISS", of_an_old_original.headers["cache-status"])
        self.assertIn(int(of_an_old_original.headers["age"]), range(1, 600))
        self.assertEqual(of_an_old_original.headers["cache-control"], "max-age=600")

    def test_a_missing_original_is_asked_for_once(self) -> None:
        server = self.server(CACHE_TYPE="memory", CACHE_NOT_FOUND_TTL="3600")
        self.assertEqual([self.ask(server, width, "/none.png").status for width in (10, 20, 30)], [404] * 3)
        self.assertEqual(len(self.origin.requests), 1)


class PurgeTests(CacheCase):
    def test_a_purge_removes_cached_originals_in_all_processes(self) -> None:
        for kind in ("memory", "disk"):
            server = self.server(SOURCE_CACHE_TYPE=kind, CACHE_TYPE="hybrid", PROCESSES="2", PURGE_SECRET="s3cret")
            wait_for(lambda server=server: len(server.children()) == 2, "two workers")  # type: ignore[misc]
            for width in range(10, 20):
                self.ask(server, width)
            self.origin.files["/a.png"] = encode(gradient(80, 30), "PNG")
            body = json.dumps({"source": self.origin.url("/a.png")}).encode()
            reply = server.get("/cache/purge", {"Authorization": "Bearer s3cret"}, "POST", body)
            self.assertEqual(reply.status, 200, reply.body)

            def new(server: Twistd = server) -> bool:
                return all(decode(self.ask(server, width).body).size[1] < 10 for width in range(16, 20))

            wait_for(new, "the new picture in both workers")
            self.origin.files["/a.png"] = encode(gradient(40, 30), "PNG")
            server.stop()
