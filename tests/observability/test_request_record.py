"""The record of a request: stages add up under one name each, and sources are shown without secrets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import Stage, WorkRecord, shown_source


class RecordTests(SynchronousTestCase):
    def test_stages_add_up_and_are_shown_in_order(self) -> None:
        clock, work = Clock(), WorkRecord()
        work.add(Stage.PROCESS, 2.0)
        for seconds in (1.0, 0.5):  # an original, then a watermark
            with work.timed(Stage.FETCH, clock.seconds):
                clock.advance(seconds)
        self.assertEqual(work.timings(), (("fetch", 1.5), ("process", 2.0)))

    def test_failed_stage_is_timed_too(self) -> None:
        clock, work = Clock(), WorkRecord()
        with self.assertRaises(ZeroDivisionError), work.timed(Stage.FETCH, clock.seconds):
            clock.advance(3.0)
            1 / 0  # noqa: B018
        self.assertEqual(work.timings(), ((Stage.FETCH, 3.0),))


class SourceTests(SynchronousTestCase):
    def test_source_is_shown_without_its_secrets(self) -> None:
        for url, shown in (
            ("http://origin/a.png?token=s", "http://origin/a.png"),
            ("https://user:pass@origin:81/a@2x.png#f", "https://origin:81/a@2x.png"),
            ("local:///a.png", "local:///a.png"),
            ("data:image/png;base64,AAAA", "data:image/png;base64"),
            ("http://origin/" + "a" * 1000, "http://origin/" + "a" * 486 + "..."),
            ("", ""),
        ):
            self.assertEqual(shown_source(url), shown)

    @given(st.text(max_size=1000))
    def test_no_query_is_shown(self, url: str) -> None:
        self.assertNotIn("secret", shown_source(f"http://origin/?{url}secret"))
