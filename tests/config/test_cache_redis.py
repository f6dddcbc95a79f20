"""The settings of the shared cache in Redis."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import ConfigurationError, load_settings


class CacheRedisTests(SynchronousTestCase):
    def test_the_url_is_a_secret(self) -> None:
        settings = load_settings(None, {"IMGFORGE_CACHE_REDIS_URL": "rediss://user:hush@redis.example:6380/2"})
        self.assertEqual(settings.masked()["cache_redis_url"], "***")
        self.assertNotIn("hush", json.dumps(settings.masked()))

    def test_a_mistake_in_it_is_told_without_it(self) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            load_settings(None, {"IMGFORGE_CACHE_REDIS_URL": "redis://:hu/sh@host"})
        (line,) = caught.exception.lines
        self.assertIn("IMGFORGE_CACHE_REDIS_URL=*** ", line)
        self.assertIn("must be redis://", line)
        self.assertNotIn("hu/", line)
