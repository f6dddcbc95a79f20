"""Settings of the bucket of the cache: what they need, and what ends the start."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import ConfigurationError, Settings, load_settings

BASE = {"IMGFORGE_ALLOW_UNSIGNED": "true"}
SWIFT = {"CACHE_SWIFT_USERNAME": "u", "CACHE_SWIFT_API_KEY": "k", "CACHE_SWIFT_AUTH_URL": "http://swift/v3"}


def load(**settings: str) -> Settings:
    return load_settings(None, BASE | {f"IMGFORGE_{name}": value for name, value in settings.items()})


class BucketTests(SynchronousTestCase):
    def mistakes(self, **settings: str) -> list[str]:
        with self.assertRaises(ConfigurationError) as caught:
            load(**settings)
        return list(caught.exception.lines)

    def test_each_store_needs_a_bucket(self) -> None:
        for use in ("s3", "gcs", "abs"):
            (line,) = self.mistakes(CACHE_USE=use)
            self.assertEqual(line, f"IMGFORGE_CACHE_USE={use} needs IMGFORGE_CACHE_BUCKET, the name of a bucket")
            self.assertEqual(load(CACHE_USE=use, CACHE_BUCKET="images").cache_bucket, "images")

    def test_swift_needs_a_user(self) -> None:
        self.assertEqual(load(CACHE_USE="swift", CACHE_BUCKET="images", **SWIFT).cache_swift_username, "u")
        lines = self.mistakes(CACHE_USE="swift", CACHE_BUCKET="images")
        self.assertEqual(lines, [f"IMGFORGE_CACHE_USE=swift needs IMGFORGE_{name}" for name in SWIFT])
        (line,) = self.mistakes(
            CACHE_USE="swift", CACHE_BUCKET="images", **(SWIFT | {"CACHE_SWIFT_AUTH_URL": "http://swift"})
        )
        self.assertIn("IMGFORGE_CACHE_SWIFT_AUTH_VERSION must be 1, 2 or 3", line)

    def test_the_prefix_is_the_beginning_of_names(self) -> None:
        for given, prefix in (("images/", "images"), ("/a/b/", "a/b"), ("", ""), ("/", ""), ("ä b", "ä b")):
            self.assertEqual(load(CACHE_PATH_PREFIX=given).cache_path_prefix, prefix)
        for given in ("a//b", ".", "..", "a/../b", "a/.", "a\nb", "a" * 201):
            (line,) = self.mistakes(CACHE_PATH_PREFIX=given)
            self.assertIn("IMGFORGE_CACHE_PATH_PREFIX", line)

    def test_a_cache_on_disk_has_its_path(self) -> None:
        for name in ("CACHE_BUCKET", "CACHE_PATH_PREFIX"):
            (line,) = self.mistakes(CACHE_USE="fs", CACHE_FS_ROOT="/cache", **{name: "images"})
            self.assertIn(f"IMGFORGE_{name} is for a cache in a bucket: IMGFORGE_CACHE_DISK_PATH names", line)
        load(CACHE_TYPE="disk", CACHE_DISK_PATH="/cache", CACHE_USE="s3", CACHE_BUCKET="a", CACHE_PATH_PREFIX="b")
        load(CACHE_PATH_PREFIX="idle, as there is no cache")

    def test_secrets_are_masked(self) -> None:
        settings = load(CACHE_GCS_KEY="{hidden}", CACHE_ABS_KEY="aGlkZGVu", **SWIFT)
        masked = settings.masked()
        self.assertEqual({masked[f"cache_{name}"] for name in ("gcs_key", "abs_key", "swift_api_key")}, {"***"})
