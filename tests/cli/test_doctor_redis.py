"""`imgforge doctor` with a Redis that answers."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge
from tests.support.process import free_port
from tests.support.redis_server import RedisServer


class DoctorRedisTests(SynchronousTestCase):
    def test_redis_answers(self) -> None:
        server = RedisServer()
        self.addCleanup(server.close)
        result = imgforge(
            *("doctor", "--json"),
            IMGFORGE_CACHE_USE="redis",
            IMGFORGE_CACHE_REDIS_URL=server.url,
            IMGFORGE_BIND=f"127.0.0.1:{free_port()}",
            IMGFORGE_CACHE_TYPE="none",
        )
        found = [one for one in json.loads(result.stdout)["checks"] if one["check"] == "shared cache redis"]
        self.assertEqual([(one["level"], "answers, and is empty" in one["text"]) for one in found], [("ok", True)])
