"""How many further requests an origin's own requests pay for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.http.origin_budget import OriginBudget


class BudgetTests(SynchronousTestCase):
    def test_ten_requests_earn_one_more_at_a_share_of_a_tenth(self) -> None:
        budget = OriginBudget(0.1, 0)
        for _ in range(9):
            budget.earn("a")
        self.assertFalse(budget.spend("a"))
        for _ in range(2):  # eleven: sums of 0.1 are not exact
            budget.earn("a")
        self.assertTrue(budget.spend("a"))
        self.assertFalse(budget.spend("a"))

    def test_an_origin_has_its_own(self) -> None:
        budget = OriginBudget(0.5, 0)
        for _ in range(2):
            budget.earn("a")
        self.assertFalse(budget.spend("b"))
        self.assertTrue(budget.spend("a"))

    def test_at_most_ten_are_saved_up(self) -> None:
        budget = OriginBudget(0.5, 0)
        for _ in range(1000):
            budget.earn("a")
        self.assertEqual(sum(budget.spend("a") for _ in range(1000)), 10)

    def test_the_initial_ones_come_once(self) -> None:
        budget = OriginBudget(0.1, 3)
        self.assertEqual([budget.spend("a") for _ in range(4)], [True, True, True, False])

    def test_a_thousand_origins_are_kept(self) -> None:
        budget = OriginBudget(0.5, 0)
        for _ in range(2):
            budget.earn("first")
        for number in range(1000):
            budget.earn(str(number))
        self.assertFalse(budget.spend("first"))
