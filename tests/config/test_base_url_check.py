"""A base URL that leads to no source is told at the start and by `imgforge config check`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import load_settings


def doubts(base_url: str, **given: str) -> list[str]:
    given = {f"IMGFORGE_{name}": value for name, value in given.items()}
    settings = load_settings(None, {"IMGFORGE_BASE_URL": base_url, **given})
    return [line for line in settings.warnings() if "BASE_URL" in line]


class BaseUrlTests(SynchronousTestCase):
    def test_a_prefix_without_a_scheme_is_told(self) -> None:
        for url in ("foo", "images.example/a/", "images.example:8080/a/", "/pictures/", "//images.example/"):
            (line,) = doubts(url)
            self.assertEqual(
                line,
                f"IMGFORGE_BASE_URL={url} begins with no scheme, such as https:// or s3://: "
                "source URLs that it is put before get 404",
            )

    def test_a_password_is_not_told(self) -> None:
        (line,) = doubts("//me:secret@images.example/")
        self.assertNotIn("secret", line)

    def test_prefixes_with_a_scheme_are_good(self) -> None:
        for url in ("", "http://images.example", "HTTPS://images.example/a/", "https:", "own+scheme://x/"):
            self.assertEqual(doubts(url), [])

    def test_a_scheme_that_is_off_is_told_with_its_switch(self) -> None:
        for url, switch, value in (
            ("local:///", "LOCAL_FILESYSTEM_ROOT", "/srv"),
            ("s3://photos/", "USE_S3", "true"),
        ):
            (line,) = doubts(url)
            self.assertIn(f"as IMGFORGE_{switch} is not set", line)
            self.assertEqual(doubts(url, **{switch: value}), [])
