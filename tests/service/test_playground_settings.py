"""The settings of `imgforge playground`: the operator's for images, its own for everything around them."""

from __future__ import annotations

import os
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import ConfigurationError, Settings, load_settings
from imgforge.service import playground_settings
from imgforge.service.telemetry import PARTS

# Every part of the telemetry is on.
TOLD_TO_OTHERS = {
    "IMGFORGE_OPEN_TELEMETRY_ENABLE": "true",
    "IMGFORGE_OPEN_TELEMETRY_ENABLE_LOGS": "true",
    "IMGFORGE_NEW_RELIC_KEY": "a" * 40,
    "IMGFORGE_DATADOG_ENABLE": "true",
    "IMGFORGE_DATADOG_ENABLE_ADDITIONAL_METRICS": "true",
    "IMGFORGE_CLOUD_WATCH_SERVICE_NAME": "images",
    "IMGFORGE_SENTRY_DSN": "http://key@127.0.0.1:9/1",
    "IMGFORGE_BUGSNAG_KEY": "b",
    "IMGFORGE_HONEYBADGER_KEY": "c",
    "IMGFORGE_AIRBRAKE_PROJECT_ID": "1",
    "IMGFORGE_AIRBRAKE_PROJECT_KEY": "d",
    "IMGFORGE_SYSLOG_ENABLE": "true",
    "IMGFORGE_SLOW_REQUEST_SECONDS": "1",
    "IMGFORGE_PROMETHEUS_IMGPROXY_NAMES": "true",
    "IMGFORGE_PROMETHEUS_BIND": "127.0.0.1:0",
    "IMGFORGE_SECRET": "operators-secret",
}
KEYS = {"IMGFORGE_KEY": "ab" * 32, "IMGFORGE_SALT": "cd" * 32}


class PlaygroundSettingsTests(SynchronousTestCase):
    def settings(self, directory: str | None = None, **environment: str) -> Settings:
        with patch.dict(os.environ, environment, clear=True):
            return playground_settings(None, 3001, directory, "token")

    def test_nothing_is_told_to_the_operators_receivers(self) -> None:
        operators = load_settings(None, KEYS | TOLD_TO_OTHERS)
        self.assertEqual([part.module for part in PARTS if not part.is_on(operators)], [])
        settings = self.settings(**KEYS, **TOLD_TO_OTHERS)
        self.assertEqual([part.module for part in PARTS if part.is_on(settings)], [])
        self.assertFalse(settings.syslog_enable)
        self.assertEqual(settings.metrics_listeners, ())

    def test_it_listens_on_loopback_whatever_the_settings_say(self) -> None:
        for bind in ("0.0.0.0:8080", "/run/imgforge.sock", "systemd:0"):
            settings = self.settings(IMGFORGE_BIND=bind, **KEYS)
            self.assertEqual([str(one) for one in settings.listeners], ["http://127.0.0.1:3001"])
            self.assertTrue(settings.on_loopback)

    def test_settings_of_images_are_the_operators(self) -> None:
        given: dict[str, Any] = {
            "IMGFORGE_PRESETS": "thumb=w:10",
            "IMGFORGE_QUALITY": "71",
            "IMGFORGE_MAX_SRC_RESOLUTION": "7",
            "IMGFORGE_AUTO_WEBP": "true",
        }
        settings = self.settings(**KEYS, **given)
        self.assertEqual(settings.key, (bytes.fromhex("ab" * 32),))
        self.assertEqual(dict(settings.presets), {"thumb": "w:10"})
        self.assertEqual((settings.quality, settings.max_src_resolution, settings.auto_webp), (71, 7, True))

    def test_allowed_sources_are_the_operators_and_what_the_page_shows(self) -> None:
        allowed = {"IMGFORGE_ALLOWED_SOURCES": "https://example.com/"}
        self.assertEqual(self.settings(**allowed).allowed_sources, ("https://example.com/", "sample://"))
        tried = self.settings(os.path.dirname(__file__), **allowed)
        self.assertEqual(tried.allowed_sources[1:], ("sample://", "local://"))
        self.assertEqual(tried.local_filesystem_root, os.path.dirname(os.path.abspath(__file__)))
        self.assertEqual(self.settings().allowed_sources, ())

    def test_mistakes_are_those_of_the_server(self) -> None:
        with self.assertRaises(ConfigurationError) as raised:
            self.settings(IMGFORGE_PRESETS="thumb=wdith:10")
        self.assertIn("wdith", raised.exception.lines[0])
