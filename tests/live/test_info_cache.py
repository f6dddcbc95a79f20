"""The answers of /info come from the cache of results: headers, purges, variants."""

from __future__ import annotations

import json
from urllib.parse import quote

from tests.support.live_server import LiveServer
from tests.support.process import Reply

TOKEN = {"Authorization": "Bearer purge-secret"}


class InfoCacheTests(LiveServer):
    settings = {"CACHE_TYPE": "memory", "PURGE_SECRET": "purge-secret", "CACHE_KEY_HEADERS": "X-Tenant"}

    def path(self, options: str = "") -> str:
        source = f"plain/{quote(self.origin.url('/photo.jpg'), safe='')}"
        return "/".join(part for part in ("/info/unsafe", options, source) if part)

    def info(self, options: str = "", method: str = "GET", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.get(self.path(options), named, method)

    def test_the_second_answer_is_a_hit_with_the_same_body(self) -> None:
        first, second = self.info("p:3"), self.info("p:3")
        self.assertEqual(first.headers["cache-status"], "imgforge; fwd=miss; detail=MISS")
        self.assertEqual(second.headers["cache-status"], 'imgforge; hit; detail="HIT memory"')
        self.assertEqual((first.status, first.body), (second.status, second.body))
        self.assertEqual(json.loads(second.body)["width"], 640)
        for name in ("content-type", "cache-control"):
            self.assertEqual(first.headers[name], second.headers[name])
        self.assertEqual(self.info("p:3", "HEAD").headers["cache-status"], 'imgforge; hit; detail="HIT memory"')

    def test_headers_that_vary_the_cache_vary_it_here_too(self) -> None:
        self.info("p:4", X_Tenant="a")
        self.assertIn("MISS", self.info("p:4", X_Tenant="b").headers["cache-status"])
        reply = self.info("p:4", X_Tenant="a")
        self.assertIn("HIT", reply.headers["cache-status"])
        self.assertEqual(reply.headers["vary"].lower(), "x-tenant")

    def test_the_facts_of_a_url_are_purged_by_it_and_the_image_stays(self) -> None:
        self.info("p:5")
        self.image("w:5")
        reply = self.server.get(self.path("p:5"), TOKEN, "PURGE")
        self.assertEqual((reply.status, json.loads(reply.body)), (200, {"purged": 1}))
        self.assertIn("MISS", self.info("p:5").headers["cache-status"])
        self.assertIn("HIT", self.image("w:5").headers["cache-status"])
        self.assertEqual(self.info("p:5", "PURGE").status, 403)

    def test_facts_and_image_of_a_source_are_purged_together(self) -> None:
        self.info("p:6")
        self.image("w:6")
        purge = json.dumps({"source": self.origin.url("/photo.jpg")}).encode()
        self.server.get("/cache/purge", TOKEN, "POST", purge)
        self.assertIn("MISS", self.info("p:6").headers["cache-status"])
        self.assertIn("MISS", self.image("w:6").headers["cache-status"])
