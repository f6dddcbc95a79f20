"""Conditions and ranges that go to S3, and those that do not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.stores.s3_conditions import understood_headers


class ConditionsTests(SynchronousTestCase):
    def test_what_all_stores_understand_goes_on(self) -> None:
        for headers in (
            {"if-none-match": '"abc-2"'},
            {"if-modified-since": "Wed, 21 Oct 2015 07:28:00 GMT"},
            {"range": "bytes=0-9", "if-none-match": '"1"'},
            {"range": "bytes=10-"},
            {"range": "bytes=-5"},
            {"accept": "*/*"},
        ):
            self.assertEqual(understood_headers(headers), headers)

    def test_the_date_means_nothing_beside_an_etag(self) -> None:
        self.assertEqual(
            understood_headers({"if-none-match": '"1"', "if-modified-since": "yesterday"}), {"if-none-match": '"1"'}
        )
        self.assertEqual(understood_headers({"if-none-match": 'W/"1"', "if-modified-since": "yesterday"}), {})

    def test_what_stores_read_differently_is_left_out(self) -> None:
        for headers in (
            {"if-none-match": '"1", "2"'},
            {"if-none-match": "*"},
            {"range": "bytes=0-9", "if-range": '"1"'},
            {"range": "bytes=0-1,4-5"},
            {"range": "bytes=-"},
            {"range": "lines=1-2"},
            {"if-none-match": '"1\r\nx: y"'},
        ):
            self.assertEqual(understood_headers(headers), {}, headers)
