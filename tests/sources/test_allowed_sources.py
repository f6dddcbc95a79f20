"""The list of allowed sources: prefixes, wildcards, and what does not pass them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources import AllowedSources


class AllowedSourcesTests(SynchronousTestCase):
    def allow(self, pattern: str, url: str) -> bool:
        return AllowedSources((pattern,)).allow(url)

    def test_no_list_allows_all(self) -> None:
        self.assertTrue(AllowedSources(()).allow("anything"))

    def test_a_pattern_is_a_prefix(self) -> None:
        self.assertTrue(self.allow("http://a.example/img/", "http://a.example/img/x.jpg"))
        self.assertFalse(self.allow("http://a.example/img/", "http://a.example/other/x.jpg"))
        self.assertFalse(self.allow("http://a.example/", "x http://a.example/"))

    def test_a_wildcard_stays_within_its_segment(self) -> None:
        pattern = "https://*.example.com/"
        self.assertTrue(self.allow(pattern, "https://cdn.example.com/x"))
        for end in "/?#\\":
            self.assertFalse(self.allow(pattern, f"https://evil.net{end}.example.com/"), end)

    def test_a_pattern_that_ends_in_the_host_matches_whole_hosts(self) -> None:
        self.assertTrue(self.allow("https://example.com", "https://example.com/a"))
        self.assertTrue(self.allow("https://example.com", "https://example.com:8080/a"))
        self.assertFalse(self.allow("https://example.com", "https://example.com.evil.net/a"))
        self.assertFalse(self.allow("https://example.com", "https://example.com@evil.net/a"))

    def test_no_path_leaves_its_prefix_by_dots(self) -> None:
        for scheme in ("local://", "http://a.example"):
            for dots in ("../", "%2e%2e/", "%2E./", "x/../../", "..%2f", "..\\"):
                self.assertFalse(self.allow(f"{scheme}/public/", f"{scheme}/public/{dots}secret.jpg"), dots)
            self.assertTrue(self.allow(f"{scheme}/public/", f"{scheme}/public/a..b/c.jpg?x=/../"))

    def test_a_pattern_may_be_a_scheme(self) -> None:
        self.assertTrue(self.allow("local://", "local:///a.jpg"))
        self.assertFalse(self.allow("local://", "http://x/a.jpg"))
