"""What processes and hosts share: work under way, and purges; and what makes entries of their own."""

from __future__ import annotations

import json
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Reply, Twistd, wait_for


class SharingCase(SynchronousTestCase):
    """Servers on one directory, and an origin."""

    def setUp(self) -> None:
        self.origin = Origin({f"/{name}.png": encode(gradient(40, 30), "PNG") for name in "abc"})
        self.addCleanup(self.origin.close)
        cache = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(cache.cleanup)
        self.directory = cache.name

    def server(self, **settings: str) -> Twistd:
        settings = {"CACHE_TYPE": "hybrid", "CACHE_DISK_PATH": self.directory, "PROCESSES": "1"} | settings
        made = Twistd(settings | {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "ALLOW_UNSIGNED": "true"})
        self.addCleanup(made.clean)
        return made.start()

    def path(self, name: str, options: str = "w:20", extension: str = "png") -> str:
        return f"/unsafe/{options}/plain/{self.origin.url(f'/{name}.png')}@{extension}"


class SingleFlightTests(SharingCase):
    """Which of several workers accepts a connection is chance, hence servers of one process each."""

    def ask_all_at_once(self, path: str, each: int, **settings: str) -> tuple[list[Twistd], list[Reply]]:
        """What three servers answer to *each* equal requests, all of which have come before the first is answered."""
        servers = [self.server(**settings) for _ in range(3)]
        self.origin.hold()
        with ThreadPoolExecutor(3 * each) as pool:
            asked = [pool.submit(server.get, path) for server in servers for _ in range(each)]
            for server in servers:
                missed = partial(server.metric, 'cache_misses_total{cache_type="hybrid"}')
                wait_for(lambda missed=missed: missed() == each, "all requests at a server")  # type: ignore[misc]
            self.origin.release()
            return servers, [one.result() for one in asked]

    def test_many_equal_cold_requests_make_one_fetch_and_one_image(self) -> None:
        costs = []
        for name in "abc":  # no lease is taken of a disk that stands still for a second, as on a busy machine
            before = len(self.origin.requests)
            servers, replies = self.ask_all_at_once(self.path(name), each=67)
            self.assertEqual({reply.status for reply in replies}, {200})
            self.assertEqual(len({reply.body for reply in replies}), 1)
            made = [server.metric('processed_images_total{format="png"}') or 0 for server in servers]
            costs.append((len(self.origin.requests) - before, sum(made)))
            if costs[-1] == (1, 1):
                return
        raise AssertionError(f"fetches and renditions: {costs}")

    def test_a_failure_is_shared_by_those_who_wait_and_not_kept(self) -> None:
        servers, replies = self.ask_all_at_once(self.path("none"), each=20, CACHE_NOT_FOUND_TTL="0")
        self.assertEqual({(reply.status, reply.body) for reply in replies}, {(404, b"the origin answered 404\n")})
        self.assertEqual(len(self.origin.requests), 1)
        servers[0].get(self.path("none"))
        self.assertEqual(len(self.origin.requests), 2)

    def test_what_fails_at_one_server_has_its_fallback_image_at_another(self) -> None:
        first, second = self.server(CACHE_NOT_FOUND_TTL="0"), self.server(CACHE_NOT_FOUND_TTL="0")
        fallback = urlsafe_b64encode(self.origin.url("/b.png").encode()).decode().rstrip("=")
        self.origin.hold()
        with ThreadPoolExecutor(2) as pool:
            failed = pool.submit(first.get, self.path("none"))
            wait_for(lambda: self.origin.requests, "the request to the origin")
            replaced = pool.submit(second.get, self.path("none", f"w:20/fiu:{fallback}"))
            wait_for(lambda: second.metric('cache_misses_total{cache_type="hybrid"}') == 1, "the second request")
            self.origin.release()
            self.assertEqual([failed.result().status, replaced.result().status], [404, 200])


TOKEN = {"Authorization": "Bearer purge-secret"}


class PurgeTests(SharingCase):
    def purge(self, server: Twistd, body: object, headers: Mapping[str, str] = TOKEN) -> Reply:
        return server.get("/cache/purge", headers, "POST", json.dumps(body).encode())

    def state(self, server: Twistd, path: str) -> str:
        reply = server.get(path)
        self.assertEqual(reply.status, 200, reply.body)
        return "HIT" if "HIT" in reply.headers["cache-status"] else "MISS"

    def purge_of_each_kind(self, asked: Twistd, told: Twistd) -> None:
        """What is purged by *told* is not shown by *asked* any more; the rest is."""
        a, b, tagged = self.path("a"), self.path("b"), self.path("c", "w:10/cache_tags:hero")
        paths = [a, b, tagged]
        for _ in range(10):
            for path in paths:
                asked.get(path)
        for body, gone in (
            ({"source": self.origin.url("/a.png")}, a),
            ({"tag": "hero"}, tagged),
            ({"prefix": self.origin.url("/b")}, b),
        ):
            old = {path: asked.get(path).body for path in paths}
            for name in "abc":
                self.origin.files[f"/{name}.png"] = encode(gradient(60, 31 + len(self.origin.requests)), "PNG")
            reply = self.purge(told, body)
            self.assertEqual(reply.status, 200, reply.body)
            if told.settings["CACHE_DISK_PATH"]:  # else the worker that answered may have had none
                self.assertEqual(json.loads(reply.body), {"purged": 1})
            wait_for(partial(self.shows_no_more, asked, gone, old[gone]), "the new picture")
            if asked.settings["CACHE_DISK_PATH"]:
                for path in paths:
                    if path != gone:
                        self.assertEqual(asked.get(path).body, old[path])

    def shows_no_more(self, server: Twistd, path: str, old: bytes) -> bool:
        return all(server.get(path).body != old for _ in range(20))

    def test_all_hosts_obey(self) -> None:
        self.purge_of_each_kind(self.server(), self.server(PURGE_SECRET="purge-secret"))

    def test_all_workers_obey_without_a_disk(self) -> None:
        settings = {"CACHE_TYPE": "memory", "CACHE_DISK_PATH": "", "PROCESSES": "3"}
        server = self.server(PURGE_SECRET="purge-secret", **settings)
        self.purge_of_each_kind(server, server)

    def has_missed(self, server: Twistd, path: str, times: int) -> bool:
        server.get(path)
        return server.metric('cache_misses_total{cache_type="memory"}') == times

    def test_one_size_is_purged_with_the_original_and_the_others_are_left(self) -> None:
        settings = {"CACHE_TYPE": "memory", "SOURCE_CACHE_TYPE": "memory", "CACHE_DISK_PATH": "", "PROCESSES": "2"}
        server = self.server(PURGE_SECRET="purge-secret", **settings)
        purged, left = self.path("a", "w:10"), self.path("a", "w:20")
        old: dict[str, set[bytes]] = {}
        for misses, path in ((2, purged), (4, left)):  # until both workers have it
            server.get(path)
            wait_for(partial(self.has_missed, server, path, misses), "a miss by each worker")
            old[path] = {server.get(path).body}
        self.origin.files["/a.png"] = encode(gradient(60, 31), "PNG")
        self.assertEqual(server.get(purged, TOKEN, "PURGE").status, 200)
        wait_for(partial(self.shows_no_more, server, purged, *old[purged]), "the new picture")
        self.assertEqual({server.get(left).body for _ in range(20)}, old[left])

    def asked_for(self, name: str) -> int:
        return sum(path == f"/{name}.png" for path, _ in self.origin.requests)

    def is_there(self, server: Twistd, name: str) -> bool:
        return all(server.get(self.path(name)).status == 200 for _ in range(20))

    def test_no_worker_remembers_that_what_is_purged_was_missing(self) -> None:
        settings = {"CACHE_TYPE": "memory", "CACHE_DISK_PATH": "", "PROCESSES": "2", "CACHE_NOT_FOUND_TTL": "600"}
        server = self.server(PURGE_SECRET="purge-secret", **settings)

        def asks_again() -> bool:
            self.assertEqual(server.get(self.path("new")).status, 404)
            return self.asked_for("new") == 2

        wait_for(asks_again, "both workers to have asked")
        self.origin.files["/new.png"] = encode(gradient(40, 30), "PNG")
        self.assertEqual(server.get(self.path("new")).status, 404)
        self.assertEqual(self.purge(server, {"source": self.origin.url("/new.png")}).status, 200)
        wait_for(partial(self.is_there, server, "new"), "the new picture")

    def test_a_watermark_is_fetched_anew_once_it_is_purged(self) -> None:
        watermark = self.origin.url("/b.png")
        server = self.server(PURGE_SECRET="purge-secret", WATERMARK_URL=watermark)
        for width in (10, 11):
            self.assertEqual(server.get(self.path("a", f"w:{width}/wm:1")).status, 200)
        self.assertEqual(self.asked_for("b"), 1)
        self.assertEqual(self.purge(server, {"source": watermark}).status, 200)
        for width in (12, 13):
            self.assertEqual(server.get(self.path("a", f"w:{width}/wm:1")).status, 200)
        self.assertEqual(self.asked_for("b"), 2)

    def test_a_fallback_image_is_fetched_anew_once_it_is_purged(self) -> None:
        fallback = self.origin.url("/b.png")
        server = self.server(PURGE_SECRET="purge-secret", FALLBACK_IMAGE_URL=fallback)
        old = server.get(self.path("none")).body
        self.origin.files["/b.png"] = encode(gradient(60, 31), "PNG")
        self.assertEqual(server.get(self.path("none")).body, old)
        self.assertEqual(self.purge(server, {"source": fallback}).status, 200)
        self.assertNotEqual(server.get(self.path("none")).body, old)

    def test_a_url_is_purged_for_clients_of_all_formats(self) -> None:
        server = self.server(PURGE_SECRET="purge-secret", AUTO_WEBP="true")
        path = self.path("a").removesuffix("@png")
        accepts = [{"Accept": "image/webp"}, {"Accept": "image/png"}]
        for accept in accepts:
            server.get(path, accept)
            self.assertIn("HIT", server.get(path, accept).headers["cache-status"])
        reply = server.get(path, TOKEN, "PURGE")
        self.assertEqual((reply.status, reply.body), (200, b'{"purged": 2}\n'))
        for accept in accepts:
            self.assertIn("MISS", server.get(path, accept).headers["cache-status"])

    def test_who_may_not_and_what_makes_no_sense(self) -> None:
        server = self.server(PURGE_SECRET="purge-secret", SECRET="other")
        path = self.path("a")
        for reply, status in (
            (server.get(path, {}, "PURGE"), 403),
            (server.get(path, {"Authorization": "Bearer other"}, "PURGE"), 403),
            (server.get("/wrong" + path[7:], TOKEN, "PURGE"), 200),  # without keys every signature is good
            (self.purge(server, {"tag": "x"}, {}), 403),
            (self.purge(server, {}), 400),
            (self.purge(server, {"tag": "x", "source": "y"}), 400),
            (self.purge(server, {"tag": ""}), 400),
            (self.purge(server, {"url": "x"}), 400),
            (self.purge(server, {"tag": ["x"]}), 400),
            (self.purge(server, "x" * 70_000), 413),
            (server.get("/cache/purge", TOKEN, "POST", b"\xff"), 400),
            (server.get("/cache/purge", TOKEN, "POST", b"[" * 60_000), 400),
            (server.get("/status", TOKEN, "PURGE"), 405),
        ):
            self.assertEqual((reply.status, reply.body.count(b"\n")), (status, 1), reply.body)

    def test_without_a_secret_it_is_off(self) -> None:
        server = self.server(PROCESSES="1")
        for reply in (server.get(self.path("a"), TOKEN, "PURGE"), self.purge(server, {"tag": "x"})):
            self.assertEqual((reply.status, b"IMGFORGE_PURGE_SECRET" in reply.body), (403, True))


class KeyTests(SharingCase):
    """What makes an entry, and what makes none."""

    def hits(self, server: Twistd, path: str, headers: Mapping[str, str]) -> list[bool]:
        """Whether each of three requests found the image."""
        return ["HIT" in server.get(path, headers).headers["cache-status"] for _ in range(3)]

    def test_each_value_of_a_named_header_and_cookie_has_its_own_entry(self) -> None:
        for kind in ("memory", "hybrid", "disk"):
            names = {"CACHE_KEY_HEADERS": "X-Tenant", "CACHE_KEY_COOKIES": "plan"}
            server = self.server(CACHE_TYPE=kind, CACHE_DISK_PATH=f"{self.directory}/{kind}", **names)
            for headers in ({}, {"X-Tenant": "a"}, {"X-Tenant": "b"}, {"Cookie": "plan=c; x=1"}, {"X-Tenant": ""}):
                self.assertEqual(self.hits(server, self.path("a"), headers), [False, True, True], (kind, headers))
            self.assertEqual(self.hits(server, self.path("a"), {"Cookie": "x=2; plan=c"}), [True] * 3)
            self.assertEqual(server.get(self.path("a")).headers["vary"], "X-Tenant, Cookie")

    def test_the_key_is_the_name_of_the_file(self) -> None:
        server = self.server()
        names = [server.get(self.path("a")).headers["x-cache-key"] for _ in range(3)]
        self.assertEqual(len(set(names)), 1)
        root = Path(server.settings["CACHE_DISK_PATH"])
        wait_for(lambda: [path.stem for path in root.rglob("*.entry")] == names[:1], "the file of that name")

    def test_only_what_names_a_preset_is_kept_where_the_operator_wants_it_so(self) -> None:
        server = self.server(CACHE_PRESETS_ONLY="true", PRESETS="thumb=w:10,default=q:70")
        self.assertEqual(self.hits(server, self.path("a", "preset:thumb"), {}), [False, True, True])
        self.assertEqual(self.hits(server, self.path("a", "w:10"), {}), [False] * 3)
        self.assertNotIn("x-cache-key", server.get(self.path("a", "w:10")).headers)
