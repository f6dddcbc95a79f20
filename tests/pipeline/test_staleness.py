"""How long entries are fresh, and how long stale ones may be used."""

from __future__ import annotations

import math
from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import CacheEntry, Rendition
from imgforge.pipeline import StalenessPolicy


class StalenessPolicyTests(SynchronousTestCase):
    """The rules that follow from an origin's headers."""

    def rules(self, cache_control: str, expires: str = "") -> tuple[float, float, float]:
        own = StalenessPolicy(ttl=100, while_revalidate=10, if_error=20, obey_origin=True)
        rules = own.rules(cache_control, expires, asked_at=1_000_000.0)
        return rules.lifetime, rules.while_revalidate, rules.if_error

    def test_the_origins_cache_control_overrides_the_operators_times(self) -> None:
        for cache_control, expected in (
            ("", (100, 10, 20)),
            ("public", (100, 10, 20)),
            ("max-age=5", (5, 10, 20)),
            ("max-age=5, s-maxage=7", (7, 10, 20)),
            ('Max-Age="5"', (5, 10, 20)),
            ("max-age=5, max-age=9", (5, 10, 20)),
            ("max-age=5,stale-while-revalidate=1,stale-if-error=2", (5, 1, 2)),
            ("max-age=5, must-revalidate", (5, 0, 0)),
            ("max-age=5, no-cache", (0, 0, 0)),
            ("no-cache", (0, 0, 0)),
            ("max-age=nonsense", (0, 10, 20)),
            ("max-age=-1", (0, 10, 20)),
            ("max-age", (0, 10, 20)),
            ("max-age=" + "9" * 500, (0, 10, 20)),
            ('private="x, max-age=3", max-age=5', (0, 0, 0)),
        ):
            self.assertEqual(self.rules(cache_control), expected, cache_control)

    def test_expires_counts_without_max_age(self) -> None:
        in_30_seconds = formatdate(1_000_030, usegmt=True)
        self.assertEqual(self.rules("", in_30_seconds)[0], 30)
        self.assertEqual(self.rules("max-age=5", in_30_seconds)[0], 5)
        for expires in ("0", "-1", "never", formatdate(10, usegmt=True), "Sun, 99 Nov 9999 99:99:99 GMT"):
            self.assertEqual(self.rules("", expires)[0], 0)

    def test_a_response_that_forbids_storing_is_not_storable(self) -> None:
        for header, storable in (("no-store", False), ("private", False), ("no-cache", True), ("max-age=0", True)):
            self.assertEqual(StalenessPolicy(obey_origin=True).is_storable(header, ""), storable)
            self.assertTrue(StalenessPolicy(obey_origin=False).is_storable(header, ""))

    def test_headers_of_an_origin_that_is_not_obeyed_are_ignored(self) -> None:
        self.assertEqual(StalenessPolicy(ttl=9).rules("max-age=5", "0", 0.0).lifetime, 9)
        self.assertEqual(StalenessPolicy().rules("max-age=5", "0", 0.0).lifetime, math.inf)

    @given(st.text(), st.text(), st.floats(-1e12, 1e12))
    def test_any_header_gives_times_of_at_least_zero(self, cache_control: str, expires: str, asked_at: float) -> None:
        rules = StalenessPolicy(5, 6, 7, obey_origin=True).rules(cache_control, expires, asked_at)
        self.assertTrue(rules.lifetime >= 0 and rules.while_revalidate >= 0 and rules.if_error >= 0)

    def test_an_entry_from_the_future_is_as_old_as_it_is_ahead(self) -> None:
        entry = CacheEntry(Rendition(b"", "png", ""), stored_at=1000.0, etag="")
        own = StalenessPolicy(ttl=60)
        for now, fresh in ((1000, True), (1059, True), (1061, False), (941, True), (939, False)):
            self.assertEqual(own.is_fresh(entry, now), fresh)
