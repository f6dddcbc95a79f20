"""The faults that are injected into a store's answers (bench/fault_injection.py)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.fault_injection import FAULTS, FaultChoice
from tests.support.fault_proxy import PASS, Fault, ProxiedRequest

_QUICK = ("500", "503 SlowDown", "reset before the answer", "reset in the body", "truncated body", "body stalls")


class FaultChoiceTests(SynchronousTestCase):
    """One answer in ten fails."""

    def faults(self, seed: int, names: tuple[str, ...] = _QUICK) -> list[Fault]:
        self.choice = FaultChoice(0.1, names, seed)
        return [self.choice(ProxiedRequest("GET", "/images/a.jpg", {}, number)) for number in range(2000)]

    def test_same_seed_harms_the_same_requests_and_another_seed_others(self) -> None:
        self.assertEqual(self.faults(1), self.faults(1))
        self.assertNotEqual(self.faults(1), self.faults(2))

    def test_share_of_the_answers_is_harmed_and_counted_by_name(self) -> None:
        harmed = [fault for fault in self.faults(1) if fault != PASS]
        self.assertTrue(150 < len(harmed) < 250, len(harmed))
        self.assertEqual(sum(self.choice.injected.values()), len(harmed))
        self.assertEqual(set(self.choice.injected), set(_QUICK))

    def test_only_the_named_faults_are_injected(self) -> None:
        self.assertEqual(set(self.faults(1, ("500",))), {PASS, FAULTS["500"]()})
