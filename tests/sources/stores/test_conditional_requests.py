"""Which conditions and ranges go to a store."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.stores.conditional_requests import understood_headers

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


class UnderstoodHeadersTests(SynchronousTestCase):
    def assert_left_out(self, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for last_bytes in (False, True):
            self.assertEqual(understood_headers(named, last_bytes=last_bytes), {}, named)

    def test_plain_conditions_and_ranges_are_kept(self) -> None:
        for headers in (
            {},
            {"if-none-match": '"0x8D"'},
            {"if-none-match": '"abc-2"'},
            {"if-modified-since": DATE},
            {"range": "bytes=0-"},
            {"range": "bytes=0-9", "if-none-match": '"1"'},
            {"range": "bytes=5-10", "accept": "image/*"},
        ):
            for last_bytes in (False, True):
                self.assertEqual(understood_headers(headers, last_bytes=last_bytes), headers)

    def test_the_last_bytes_are_asked_for_where_the_store_knows_such_ranges(self) -> None:
        headers = {"range": "bytes=-5"}
        self.assertEqual(understood_headers(headers, last_bytes=True), headers)
        self.assertEqual(understood_headers(headers), {})

    def test_conditions_that_a_store_may_refuse_are_left_out_together(self) -> None:
        for etags in ("*", '"a", "b"', 'W/"a"', "a", '"a', "", '"1\r\nx: y"', f'"{"a" * 201}"', '"é"'):
            self.assert_left_out(if_none_match=etags, if_modified_since=DATE)

    def test_a_date_means_nothing_beside_an_etag(self) -> None:
        headers = {"if-none-match": '"a"', "if-modified-since": DATE}
        self.assertEqual(understood_headers(headers), {"if-none-match": '"a"'})

    def test_ranges_that_a_store_may_refuse_are_left_out(self) -> None:
        for wanted in (
            "bytes=0-1,3-4", "items=0-1", "bytes=a-", "bytes=-", "bytes=\u0661-", f"bytes={'1' * 19}-",
            f"bytes=-{'1' * 19}",
        ):  # fmt: skip
            self.assert_left_out(range=wanted)

    def test_not_every_store_compares_if_range_so_that_the_whole_object_is_asked_for(self) -> None:
        self.assert_left_out(range="bytes=0-1", if_range='"a"')
