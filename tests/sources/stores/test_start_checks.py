"""What ends the start: settings that cannot be used, and libraries that are missing."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources import AzureSettings, GcsSettings, S3Settings, SourceSettings, SwiftSettings, store_mistakes
from imgforge.sources.http import OriginRequest, Refusal
from imgforge.sources.stores.s3_addressing import addressing_mistakes
from imgforge.sources.stores.setting_mistakes import StoreMistake, endpoint_url, require


class StoreMistakesTests(SynchronousTestCase):
    def mistakes(self, gcs: GcsSettings | None = None, azure: AzureSettings | None = None) -> list[str]:
        return list(store_mistakes(SourceSettings(gcs=gcs, azure=azure)))

    def test_usable_stores(self) -> None:
        self.assertEqual(self.mistakes(), [])
        self.assertEqual(self.mistakes(GcsSettings(), AzureSettings("account")), [])
        self.assertEqual(self.mistakes(azure=AzureSettings("account", "a2V5", "http://azurite:10000/account")), [])

    def test_each_store_has_its_line(self) -> None:
        gcs, azure = self.mistakes(GcsSettings("{"), AzureSettings())
        self.assertIn("IMGFORGE_GCS_KEY", gcs)
        self.assertIn("IMGFORGE_ABS_NAME", azure)

    def test_a_missing_library_is_named_with_the_command_that_installs_it(self) -> None:
        with patch("imgforge.sources.stores.setting_mistakes.find_spec", lambda _: None):
            gcs, azure = self.mistakes(GcsSettings(), AzureSettings("account"))
            self.assertIn("pip install 'twisted-imgforge[gcs]'", gcs)
            self.assertIn("pip install 'twisted-imgforge[azure]'", azure)
            # Neither is needed for an emulator and for a key.
            usable = GcsSettings(endpoint="http://gcs:4443"), AzureSettings("account", "a2V5")
            self.assertEqual(self.mistakes(*usable), [])

    def test_a_module_whose_parent_is_missing_is_missing(self) -> None:
        with self.assertRaises(StoreMistake):
            require("X", "no_such_package.inner", "no-such-package", "extra")

    def test_endpoints(self) -> None:
        for value, url in (
            ("http://a:1/b/", "http://a:1/b"),
            ("a:1", "http://a:1"),
            ("https://[::1]:8/x", "https://[::1]:8/x"),
        ):
            self.assertEqual(endpoint_url("X", value), url)
        for value in (
            "ftp://a",
            "http://",
            "http://a:b",
            "http://a?b",
            "http://a#b",
            "http://u:p@a",
            "http://[a",
            "http:/a",
            "http://a,b",
        ):
            with self.assertRaises(StoreMistake, msg=value):
                endpoint_url("X", value)

    def test_secrets_in_a_mistaken_endpoint_are_not_shown(self) -> None:
        for value, shown in (
            ("https://account:hunter2@a/b", "https://...@a/b"),
            ("https://account:hunt@er2@a", "https://...@a"),
            ("account:hunter2@a", "...@a"),
            ("https://a/?sv=1&sig=hunter2", "https://a/?..."),
            ("https://a/#hunter2", "https://a/#..."),
        ):
            with self.assertRaises(StoreMistake) as caught:
                endpoint_url("X", value)
            self.assertIn(f"X={shown!r} must be", str(caught.exception))
            self.assertNotIn("hunt", str(caught.exception))
            (line,) = addressing_mistakes(S3Settings(endpoint=value), {})
            self.assertNotIn("hunt", line)

    def test_the_url_of_swifts_authentication(self) -> None:
        for url in ("http://user:hunter2@a/v3", "http://a:99999/v3", "http://a/v3?x=hunter2", "http://a,b/v3"):
            (line,) = store_mistakes(SourceSettings(swift=SwiftSettings("user", "key", url)))
            self.assertIn("IMGFORGE_SWIFT_AUTH_URL=", line)
            self.assertNotIn("hunter2", line)

    def test_settings_show_no_secrets(self) -> None:
        shown = repr(
            SourceSettings(
                s3=S3Settings(assume_role_external_id="hunter2"),
                gcs=GcsSettings("hunter2"),
                azure=AzureSettings("account", "hunter2"),
                swift=SwiftSettings("user", "hunter2"),
            )
        )
        self.assertNotIn("hunter2", shown)
        request = OriginRequest("http://store", {"authorization": "hunter2"}, body=b"hunter2")
        self.assertNotIn("hunter2", repr(Refusal(request, 403, {"x": "hunter2"}, b"hunter2")))
