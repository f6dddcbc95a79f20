"""The bytes of originals are bounded, nobody waits for ever, and what leaves gives everything back."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from imgforge.pipeline import MemoryBudget
from imgforge.pipeline.limits.memory_budget import BudgetLease, Reservation


class BudgetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.budget = MemoryBudget(100)

    def entered(self) -> tuple[BudgetLease, Reservation]:
        ticket, claim = self.budget.lease().__enter__(), self.budget.reservation()
        claim.add_lease(ticket)
        return ticket, claim

    def test_what_fits_is_let_in_at_once_and_the_rest_in_order(self) -> None:
        tickets, rooms = [], []
        for size in (60, 40, 50, 10):
            ticket, claim = self.entered()
            tickets.append(ticket)
            rooms.append(claim.reserve(size))
        self.assertEqual([room.called for room in rooms], [True, True, False, False])
        tickets[1].__exit__()
        self.assertEqual([room.called for room in rooms[2:]], [False, False])  # the 10 would fit, but are not first
        tickets[0].__exit__()
        self.assertEqual([room.called for room in rooms[2:]], [True, True])
        self.assertEqual(self.budget.held, 60)

    def test_what_is_larger_than_the_budget_gets_through_alone(self) -> None:
        first, small = self.entered()
        _, huge = self.entered()
        self.successResultOf(small.reserve(1))
        waiting = huge.reserve(1000)
        self.assertNoResult(waiting)
        first.__exit__()
        self.successResultOf(waiting)
        _, next_one = self.entered()
        self.assertNoResult(next_one.reserve(1))

    def test_the_oldest_may_take_more_while_the_others_hold_everything(self) -> None:
        tickets, claims = zip(*(self.entered() for _ in range(2)), strict=True)
        for claim in claims:
            self.successResultOf(claim.reserve(50))
        watermarks = [self.budget.reservation() for _ in tickets]
        for watermark, ticket in zip(watermarks, tickets, strict=True):
            watermark.add_lease(ticket)
        younger, older = watermarks[1].reserve(20), watermarks[0].reserve(20)
        self.successResultOf(older)
        self.assertNoResult(younger)
        tickets[0].__exit__()
        self.successResultOf(younger)

    def test_an_older_ticket_takes_the_claim_that_it_joins_along(self) -> None:
        older, own = self.entered()
        self.successResultOf(own.reserve(100))
        _, shared = self.entered()
        waiting = shared.reserve(30)
        self.assertNoResult(waiting)
        shared.add_lease(older)
        self.successResultOf(waiting)

    def test_a_shared_claim_is_free_when_its_last_ticket_is_back(self) -> None:
        first, claim = self.entered()
        second = self.budget.lease().__enter__()
        claim.add_lease(second)
        self.successResultOf(claim.reserve(70))
        first.__exit__()
        self.assertEqual(self.budget.held, 70)
        second.__exit__()
        self.assertEqual(self.budget.held, 0)

    def test_who_gives_up_waiting_lets_the_next_one_in(self) -> None:
        first, claim = self.entered()
        self.successResultOf(claim.reserve(90))
        _, large = self.entered()
        _, small = self.entered()
        waits, fits = large.reserve(50), small.reserve(5)
        self.assertNoResult(fits)
        waits.cancel()
        self.failureResultOf(waits, CancelledError)
        self.successResultOf(fits)
        self.assertEqual((self.budget.waiting, self.budget.held), (0, 95))
        first.__exit__()
        self.assertEqual(self.budget.held, 5)

    def test_shrinking_makes_room(self) -> None:
        _, claim = self.entered()
        _, other = self.entered()
        self.successResultOf(claim.reserve(100))
        waiting = other.reserve(60)
        claim.reserve(40)
        self.successResultOf(waiting)

    def test_a_budget_of_zero_is_none(self) -> None:
        self.budget = MemoryBudget(0)
        for _ in range(3):
            self.successResultOf(self.entered()[1].reserve(1 << 40))

    @given(st.lists(st.lists(st.integers(0, 150), min_size=1, max_size=4), min_size=1, max_size=12), st.integers())
    def test_everybody_gets_through_and_the_bound_holds(self, needs: list[list[int]], seed: int) -> None:
        """Requests that need several bodies each, one after the other, and go when they have all."""
        budget = MemoryBudget(100)
        largest = max(sum(sizes) for sizes in needs)
        finished: list[int] = []
        running: list[Deferred[None]] = []

        async def request(number: int, sizes: list[int], gate: Deferred[None]) -> None:
            with budget.lease() as ticket:
                for size in sizes:
                    claim = budget.reservation()
                    claim.add_lease(ticket)
                    await claim.reserve(size)
                    self.assertLessEqual(budget.held, 100 + largest)
                await gate
                finished.append(number)

        gates: list[Deferred[None]] = [Deferred() for _ in needs]
        for number, sizes in enumerate(needs):
            running.append(Deferred.fromCoroutine(request(number, sizes, gates[number])))
        order = list(gates)
        Random(seed).shuffle(order)
        for gate in order:
            gate.callback(None)
        for each in running:
            self.successResultOf(each)
        self.assertEqual((sorted(finished), budget.held, budget.waiting), (list(range(len(needs))), 0, 0))
