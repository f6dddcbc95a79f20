"""Slow requests have one line with what took so long; a storm of them has ten lines a second."""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider

from imgforge.model import Crop, Gravity, ImageRequest, ProcessingOptions
from imgforge.observability import RequestRecord, SlowRequests, Stage, asked_options, options_text


def record(seconds: float, at: float = 100.0) -> RequestRecord:
    """A request for an image that took so many *seconds*."""
    made = RequestRecord("id", "GET", b"/sig/w:300/plain/http://o/a.png%3Ftoken=hush", "/{*path}", began=at)
    made.image = ImageRequest("http://o/a.png?token=hush", ProcessingOptions(width=300))
    made.source, made.ended, made.status, made.size = "http://o/a.png", at + seconds, 200, 512
    made.work.add(Stage.FETCH, at, at + 1.0)
    made.work.add(Stage.FETCH, at, at + 0.5)
    made.work.add("retry", at, at + 0.25)
    made.work.bytes_in = 4096
    return made


class SlowRequestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[LogEvent] = []

        @provider(ILogObserver)
        def observer(event: LogEvent) -> None:
            self.events.append(event)

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def test_line_has_timings_source_options_and_sizes(self) -> None:
        slow = SlowRequests(2.0)
        slow.ended(record(1.9))
        self.assertEqual(self.events, [])
        slow.ended(record(2.0))
        (event,) = self.events
        self.assertEqual(
            formatEvent(event),
            "slow request: GET /sig/w:300/plain/http://o/a.png... took 2.0 s (fetch 1.500 s, retry 0.250 s): status "
            "200, source http://o/a.png, options width=300, 4096 bytes in, 512 bytes out",
        )
        self.assertEqual((event["fetch_ms"], event["retry_ms"], event["request_id"]), (1500.0, 250.0, "id"))
        self.assertEqual(event["route"], "/{*path}")
        self.assertNotIn("hush", repr(event))

    def test_a_target_is_named_up_to_500_characters_without_passwords(self) -> None:
        asked = record(2.0)
        asked.target = b"/sig/w:300/plain/http%3A%2F%2Fme:hush%40o/" + b"x" * 5000
        SlowRequests(2.0).ended(asked)
        (event,) = self.events
        self.assertTrue(event["target"].startswith("/sig/w:300/plain/http%3A%2F%2F***@o/xxx"))
        self.assertEqual(len(event["target"]), 503)

    def test_storm_has_ten_lines_a_second_and_the_next_one_says_how_many_are_missing(self) -> None:
        slow = SlowRequests(1.0)
        for _ in range(25):
            slow.ended(record(1.0))
        self.assertEqual(len(self.events), 10)
        slow.ended(record(1.0, at=102.0))
        self.assertTrue(formatEvent(self.events[-1]).endswith("; 15 more not logged"))


class OptionTests(SynchronousTestCase):
    def test_options_are_those_that_differ_from_none(self) -> None:
        options = ProcessingOptions(width=10, enlarge=True, crop=Crop(0.5, 20, Gravity("fp", 0.25, 1)), zoom_x=0.5)
        image = ImageRequest("http://o/a", options, chained=(ProcessingOptions(blur=2.0),), presets=("thumb", "wide"))
        self.assertEqual(
            options_text(image),
            "width=10 zoom_x=0.5 enlarge=1 crop=0.5:20:fp:0.25:1 2.blur=2 preset=thumb:wide",
        )
        self.assertEqual(asked_options(None), {})

    def test_urls_in_options_lose_their_secrets_and_texts_are_cut(self) -> None:
        url = "https://user:hush@o/mark.png?sig=hush"
        text = options_text(ImageRequest("http://o/a", ProcessingOptions(watermark_url=url, style="x" * 500)))
        self.assertTrue(text.startswith("watermark_url=https://o/mark.png style=xxx"))
        self.assertLess(len(text), 310)
