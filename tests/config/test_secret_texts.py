"""The values of secrets, for those who take them out of what leaves the server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import load_settings


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
