"""What ends the start: settings that cannot be used, and libraries that are missing."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources import AzureSettings, GcsSettings, SourceSettings, store_mistakes
from imgforge.sources.stores.store_mistakes import StoreMistake, endpoint_url, require


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
        with patch("imgforge.sources.stores.store_mistakes.find_spec", lambda _: None):
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
        for value in ("ftp://a", "http://", "http://a:b", "http://a?b", "http://a#b", "http://u:p@a", "http://[a"):
            with self.assertRaises(StoreMistake, msg=value):
                endpoint_url("X", value)
