"""Which conditions and ranges go to a store."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.stores.conditional_requests import understood_headers

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


class UnderstoodHeadersTests(SynchronousTestCase):
    def test_plain_conditions_and_ranges_are_kept(self) -> None:
        for headers in (
            {},
            {"if-none-match": '"0x8D"'},
            {"if-modified-since": DATE},
            {"range": "bytes=0-"},
            {"range": "bytes=5-10", "accept": "image/*"},
        ):
            self.assertEqual(understood_headers(headers), headers)

    def test_conditions_that_a_store_may_refuse_are_left_out_together(self) -> None:
        for etags in ("*", '"a", "b"', 'W/"a"', "a", '"a', ""):
            self.assertEqual(understood_headers({"if-none-match": etags, "if-modified-since": DATE}), {}, etags)

    def test_a_date_means_nothing_beside_an_etag(self) -> None:
        headers = {"if-none-match": '"a"', "if-modified-since": DATE}
        self.assertEqual(understood_headers(headers), {"if-none-match": '"a"'})

    def test_ranges_that_a_store_may_refuse_are_left_out(self) -> None:
        for ranges in ("bytes=-5", "bytes=0-1,3-4", "items=0-1", "bytes=a-", "bytes=\u0661-", f"bytes={'1' * 19}-"):
            self.assertEqual(understood_headers({"range": ranges}), {}, ranges)

    def test_no_store_compares_if_range_so_that_the_whole_object_is_asked_for(self) -> None:
        self.assertEqual(understood_headers({"range": "bytes=0-1", "if-range": '"a"'}), {})
