"""Requests beyond the queue are refused at once, and an origin uses up its own places only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import Overloaded
from imgforge.pipeline import Admission

SLOW, OTHER = "http://slow.example/a.jpg", "http://other.example/a.jpg"


class AdmissionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reasons: list[str] = []
        self.admission = Admission(threads=1, queue=1, on_refusal=self.reasons.append)
        self.held = ExitStack()
        self.addCleanup(self.held.close)

    def assert_refused(self, place: Callable[[], AbstractContextManager[None]]) -> None:
        with self.assertRaises(Overloaded):
            self.held.enter_context(place())

    def test_a_full_queue_refuses_at_once(self) -> None:
        for _ in range(2):
            self.held.enter_context(self.admission.render())
        self.assert_refused(self.admission.render)
        self.assert_refused(lambda: self.admission.fetch(OTHER))
        self.assertEqual(self.reasons, ["queue", "queue"])

    def test_a_slow_origin_uses_up_its_own_places_only(self) -> None:
        for _ in range(2):
            self.held.enter_context(self.admission.fetch(SLOW))
        self.assert_refused(lambda: self.admission.fetch("http://SLOW.example/b.jpg"))
        self.held.enter_context(self.admission.fetch(OTHER))
        self.held.enter_context(self.admission.render())
        self.assertEqual((self.reasons, self.admission.fetching, self.admission.rendering), (["origin"], 3, 1))

    def test_a_failure_gives_its_place_back(self) -> None:
        for _ in range(5):
            with self.assertRaises(ZeroDivisionError), self.admission.fetch(SLOW), self.admission.render():
                raise ZeroDivisionError
        self.assertEqual((self.admission.fetching, self.admission.rendering), (0, 0))

    def test_a_queue_of_zero_is_unlimited(self) -> None:
        admission = Admission(threads=1, queue=0)
        for _ in range(1000):
            self.held.enter_context(admission.render())
            self.held.enter_context(admission.fetch(SLOW))
        self.assertEqual((admission.rendering, admission.fetching), (1000, 1000))

    def test_requests_that_would_wait_too_long_are_refused_before_anything_is_fetched(self) -> None:
        expected = 0.0
        admission = Admission(1, 0, self.reasons.append, expected_wait=lambda: expected, longest_wait=8.0)
        self.held.enter_context(admission.fetch(OTHER))
        expected = 8.1
        self.assert_refused(lambda: admission.fetch(OTHER))
        self.held.enter_context(admission.render())  # for what was admitted before
        self.assertEqual(self.reasons, ["queue"])
        expected = 7.9
        self.held.enter_context(admission.fetch(OTHER))

    def test_malformed_urls_are_counted_too(self) -> None:
        for source in ("http://[", "http://[", "", "local:///a.jpg"):
            self.held.enter_context(self.admission.fetch(source))
        self.assert_refused(lambda: self.admission.fetch("http://["))
