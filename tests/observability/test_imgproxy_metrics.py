"""imgproxy's metrics: which errors are of which type, and shared work that is counted once."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from imgforge import errors
from imgforge.model import ImageRequest
from imgforge.model.options import DeliveryOptions
from imgforge.observability import (
    ERROR_TYPES,
    ImgproxyMetrics,
    Metrics,
    RequestRecord,
    Stage,
    WorkRecord,
    error_type,
)

# Those that a request for an image cannot fail with: they belong to other endpoints.
ELSEWHERE = {"BadRequest", "BodyTooLarge", "PurgeFailed", "QueueFailed"}
WANTED = {"NotCached"}  # what a request asks for that takes no miss


def every_error() -> list[errors.ImgforgeError]:
    made = []
    for name in errors.__all__:
        kind = getattr(errors, name)
        if kind is not errors.ImgforgeError and name not in ELSEWHERE | WANTED:
            made.append(kind(400, "x") if kind is errors.Unreadable else kind("x"))
    return made


class ErrorTests(SynchronousTestCase):
    def test_each_error_has_a_type(self) -> None:
        for error in every_error():
            found = error_type(RequestRecord(failure=error))
            self.assertIn(found, set(ERROR_TYPES) - {"unexpected", "streaming"}, type(error).__name__)

    def test_a_miss_that_was_asked_about_is_no_error(self) -> None:
        self.assertEqual(error_type(RequestRecord(failure=errors.NotCached("x"))), "")

    def test_what_is_no_error_of_imgforge_is_unexpected(self) -> None:
        self.assertEqual(error_type(RequestRecord(failure=ValueError("x"))), "unexpected")
        self.assertEqual(error_type(RequestRecord()), "")

    def test_who_gives_up_fails_not_and_a_fallback_image_stands_for_a_download_that_did(self) -> None:
        self.assertEqual(error_type(RequestRecord(failure=CancelledError())), "")
        self.assertEqual(error_type(RequestRecord(fallback=404, status=200)), "download")

    def test_broken_image_is_of_the_step_that_found_it(self) -> None:
        record = RequestRecord(failure=errors.NotAnImage("x"))
        self.assertEqual(error_type(record), "download")
        record.work.add(Stage.PROCESS, 1.0, 2.0, record.failure)
        self.assertEqual(error_type(record), "processing")

    def test_source_that_is_passed_on_fails_as_a_stream(self) -> None:
        image = ImageRequest("http://origin/a", delivery=DeliveryOptions(raw=True))
        self.assertEqual(error_type(RequestRecord(image=image, failure=errors.OriginFailed("x"))), "streaming")
        self.assertEqual(error_type(RequestRecord(image=image, failure=errors.OriginTimeout("x"))), "timeout")


class CountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = Metrics()
        self.counts = self.metrics.imgproxy = ImgproxyMetrics(self.metrics.registry, self.metrics.exemplars)

    def value(self, name: str, **labels: str) -> float:
        self.metrics.flush()
        return self.metrics.registry.get_sample_value(name, labels) or 0

    def test_work_that_several_requests_wait_for_is_counted_once(self) -> None:
        work = WorkRecord()
        work.add(Stage.FETCH, 1.0, 3.0)
        self.counts.worked(work)  # the first client left while the image was being made
        work.add(Stage.PROCESS, 3.0, 7.0)
        for _ in range(3):
            self.counts.worked(work)
        for span, seconds in (("downloading_source_image", 2), ("processing_image", 4), ("queue", 0)):
            self.assertEqual(self.value("request_span_duration_seconds_sum", span=span), seconds)
            self.assertEqual(self.value("request_span_duration_seconds_count", span=span), bool(seconds))

    def test_stream_begins_with_the_request_to_the_origin(self) -> None:
        work = WorkRecord()
        work.add(Stage.FETCH, 1.0, 3.0)
        work.add("stream", 3.0, 6.0)
        self.counts.worked(work)
        self.assertEqual(self.value("request_span_duration_seconds_sum", span="streaming_image"), 5)
        self.assertEqual(self.value("request_span_duration_seconds_count", span="downloading_source_image"), 0)

    def test_hits_of_the_fast_lane_count(self) -> None:
        self.metrics.answered_many("GET", "/{*path}", 200, 4, 0.08, "memory")
        self.assertEqual(self.value("requests_total"), 4)
        self.assertEqual(self.value("request_duration_seconds_bucket", le="0.025"), 4)
        self.assertEqual(self.value("request_duration_seconds_bucket", le="0.01"), 0)
        self.assertAlmostEqual(self.value("request_duration_seconds_sum"), 0.08)

    def test_utilization_is_of_all_processes(self) -> None:
        self.counts.load(requests=3, threads=2, processes=4)
        self.assertEqual((self.value("workers"), self.value("workers_utilization")), (2, 37.5))

    def test_traces_are_exemplars_of_both_histograms(self) -> None:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        work = WorkRecord()
        work.add(Stage.WAIT, 1.0, 1.3)
        self.counts.answered(0.7, trace)
        self.counts.worked(work, trace)
        self.metrics.flush()
        text = self.metrics.flushed(openmetrics=True)[0].decode()
        shown = {line.partition(" ")[0] for line in text.splitlines() if trace in line}
        self.assertEqual(
            shown,
            {
                'request_duration_seconds_bucket{le="1.0"}',
                'request_span_duration_seconds_bucket{le="0.5",span="queue"}',
            },
        )
