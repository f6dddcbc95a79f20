"""Two nodes that share a Redis: work is done once, purges reach both, and a Redis that fails costs no answer."""

from __future__ import annotations

import itertools
import re
import threading
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support import fleet_case
from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd, free_port, wait_for
from tests.support.redis_server import RedisServer

PASSWORD = "hush/hush"


class MemoryAndRedisFleetTests(fleet_case.FleetTests):
    """Nodes with a cache in memory of their own."""

    redis: ClassVar[RedisServer]
    own: ClassVar[dict[str, str]] = {"CACHE_TYPE": "memory"}

    @classmethod
    def setUpClass(cls) -> None:
        cls.redis = RedisServer()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.redis.close()

    def fleet_settings(self) -> dict[str, str]:
        self.redis.command("FLUSHALL")
        return {"CACHE_USE": "redis", "CACHE_REDIS_URL": self.redis.url, "CACHE_TTL": "600"} | self.own


class RedisFleetTests(MemoryAndRedisFleetTests):
    """Nodes without a cache of their own."""

    own: ClassVar = {}

    def test_entries_expire_and_a_node_has_few_connections(self) -> None:
        self.ask_all_at_once(self.path("a"))
        wait_for(lambda: self.redis.keys("imgforge:entry:*"), "the entry")
        (name,) = self.redis.keys("imgforge:entry:*")
        self.assertTrue(0 < self.redis.command("TTL", name) <= 600)
        self.assertLessEqual(len(self.redis.connections()), 2 * 16)
        for node in self.nodes:
            self.assertEqual(node.stop(), 0, node.output())
        wait_for(lambda: not self.redis.connections(), "the nodes' connections to end")

    def test_a_node_that_is_killed_while_it_makes_an_image_frees_the_lease(self) -> None:
        first, second = self.nodes
        self.origin.hold()
        self.addCleanup(self.origin.release)
        with self.assertRaises(OSError):
            self.killed_while_it_makes(first)
        self.origin.release()
        self.assertEqual(second.get(self.path("a")).status, 200)

    def killed_while_it_makes(self, node: Twistd) -> None:
        def kill() -> None:
            wait_for(lambda: self.redis.keys("imgforge:lease:*"), "the lease")
            assert node.process is not None
            node.process.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            node.get(self.path("a"))
        finally:
            killer.join()


class FailingRedisTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.redis = RedisServer("--requirepass", PASSWORD)
        self.addCleanup(self.redis.close)
        self.origin = Origin({"/a.png": encode(gradient(40, 30), "PNG")})
        self.addCleanup(self.origin.close)
        self.asked = itertools.count()
        url = f"redis://:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{self.redis.port}/1"
        settings = {"ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "ALLOW_UNSIGNED": "true", "PROCESSES": "1"}
        self.settings = settings | {"CACHE_USE": "redis", "CACHE_REDIS_URL": url}

    def start(self, **settings: str) -> None:
        """Start a node and wait until it uses Redis."""
        self.node = Twistd(self.settings | settings)
        self.addCleanup(self.node.clean)
        self.node.start()
        wait_for(self.is_used, "the cache to be used")

    def get_cold(self) -> str:
        """Ask for an image that has not been asked for; its path."""
        path = f"/unsafe/w:20/cb:{next(self.asked)}/plain/{self.origin.url('/a.png')}@png"
        reply = self.node.get(path)
        self.assertEqual(reply.status, 200, reply.body)
        self.assertIn("MISS", reply.headers["cache-status"])
        return path

    def stored(self) -> int:
        with self.redis.client(password=PASSWORD, db=1) as client:
            return len(client.keys("imgforge:entry:*"))

    def is_used(self) -> bool:
        return "HIT" in self.node.get(self.get_cold()).headers["cache-status"]

    def faults(self, kind: str) -> float:
        return self.node.metric(f'cache_faults_total{{cache_type="redis",fault="{kind}"}}') or 0

    def assert_told_without_the_password(self, text: str) -> None:
        wait_for(lambda: text in self.node.output(), f"a line with {text!r}")
        lines = [line for line in self.node.output().splitlines() if text in line]
        self.assertEqual(len(lines), 1)
        self.assertIn(f"redis://127.0.0.1:{self.redis.port}/1", lines[0])
        self.assertIsNone(re.search("hush|Traceback", self.node.output()))

    def test_a_redis_that_is_killed_is_done_without_and_used_when_it_is_back(self) -> None:
        self.start(CACHE_SHARED_TIMEOUT="10")  # a busy machine is no hung cache
        self.redis.kill()
        for _ in range(20):
            self.get_cold()
        self.assert_told_without_the_password("cannot be reached")
        self.redis.start()
        wait_for(self.is_used, "the cache to be used again")
        self.assertGreater(self.stored(), 0)
        self.assertEqual(self.node.stop(), 0)

    def test_a_redis_that_hangs_delays_one_image_and_no_more(self) -> None:
        self.start()
        self.redis.hang()
        try:
            self.get_cold()
            waited = self.faults("slow")
            self.assertGreater(waited, 0)
            for _ in range(20):
                self.get_cold()
            self.assertEqual(self.faults("slow"), waited)
            self.assertGreaterEqual(self.faults("skipped"), 20)
        finally:
            self.redis.resume()
        wait_for(self.is_used, "the cache to be used again")

    def test_a_node_stops_although_redis_hangs(self) -> None:
        self.start()
        self.redis.hang()
        self.get_cold()
        self.assertEqual(self.node.stop(), 0)


class SettingsTests(SynchronousTestCase):
    def launched(self, **settings: str) -> Twistd:
        node = Twistd({"ALLOW_UNSIGNED": "true", "PROCESSES": "1", **settings})
        self.addCleanup(node.clean)
        node.launch()
        return node

    def test_a_server_does_not_start_without_the_url(self) -> None:
        for settings, text in (
            ({"CACHE_USE": "redis"}, "IMGFORGE_CACHE_USE=redis needs IMGFORGE_CACHE_REDIS_URL"),
            ({"CACHE_USE": "redis", "CACHE_REDIS_URL": "redis://:hush@h/x"}, "must name the database by a number"),
            ({"CACHE_USE": "redis", "CACHE_REDIS_URL": "rediss://:hush@h?ssl_ca_certs=/none"}, "readable files of TLS"),
        ):
            node = self.launched(**settings)
            wait_for(lambda node=node: node.ended, "the server to end")  # type: ignore[misc]
            node.assert_logged(text)
            self.assertNotIn("hush", node.output())

    def test_a_server_starts_without_redis(self) -> None:
        url = f"redis://127.0.0.1:{free_port()}"
        node = self.launched(CACHE_USE="redis", CACHE_REDIS_URL=url)
        wait_for(node.answers, "the server to answer")
