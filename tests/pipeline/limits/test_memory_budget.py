"""The bytes of originals are bounded, no request waits for ever, and ended leases give all bytes back."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from imgforge.pipeline import MemoryBudget
from imgforge.pipeline.limits import BudgetLease, Reservation


class MemoryBudgetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.budget = MemoryBudget(100)

    def reservation(self) -> tuple[BudgetLease, Reservation]:
        lease, reservation = self.budget.lease().__enter__(), self.budget.reservation()
        reservation.add_lease(lease)
        return lease, reservation

    def test_reservations_that_fit_are_granted_at_once_and_the_others_in_order(self) -> None:
        leases, granted = [], []
        for size in (60, 40, 50, 10):
            lease, reservation = self.reservation()
            leases.append(lease)
            granted.append(reservation.reserve(size))
        self.assertEqual([each.called for each in granted], [True, True, False, False])
        leases[1].__exit__()
        # The 10 bytes would fit, but are not the first in the queue.
        self.assertEqual([each.called for each in granted[2:]], [False, False])
        leases[0].__exit__()
        self.assertEqual([each.called for each in granted[2:]], [True, True])
        self.assertEqual(self.budget.held, 60)

    def test_an_original_larger_than_the_budget_is_granted_alone(self) -> None:
        first, small = self.reservation()
        _, huge = self.reservation()
        self.successResultOf(small.reserve(1))
        waiting = huge.reserve(1000)
        self.assertNoResult(waiting)
        first.__exit__()
        self.successResultOf(waiting)
        _, after = self.reservation()
        self.assertNoResult(after.reserve(1))

    def test_the_oldest_lease_gets_more_while_the_others_hold_everything(self) -> None:
        leases, reservations = zip(*(self.reservation() for _ in range(2)), strict=True)
        for reservation in reservations:
            self.successResultOf(reservation.reserve(50))
        watermarks = [self.budget.reservation() for _ in leases]
        for watermark, lease in zip(watermarks, leases, strict=True):
            watermark.add_lease(lease)
        younger, older = watermarks[1].reserve(20), watermarks[0].reserve(20)
        self.successResultOf(older)
        self.assertNoResult(younger)
        leases[0].__exit__()
        self.successResultOf(younger)

    def test_a_reservation_is_granted_when_the_oldest_lease_shares_it(self) -> None:
        older, own = self.reservation()
        self.successResultOf(own.reserve(100))
        _, shared = self.reservation()
        waiting = shared.reserve(30)
        self.assertNoResult(waiting)
        shared.add_lease(older)
        self.successResultOf(waiting)

    def test_shared_bytes_are_free_when_the_last_lease_ends(self) -> None:
        first, reservation = self.reservation()
        second = self.budget.lease().__enter__()
        reservation.add_lease(second)
        self.successResultOf(reservation.reserve(70))
        first.__exit__()
        self.assertEqual(self.budget.held, 70)
        second.__exit__()
        self.assertEqual(self.budget.held, 0)

    def test_a_cancelled_reservation_lets_the_after_be_granted(self) -> None:
        first, reservation = self.reservation()
        self.successResultOf(reservation.reserve(90))
        _, large = self.reservation()
        _, small = self.reservation()
        waits, fits = large.reserve(50), small.reserve(5)
        self.assertNoResult(fits)
        waits.cancel()
        self.failureResultOf(waits, CancelledError)
        self.successResultOf(fits)
        self.assertEqual((self.budget.waiting, self.budget.held), (0, 95))
        first.__exit__()
        self.assertEqual(self.budget.held, 5)

    def test_a_smaller_reservation_frees_bytes(self) -> None:
        _, reservation = self.reservation()
        _, other = self.reservation()
        self.successResultOf(reservation.reserve(100))
        waiting = other.reserve(60)
        reservation.reserve(40)
        self.successResultOf(waiting)

    def test_a_budget_of_zero_is_unlimited(self) -> None:
        self.budget = MemoryBudget(0)
        for _ in range(3):
            self.successResultOf(self.reservation()[1].reserve(1 << 40))

    @given(st.lists(st.lists(st.integers(0, 150), min_size=1, max_size=4), min_size=1, max_size=12), st.integers())
    def test_every_request_is_granted_and_the_bound_holds(self, needs: list[list[int]], seed: int) -> None:
        """Each request needs several bodies, one after the other, and ends when it has them all."""
        budget = MemoryBudget(100)
        largest = max(sum(sizes) for sizes in needs)
        finished: list[int] = []
        running: list[Deferred[None]] = []

        async def request(number: int, sizes: list[int], gate: Deferred[None]) -> None:
            with budget.lease() as lease:
                for size in sizes:
                    reservation = budget.reservation()
                    reservation.add_lease(lease)
                    await reservation.reserve(size)
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
