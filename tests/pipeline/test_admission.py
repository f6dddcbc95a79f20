"""Beyond the queue there is no waiting."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import Overloaded
from imgforge.pipeline import Admission


class AdmissionTests(SynchronousTestCase):
    def test_a_full_queue_refuses_at_once(self) -> None:
        admission = Admission(limit=1, queue=1)
        with admission.place(), admission.place(), self.assertRaises(Overloaded), admission.place():
            self.fail("the third got in")

    def test_a_place_is_given_back_also_by_a_failure(self) -> None:
        admission = Admission(limit=1, queue=1)
        for _ in range(5):
            with self.assertRaises(ZeroDivisionError), admission.place():
                raise ZeroDivisionError
        self.assertEqual(admission.admitted, 0)

    def test_a_queue_of_zero_is_unlimited(self) -> None:
        admission = Admission(limit=1, queue=0)
        places = [admission.place() for _ in range(1000)]
        for place in places:
            place.__enter__()
        self.assertEqual(admission.admitted, 1000)
