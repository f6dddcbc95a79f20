"""Conditional and range requests."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import Unsatisfiable, byte_range
from imgforge.web import Answer
from imgforge.web.http import Conditions, conditioned, not_modified, precondition_fails

NOW = 1_800_000_000.0
ETAG, MODIFIED = '"abc123"', "Wed, 21 Oct 2015 07:28:00 GMT"
WHOLE = Answer(
    200,
    [
        (b"Content-Type", b"image/png"),
        (b"Cache-Control", b"max-age=5"),
        (b"ETag", ETAG.encode()),
        (b"Last-Modified", MODIFIED.encode()),
        (b"Accept-Ranges", b"bytes"),
    ],
    b"0123456789",
)


class NotModifiedTests(SynchronousTestCase):
    def matches(self, *, none_match: str = "", since: str = "") -> bool:
        return not_modified(ETAG, MODIFIED, Conditions(none_match, since))

    def test_if_none_match_compares_weakly_and_in_lists(self) -> None:
        for tags in (ETAG, "W/" + ETAG, f'"x", {ETAG}', f'"a,b",{ETAG}', "*"):
            self.assertTrue(self.matches(none_match=tags), tags)
        for tags in ('"other"', "abc123", f'"x{ETAG}'):
            self.assertFalse(self.matches(none_match=tags), tags)
        self.assertTrue(not_modified("W/" + ETAG, "", Conditions(ETAG)))

    def test_date_is_ignored_beside_a_tag(self) -> None:
        self.assertTrue(self.matches(since=MODIFIED))
        self.assertFalse(self.matches(since="Wed, 21 Oct 2015 07:27:59 GMT"))
        self.assertFalse(self.matches(none_match='"other"', since=MODIFIED))

    def test_malformed_date_is_ignored(self) -> None:
        for date in ("yesterday", "Wed, 21 Oct 2015 07:28:00", "Wed, 99 Oct 2015 07:28:00 GMT"):
            self.assertFalse(self.matches(since=date), date)

    def test_response_without_validators_never_matches(self) -> None:
        self.assertFalse(not_modified("", "", Conditions(ETAG, MODIFIED)))
        self.assertFalse(not_modified("", "", Conditions("", MODIFIED)))


class PreconditionTests(SynchronousTestCase):
    """If-Match and If-Unmodified-Since."""

    def precondition_fails(self, match: str = "", since: str = "", etag: str = ETAG) -> bool:
        return precondition_fails(etag, MODIFIED, Conditions(if_match=match, if_unmodified_since=since))

    def test_if_match_compares_strongly(self) -> None:
        for tags in (ETAG, f'"x", {ETAG}', f'W/"x",{ETAG}', "*", " * "):
            self.assertFalse(self.precondition_fails(tags), tags)
        for tags in ('"other"', "W/" + ETAG, "abc123", f'"x{ETAG}', '""'):
            self.assertTrue(self.precondition_fails(tags), tags)
        self.assertTrue(self.precondition_fails("W/" + ETAG, etag="W/" + ETAG))
        self.assertTrue(self.precondition_fails(ETAG, etag=""))
        self.assertFalse(self.precondition_fails("*", etag=""))

    def test_date_is_ignored_beside_a_tag(self) -> None:
        self.assertFalse(self.precondition_fails(since=MODIFIED))
        self.assertTrue(self.precondition_fails(since="Wed, 21 Oct 2015 07:27:59 GMT"))
        self.assertFalse(self.precondition_fails(ETAG, since="Wed, 21 Oct 2015 07:27:59 GMT"))
        self.assertFalse(self.precondition_fails(since="yesterday"))
        self.assertFalse(precondition_fails(ETAG, "", Conditions(if_unmodified_since=MODIFIED)))

    def test_if_match_is_evaluated_first(self) -> None:
        conditions = Conditions(if_none_match=ETAG, range="bytes=0-1", if_match='"other"')
        refused = conditioned(WHOLE, conditions, NOW)
        self.assertEqual((refused.status, refused.body.count(b"\n"), refused.offer), (412, 1, None))
        self.assertNotIn(b"ETag", dict(refused.headers))
        self.assertEqual(conditioned(WHOLE, replace(conditions, if_match=ETAG), NOW).status, 304)
        self.assertEqual(conditioned(WHOLE, replace(conditions, if_match=ETAG, if_none_match=""), NOW).status, 206)


class RangeTests(SynchronousTestCase):
    def ranged(self, wanted: str, if_range: str = "", now: float = NOW) -> Answer:
        return conditioned(WHOLE, Conditions(range=wanted, if_range=if_range), now)

    def test_part_has_content_range_and_the_headers_of_the_whole(self) -> None:
        for wanted, content_range, body in (
            ("bytes=2-4", b"bytes 2-4/10", b"234"),
            ("bytes=7-", b"bytes 7-9/10", b"789"),
            ("bytes=-2", b"bytes 8-9/10", b"89"),
            ("bytes=-99", b"bytes 0-9/10", b"0123456789"),
            ("bytes=0-99999999999999999999999", b"bytes 0-9/10", b"0123456789"),
            ("BYTES=0-0", b"bytes 0-0/10", b"0"),
            ("bytes=,0-0 ,", b"bytes 0-0/10", b"0"),
        ):
            part = self.ranged(wanted)
            self.assertEqual((part.status, part.body), (206, body), wanted)
            headers = dict(part.headers)
            self.assertEqual(headers[b"Content-Range"], content_range)
            self.assertLessEqual(set(WHOLE.headers), set(part.headers))
            self.assertIsNone(part.offer)

    def test_range_beyond_the_body_gets_416_with_its_length(self) -> None:
        for wanted in ("bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"):
            refused = self.ranged(wanted)
            self.assertEqual((refused.status, dict(refused.headers)[b"Content-Range"]), (416, b"bytes */10"), wanted)

    def test_malformed_and_multiple_ranges_are_ignored(self) -> None:
        for wanted in (
            "bytes=0-1,3-4",
            "bytes=4-2",
            "bytes=-",
            "bytes=",
            "bytes",
            "bytes=a-b",
            "bytes=0-1-2",
            "bytes=+1-2",
            "bytes=\u0661-\u0662",
            "lines=0-1",
            "",
        ):
            self.assertIs(self.ranged(wanted), WHOLE, wanted)

    def test_if_range_compares_strongly(self) -> None:
        for validator in (ETAG, MODIFIED):
            self.assertEqual(self.ranged("bytes=0-1", validator).status, 206, validator)
        for validator in ("W/" + ETAG, '"other"', "Wed, 21 Oct 2015 07:28:01 GMT", "nonsense", "*"):
            self.assertIs(self.ranged("bytes=0-1", validator), WHOLE, validator)
            self.assertIs(self.ranged("bytes=99-", validator), WHOLE, validator)

    def test_if_range_never_matches_a_weak_tag(self) -> None:
        weak = replace(WHOLE, headers=[(b"ETag", b'W/"a"')])
        for tag in ('W/"a"', '"a"'):
            self.assertIs(conditioned(weak, Conditions(range="bytes=0-1", if_range=tag), NOW), weak)

    def test_date_within_the_current_second_is_not_a_strong_validator(self) -> None:
        changed = 1445412480.0
        self.assertIs(self.ranged("bytes=0-1", MODIFIED, now=changed + 0.5), WHOLE)
        self.assertEqual(self.ranged("bytes=0-1", MODIFIED, now=changed + 1).status, 206)

    def test_304_takes_precedence_over_a_range(self) -> None:
        kept = conditioned(WHOLE, Conditions(if_none_match=ETAG, range="bytes=0-1"), NOW)
        self.assertEqual((kept.status, kept.body), (304, b""))

    def test_errors_have_no_ranges(self) -> None:
        fallback = replace(WHOLE, status=404)
        self.assertIs(conditioned(fallback, Conditions(ETAG, range="bytes=0-1"), NOW), fallback)

    @given(st.integers(0, 30), st.integers(0, 40), st.integers(0, 40))
    def test_ranges_are_slices(self, length: int, first: int, last: int) -> None:
        body = bytes(range(length))
        for wanted, expected in (
            (f"bytes={first}-{last}", body[first : last + 1]),
            (f"bytes={first}-", body[first:]),
            (f"bytes=-{last}", body[max(0, length - last) :]),
        ):
            if wanted == f"bytes={first}-{last}" and last < first:
                self.assertIsNone(byte_range(wanted, length))
            elif expected:
                start, end = byte_range(wanted, length) or (0, 0)
                self.assertEqual(body[start:end], expected)
            else:
                self.assertRaises(Unsatisfiable, byte_range, wanted, length)

    @given(st.text(alphabet="bytes=-,0123456789 \t\0x"), st.integers(0, 9))
    def test_any_range_header_is_within_the_body(self, wanted: str, length: int) -> None:
        try:
            part = byte_range(wanted, length)
        except Unsatisfiable:
            return
        if part is not None:
            self.assertTrue(0 <= part[0] < part[1] <= length)
