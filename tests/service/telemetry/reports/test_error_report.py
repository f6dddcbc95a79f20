"""Which errors are reported, and what a report has: no secret of the request, of the error or of the settings."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import (
    BadOption,
    BadSignature,
    BadToken,
    ImgforgeError,
    NotAnImage,
    OriginFailed,
    OriginTimeout,
    Overloaded,
    RequestTimeout,
    SourceMissing,
    SourceTooLarge,
)
from imgforge.model import ImageRequest, ProcessingOptions
from imgforge.observability import RequestRecord, Stage
from imgforge.service.telemetry.reports import ReportRate, Scrubber, report_of, reported_error

TARGET = b"/c2lnbmF0dXJl/w:300/wmu:aHVzaA/-/blur:2/plain/https://u:hush@o/a.png%3Fsig=hush?x=hush"


def record_of(error: BaseException | None, status: int = 500) -> RequestRecord:
    """A request for an image that ended with *error*."""
    record = RequestRecord("id", "GET", TARGET, "/{*path}", began=1.0, failure=error, status=status, ended=2.0)
    record.image = ImageRequest(
        "https://u:hush@o/a.png?sig=hush", ProcessingOptions(width=300, watermark_url="http://m/m.png?sig=hush")
    )
    record.source = "https://o/a.png"
    return record


class WhichTests(SynchronousTestCase):
    def reported(self, error: BaseException | None, downloading: bool = True, io: bool = False) -> bool:
        status = 499 if error is None else 500
        return reported_error(record_of(error, status), downloading=downloading, io=io) is not None

    def test_internal_errors_and_broken_images_always(self) -> None:
        for error in (ValueError("x"), NotAnImage("x")):
            self.assertEqual(reported_error(record_of(error), downloading=False, io=False), error)

    def test_errors_of_origins_where_they_are_wanted(self) -> None:
        for error in (OriginFailed("x"), OriginTimeout("x"), SourceMissing("x")):
            self.assertEqual([self.reported(error, on) for on in (True, False)], [True, False])

    def test_limit_of_size_is_an_error_of_a_download_if_the_fetch_ended_with_it(self) -> None:
        error = SourceTooLarge("x")
        self.assertFalse(self.reported(error))
        record = record_of(error)
        record.work.add(Stage.FETCH, 0.0, 1.0, error)
        self.assertIs(reported_error(record, downloading=True, io=False), error)

    def test_mistakes_of_clients_load_and_time_limits_never(self) -> None:
        mistakes: tuple[ImgforgeError, ...] = (BadOption("x"), BadSignature("x"), Overloaded("x"), RequestTimeout("x"))
        for error in (*mistakes, CancelledError()):
            self.assertFalse(self.reported(error, io=True), error)

    def test_clients_that_leave_where_they_are_wanted(self) -> None:
        self.assertEqual([self.reported(None, io=io) for io in (True, False)], [True, False])


class ReportTests(SynchronousTestCase):
    def headers(self, name: bytes) -> bytes:
        known = {b"host": b"img.example", b"referer": b"http://site/page?session=hush", b"cookie": b"hush"}
        return known.get(name, b"")

    def test_report_has_the_request_without_its_secrets(self) -> None:
        report = report_of(OriginFailed("no"), record_of(OriginFailed("no")), self.headers, Scrubber(()))
        self.assertEqual(report.url, "http://img.example/***/w:300/wmu:***/-/blur:2/plain/https://o/a.png")
        self.assertEqual(report.headers, {"host": "img.example", "referer": "http://site/page"})
        self.assertEqual(
            report.metadata,
            {
                "Request ID": "id",
                "Source Image URL": "https://o/a.png",
                "Source Image Origin": "https://o",
                "Options": {"width": "300", "watermark_url": "http://m/m.png"},
                "Status": "500",
            },
        )
        self.assertNotIn("hush", repr(report))
        self.assertNotIn("c2lnbmF0dXJl", repr(report))

    def test_report_names_the_document_and_the_settings_of_its_error(self) -> None:
        error = BadToken("the Authorization header does not have this server's bearer token")
        metadata = report_of(error, record_of(error), lambda _: b"", Scrubber(())).metadata
        self.assertEqual(metadata["Documentation"], "docs/errors.md#bearer-token")
        self.assertIn("IMGFORGE_SECRET", metadata["Settings"])

    def test_target_that_was_not_parsed_is_not_shown(self) -> None:
        record = RequestRecord("id", "GET", TARGET, "/{*path}")
        self.assertEqual(report_of(ValueError(), record, lambda _: b"", Scrubber(())).url, "/***")
        record.scheme = "https"
        self.assertEqual(report_of(ValueError(), record, lambda _: b"h", Scrubber(())).url, "https://h/***")

    def test_message_and_causes_lose_secrets_of_urls_headers_and_settings(self) -> None:
        try:
            try:
                raise KeyError("Authorization: Bearer hush-1")
            except KeyError as cause:
                raise ValueError("s3cret of http://u:hush@h/p?q=hush and a%3Fq=hush, Basic aHVzaA==") from cause
        except ValueError as error:
            report = report_of(error, record_of(error), lambda _: b"", Scrubber(["s3cret", "", "of"]))
        self.assertEqual((report.kind, report.message), ("ValueError", "*** of http://h/p and a... Basic ***"))
        self.assertEqual(report.causes, [("KeyError", "'Authorization: Bearer ***'")])
        self.assertEqual(report.frames[-1].file, __file__)

    def test_deep_recursion_and_long_messages_are_cut(self) -> None:
        def dive(depth: int) -> None:
            if not depth:
                raise ValueError("x" * 5000)
            dive(depth - 1)

        try:
            dive(200)
        except ValueError as error:
            report = report_of(error, record_of(error), lambda _: b"", Scrubber(()))
        self.assertEqual((len(report.frames), len(report.message)), (50, 1000))


class RateTests(SynchronousTestCase):
    def test_equal_errors_are_reported_each_ten_seconds_with_the_number_of_those_between(self) -> None:
        rate = ReportRate(0.0)
        self.assertEqual([rate.admit(("a",), now) for now in (0.0, 1.0, 9.9, 10.0, 20.0)], [0, None, None, 2, 0])

    def test_different_errors_are_twenty_at_once_and_then_one_a_second(self) -> None:
        rate = ReportRate(0.0)
        admitted = [number for number in range(100) if rate.admit((str(number),), 0.0) is not None]
        self.assertEqual(admitted, list(range(20)))
        self.assertEqual([rate.admit((f"late {now}",), now) for now in (0.5, 1.0, 1.5, 2.0)], [None, 0, None, 0])

    def test_remembered_kinds_are_bounded(self) -> None:
        rate = ReportRate(0.0)
        for number in range(3000):
            rate.admit((str(number),), float(number))
        self.assertEqual(len(rate._kinds), 1000)
