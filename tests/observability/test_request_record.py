"""The record of a request: stages add up under one name each, and sources are shown without secrets."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import MethodNotAllowed
from imgforge.observability import RequestRecord, Stage, WorkRecord, shown_source


class RecordTests(SynchronousTestCase):
    def test_stages_add_up_and_are_shown_in_order(self) -> None:
        clock, work = Clock(), WorkRecord()
        work.add(Stage.PROCESS, 1.0, 3.0)
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

    def test_step_keeps_its_times_its_attributes_and_its_error(self) -> None:
        clock, work = Clock(), WorkRecord()
        clock.advance(10.0)
        error = ValueError("no")

        def fail() -> None:
            with work.timed("retry", clock.seconds, attempt=2):
                clock.advance(1.5)
                raise error

        self.assertRaises(ValueError, fail)
        (step,) = work.steps
        self.assertEqual(step[:4], ("retry", 10.0, 11.5, {"attempt": 2}))
        self.assertEqual((type(step.error), str(step.error)), (ValueError, "no"))
        self.assertEqual(work.timings(), ())  # it is no stage: its seconds are within one

    def test_failed_work_is_freed_at_once_with_what_its_frames_had(self) -> None:
        """Originals take megabytes, and a full collection of garbage may be minutes away."""

        class Original:
            """Of bytes there are no weak references."""

        class OddError(Exception):
            def __init__(self, one: str, other: str) -> None:
                super().__init__(one, other, "more")

        def fail(error: Callable[[], Exception]) -> weakref.ref[Original]:
            work, original = WorkRecord(), Original()
            try:
                with work.timed(Stage.FETCH, Clock().seconds):
                    raise error()
            except Exception:
                return weakref.ref(original)
            raise AssertionError("it did not fail")

        gc.disable()
        self.addCleanup(gc.enable)
        for error in (
            lambda: MethodNotAllowed("no", "GET"),
            lambda: OddError("a", "b"),
            lambda: OSError(2, "gone"),
            lambda: UnicodeDecodeError("utf-8", b"x", 0, 1, "no"),
        ):
            self.assertIsNone(fail(error)())

        work = WorkRecord()
        work.add("fetch", 0, 1, MethodNotAllowed("no", "GET").caused_by("a rule"))
        kept = work.steps[0].error
        assert isinstance(kept, MethodNotAllowed)
        self.assertEqual(kept.logged, "no (a rule)")

    def test_steps_are_bounded_and_seconds_are_not(self) -> None:
        work = WorkRecord()
        for second in range(300):
            work.add(Stage.FETCH, second, second + 1)
        self.assertEqual((len(work.steps), work.seconds[Stage.FETCH]), (100, 300.0))

    def test_request_has_its_own_steps_before_those_of_the_work_that_it_joins(self) -> None:
        work = WorkRecord()
        first, second = (RequestRecord(propagated=((name, "1"),)) for name in "ab")
        first.work.add("cache", 0.0, 1.0)
        self.assertIs(first.join(work), work)
        work.add(Stage.FETCH, 1.0, 2.0)
        second.join(work)
        self.assertEqual([step.name for step in first.steps], ["cache", "fetch"])
        self.assertEqual([step.name for step in second.steps], ["fetch"])
        self.assertEqual(work.propagated, (("a", "1"),))  # of the request that began it


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
