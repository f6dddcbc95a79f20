"""Names and passwords of URLs are masked wherever they stand, and nothing else."""

from __future__ import annotations

import json
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from imgforge.config import load_settings, mask_user_info

_PASSWORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).map(lambda text: f"hu{text}sh")


class MaskingTests(TestCase):
    def test_what_stands_before_the_host_is_masked(self) -> None:
        for text, shown in (
            ("http://me:hush@h/a?b=c", "http://***@h/a?b=c"),
            ("redis://:hush@h:6379/0", "redis://***@h:6379/0"),
            ("//hush@collector:4317", "//***@collector:4317"),
            ("redis://:hu/sh@h", "redis://***@h"),
            ("amqp://me:12/hush@h", "amqp://***@h"),
            ("amqp://me:hu?s#h@h", "amqp://***@h"),
            ("amqp://me:hu//sh@h", "amqp://***@h"),
            ("amqp://me:hu@sh@h", "amqp://***@h"),
            ("http://me:'hu\"sh@h", "http://***@h"),
            ("http://a:hush@h,http://b:hush@i/@2x", "http://***@h,http://***@i/@2x"),
            ("see http://a:hush@h: refused\nor b@c", "see http://***@h: refused\nor b@c"),
        ):
            self.assertEqual(mask_user_info(text), shown)

    def test_what_has_no_password_stays(self) -> None:
        for text in (
            "https://cdn.example/logo@2x.png",
            "https://cdn.example:8443/logo@2x.png",
            "http://localhost:8080/a@b",
            "http://[::1]:8080/a@b http://[::1]/a@b",
            "local:///logo@2x.png s3://bucket/logo@2x.png",
            "me@example.org",
            "http://h:80/ is written to by me@example.org",
            "",
        ):
            self.assertEqual(mask_user_info(text), text)

    @given(_PASSWORD)
    def test_no_password_without_an_at_sign_is_shown(self, password: str) -> None:
        shown = mask_user_info(f"redis://:{password.replace('@', '')}@host.example/0")
        self.assertEqual(shown, "redis://***@host.example/0")


class SettingsTests(TestCase):
    def test_settings_that_are_shown_have_no_password(self) -> None:
        urls = {
            "BASE_URL": "https://me:hu/sh@x/",
            "QUEUE_URL": "redis://:hush@r/0",
            "BUGSNAG_ENDPOINT": "http://hush@b",
        }
        urls |= {"WATERMARK_URL": "local:///logo@2x.png"}
        masked = load_settings(None, {f"IMGFORGE_{name}": url for name, url in urls.items()}).masked()
        self.assertNotIn("sh@", json.dumps(masked))
        self.assertEqual(masked["watermark_url"], "local:///logo@2x.png")
