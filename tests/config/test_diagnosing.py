"""Secrets of settings: their values for those who take them out of reports, and the keys of reporters."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import ConfigurationError, load_settings


class SecretTextTests(SynchronousTestCase):
    def test_each_value_of_each_secret_is_one_text(self) -> None:
        settings = load_settings(
            None,
            {
                "IMGFORGE_KEY": "0a0b,0c0d",
                "IMGFORGE_SALT": "0e,0f",
                "IMGFORGE_SECRET": "hush",
                "IMGFORGE_CUSTOM_REQUEST_HEADERS": "X-Token=deep",
                "IMGFORGE_SENTRY_DSN": "https://k@host/1",
            },
        )
        texts = set(settings.secret_texts)
        self.assertLessEqual({"0a0b", "0c0d", "0e", "0f", "hush", "deep", "https://k@host/1"}, texts)
        self.assertNotIn("", texts)


class ReporterTests(SynchronousTestCase):
    def mistakes(self, **variables: str) -> list[str]:
        environ = {f"IMGFORGE_{name}": value for name, value in variables.items()}
        with self.assertRaises(ConfigurationError) as caught:
            load_settings(None, environ)
        return list(caught.exception.lines)

    def test_keys_are_masked(self) -> None:
        names = ("BUGSNAG_KEY", "HONEYBADGER_KEY", "AIRBRAKE_PROJECT_KEY")
        environ = {f"IMGFORGE_{name}": "hush" for name in names}
        environ |= {"IMGFORGE_SENTRY_DSN": "https://hush@host/1", "IMGFORGE_AIRBRAKE_PROJECT_ID": "7"}
        self.assertNotIn("hush", json.dumps(load_settings(None, environ).masked()))

    def test_dsn_endpoints_and_projects_are_checked_at_the_start(self) -> None:
        for dsn in ("x", "https://host/1", "https://key@host/", "ftp://key@host/1", "https://key@host:x/1"):
            (line,) = self.mistakes(SENTRY_DSN=dsn)
            self.assertIn("must be a DSN", line)
            self.assertTrue(line.startswith("IMGFORGE_SENTRY_DSN=***"))
        (line,) = self.mistakes(BUGSNAG_ENDPOINT="notify.example")
        self.assertIn("must be an http or https URL", line)
        for name, value in (("ID", "7"), ("KEY", "k")):
            (line,) = self.mistakes(**{f"AIRBRAKE_PROJECT_{name}": value})
            self.assertIn("set both or none", line)
