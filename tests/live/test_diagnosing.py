"""Slow requests in the log of the started server, and its top tables."""

from __future__ import annotations

import json
from typing import Any

from tests.support.process import Twistd, wait_for
from tests.support.service_case import ServiceCase


class SlowRequestTests(ServiceCase):
    def test_slow_request_has_a_line_with_its_fields(self) -> None:
        origin = self.slow_origin(0.3)
        server = self.server(
            PROCESSES="1", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", SLOW_REQUEST_SECONDS="0.25", LOG_FORMAT="json"
        ).start()
        self.assertEqual(server.get(f"/unsafe/w:20/plain/{origin.url('/a.png')}%3Ftoken=hush").status, 200)
        wanted = "slow request: GET /unsafe/"  # a busy machine may be slow with /status as well
        wait_for(lambda: wanted in server.output(), "the line")
        (line,) = [json.loads(line) for line in server.output().splitlines() if wanted in line]
        self.assertEqual((line["level"], line["namespace"], line["status"]), ("warn", "imgforge.slow", 200))
        self.assertEqual((line["options"], line["source"]), ("width=20", origin.url("/a.png")))
        self.assertGreaterEqual(line["fetch_ms"], 300)
        self.assertGreater(line["process_ms"], 0)
        self.assertTrue(line["bytes_in"] > 0 and line["size"] > 0 and line["request_id"])
        self.assertNotIn("hush", server.output())

    def test_what_looks_into_the_caches_only_has_no_line(self) -> None:
        origin = self.slow_origin(0.0)
        server = self.server(
            PROCESSES="1", ALLOW_LOOPBACK_SOURCE_ADDRESSES="true", CACHE_TYPE="memory", SLOW_REQUEST_SECONDS="0.000001"
        ).start()
        path, probe = f"/unsafe/w:20/plain/{origin.url('/a.png')}", {"Cache-Control": "only-if-cached"}
        self.assertEqual(server.get(path, {**probe, "X-Request-ID": "probe-1"}).status, 504)
        self.assertEqual(server.get(path, {"X-Request-ID": "made"}).status, 200)
        self.assertEqual(server.get(path, {**probe, "X-Request-ID": "probe-2"}).status, 200)
        raw = f"/unsafe/raw:1/plain/{origin.url('/a.png')}"  # is in no cache
        self.assertEqual(server.get(raw, {**probe, "X-Request-ID": "probe-3"}).status, 504)
        self.assertEqual(server.get(raw, {"X-Request-ID": "streamed"}).status, 200)
        self.assertEqual(len(origin.requests), 2)
        server.assert_logged("[streamed] slow request")
        slow = [line for line in server.output().splitlines() if "slow request: GET /unsafe/" in line]
        self.assertEqual([line.partition("] slow")[0].rpartition("[")[2] for line in slow], ["made", "streamed"])


class TopTests(ServiceCase):
    def setUp(self) -> None:
        self.origin = self.slow_origin(0.0)

    def running(self, **settings: str) -> Twistd:
        common = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "CACHE_TYPE": "memory", "ALLOW_UNSIGNED": "true"}
        return self.server(**common | settings).start()

    def top(self, server: Twistd, query: str = "") -> Any:
        answer = server.get(f"/debug/top{query}", {"Authorization": "Bearer s"})
        self.assertEqual(answer.status, 200, answer.body)
        return json.loads(answer.body)

    def test_tables_have_the_requests_of_all_workers_and_no_secrets(self) -> None:
        server = self.running(PROCESSES="2", PURGE_SECRET="s")
        for number in range(20):
            path = f"/unsafe/w:{number % 2 + 5}/plain/{self.origin.url('/a.png')}%3Ftoken=hush{number}"
            self.assertEqual(server.get(path).status, 200)
        self.assertEqual(server.get(f"/unsafe/w:5/plain/{self.origin.url('/none.png')}").status, 404)
        probe = f"/unsafe/w:99/plain/{self.origin.url('/probe.png')}"
        self.assertEqual(server.get(probe, {"Cache-Control": "only-if-cached"}).status, 504)

        def counted() -> bool:
            # Either worker may answer, and knows of the other by its file.
            return all(self.top(server)["totals"]["count"] == 21 for _ in range(10))

        wait_for(counted, "the tables of both workers")
        shown = self.top(server, "?by=errors&rows=1")
        self.assertEqual([row["name"] for row in shown["tables"]["sources"]], [self.origin.url("/none.png")])
        shown = self.top(server, "?by=count")
        (first, second) = shown["tables"]["sources"]
        self.assertEqual((first["name"], first["count"], second["errors"]), (self.origin.url("/a.png"), 20, 1))
        self.assertEqual([row["name"] for row in shown["tables"]["options"]], ["width=5", "width=6"])
        self.assertEqual([row["name"] for row in shown["tables"]["origins"]], [f"http://{self.origin.host}"])
        self.assertTrue(shown["totals"]["seconds"] > 0 and shown["totals"]["bytes"] > 0)
        self.assertNotIn("hush", json.dumps(shown))

    def test_hits_of_the_fast_lane_are_counted(self) -> None:
        server = self.running(PROCESSES="1", PURGE_SECRET="s")
        path = f"/unsafe/w:7/plain/{self.origin.url('/a.png')}"
        for _ in range(50):
            self.assertEqual(server.get(path).status, 200)
        wait_for(lambda: self.top(server)["totals"]["count"] == 50, "the hits")
        (row,) = self.top(server, "?by=bytes")["tables"]["options"]
        self.assertEqual((row["name"], row["count"], row["estimated"]), ("width=7", 50, 0))

    def test_tables_are_for_those_with_the_secret(self) -> None:
        server = self.running(PROCESSES="1", SECRET="s", PURGE_SECRET="other")
        self.assertEqual(server.get("/debug/top").status, 403)
        self.assertEqual(server.get("/debug/top", {"Authorization": "Bearer other"}).status, 403)
        for query in ("?by=nonsense", "?rows=0", "?rows=x", "?minutes=9999999999999999"):
            self.assertEqual(server.get(f"/debug/top{query}", {"Authorization": "Bearer s"}).status, 400, query)
        self.assertEqual(self.top(server, "?minutes=1&rows=3")["tables"]["sources"], [])

    def test_there_are_no_tables_without_a_secret_or_where_they_are_off(self) -> None:
        for settings in ({}, {"PURGE_SECRET": "s", "TOP_ENTRIES": "0"}):
            server = self.running(PROCESSES="1", **settings)
            answer = server.get("/debug/top", {"Authorization": "Bearer s"})
            self.assertEqual((answer.status, b"no top tables" in answer.body), (404, True))
            server.stop()
