"""Purges: those from the future."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import Purge


class NotAfterTests(SynchronousTestCase):
    def test_a_purge_from_the_future_becomes_one_of_now(self) -> None:
        self.assertEqual(Purge(5.5, "tag", "a").not_after(5.0), Purge(5.0, "tag", "a"))

    def test_others_stay_as_they_are(self) -> None:
        for at in (4.0, 5.0):
            self.assertEqual(Purge(at, "url", "ab").not_after(5.0), Purge(at, "url", "ab"))
