"""URLs of objects: what of them is bucket, key and version."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import SourceNotFound
from imgforge.sources.stores.object_url import ObjectName, object_name


class ObjectUrlTests(SynchronousTestCase):
    def test_bucket_key_and_version(self) -> None:
        for url, name in {
            "s3://photos/a/b.jpg": ("photos", "a/b.jpg", ""),
            "s3://photos/a.jpg?v1": ("photos", "a.jpg", "v1"),
            "s3://photos/a.jpg?v1?2": ("photos", "a.jpg", "v1?2"),
            "s3://photos//a.jpg": ("photos", "a.jpg", ""),
            "s3://photos/a//b/../c": ("photos", "a//b/../c", ""),
            "s3://photos/a%2Fb+c d#e": ("photos", "a%2Fb+c d#e", ""),
            "s3://photos/ö%zz": ("photos", "ö%zz", ""),
            "s3://user@photos:80/a": ("user@photos:80", "a", ""),
        }.items():
            self.assertEqual(object_name(url, "?"), ObjectName(*name), url)

    def test_the_separator_is_the_operators(self) -> None:
        self.assertEqual(object_name("s3://photos/a?b--v1", "--"), ObjectName("photos", "a?b", "v1"))
        self.assertEqual(object_name("s3://photos/a?b", ""), ObjectName("photos", "a?b", ""))

    def test_a_url_without_bucket_or_key_is_no_source(self) -> None:
        for url in ("s3://", "s3:///a.jpg", "s3://photos", "s3://photos/", "s3://photos///", "s3://photos/?v1", "s3:"):
            with self.assertRaises(SourceNotFound):
                object_name(url, "?")

    def test_text_that_has_no_bytes_is_no_source(self) -> None:
        with self.assertRaises(SourceNotFound):
            object_name("s3://photos/\udcff", "?")

    @given(
        st.text("abc.-", min_size=1),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="?"), min_size=1).filter(
            lambda key: not key.startswith("/")
        ),
    )
    def test_a_key_is_taken_as_it_is(self, bucket: str, key: str) -> None:
        self.assertEqual(object_name(f"s3://{bucket}/{key}", "?"), ObjectName(bucket, key, ""))
