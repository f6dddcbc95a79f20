"""The bytes of originals that a process holds at once; a request that needs more waits until others give bytes back.

A request holds a *lease* from its first fetch until its last picture is made. Each body has a *reservation*, which
grows while the body arrives and is shared by the leases of all requests that use that body; its bytes are free again
when the last of these leases ends. A request may need several bodies (a watermark besides its source), so that
requests that all hold some could wait for each other. Hence one rule: the oldest lease never waits. It finishes, gives
back what it holds, and another one is the oldest. The bytes held are therefore at most the budget plus what one request
needs, which also lets an original through that is larger than the budget.
"""

from __future__ import annotations

import math
from itertools import count

from twisted.internet.defer import Deferred, succeed

__all__ = ["BudgetLease", "MemoryBudget", "Reservation"]


class MemoryBudget:
    """*total* bytes to reserve; 0 is no limit. `held` are the bytes that are reserved now."""

    def __init__(self, total: int = 0) -> None:
        self._total = total or math.inf
        self._numbers = count()
        self._leases: dict[int, BudgetLease] = {}  # those in use, the oldest first
        self._queue: list[Reservation] = []
        self._granting = False
        self.held = 0

    @property
    def waiting(self) -> int:
        """The number of reservations that wait for bytes."""
        return len(self._queue)

    def lease(self) -> BudgetLease:
        """A lease, for a `with` block around all that a request does with its originals."""
        return BudgetLease(self, next(self._numbers))

    def reservation(self) -> Reservation:
        """An empty reservation without a lease."""
        return Reservation(self)

    def fits(self, size: int) -> bool:
        """Whether *size* more bytes are free, and nobody waits for them."""
        return not self._queue and self.held + size <= self._total

    def grant(self) -> None:
        """Grant the queued reservations that fit, by the age of their leases.

        The first that does not fit ends it: small reservations never overtake a large one.
        """
        if self._granting or not self._queue:  # a granted request changes the queue at once: the loop below looks again
            return
        self._granting = True
        try:
            while self._queue:
                first = min(self._queue, key=lambda reservation: reservation.oldest_lease)
                if self.held + first.missing > self._total and first.oldest_lease != next(iter(self._leases), None):
                    return
                self._queue.remove(first)
                first.grant()
        finally:
            self._granting = False

    def begin_lease(self, lease: BudgetLease) -> None:
        """Count *lease* among those in use."""
        self._leases[lease.number] = lease

    def end_lease(self, lease: BudgetLease) -> None:
        """Count *lease* no longer; the next one may be the oldest now."""
        del self._leases[lease.number]
        self.grant()

    def enqueue(self, reservation: Reservation) -> None:
        """Have *reservation* wait for the bytes that it misses."""
        self._queue.append(reservation)
        self.grant()

    def dequeue(self, reservation: Reservation) -> None:
        """Have *reservation* wait no longer, where it does; those behind it may fit."""
        if reservation in self._queue:
            self._queue.remove(reservation)
            self.grant()


class BudgetLease:
    """One request's share of the budget: *number* is its age, and `reservations` those of the bodies that it uses."""

    def __init__(self, budget: MemoryBudget, number: int) -> None:
        self._budget = budget
        self.number = number
        self.reservations: set[Reservation] = set()

    def __enter__(self) -> BudgetLease:
        self._budget.begin_lease(self)
        return self

    def __exit__(self, *_: object) -> None:
        reservations, self.reservations = self.reservations, set()
        for reservation in reservations:
            reservation.remove_lease(self)
        self._budget.end_lease(self)


class Reservation:
    """The bytes of one body, shared by the leases of the requests that use it."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._leases: set[BudgetLease] = set()
        self._held = self._wanted = 0
        self._granted: Deferred[None] | None = None

    @property
    def oldest_lease(self) -> float:
        """The number of the oldest lease; infinity without a lease."""
        return min((lease.number for lease in self._leases), default=math.inf)

    @property
    def missing(self) -> int:
        """The bytes that are wanted beyond those held."""
        return self._wanted - self._held

    def add_lease(self, lease: BudgetLease) -> None:
        """Share the body with *lease*; where that is the oldest of all, the body waits no longer."""
        self._leases.add(lease)
        lease.reservations.add(self)
        self._budget.grant()

    def remove_lease(self, lease: BudgetLease) -> None:
        """Share the body with *lease* no longer; the bytes are free when no lease is left."""
        self._leases.discard(lease)
        if not self._leases:
            self._resize(0)

    def reserve(self, size: int) -> Deferred[None]:
        """Fires when *size* bytes in all are reserved; fewer bytes than before are granted at once."""
        if size <= self._held or self._budget.fits(size - self._held):
            self._resize(size)
            return succeed(None)
        self._wanted = size
        granted = self._granted = Deferred(lambda _: self._budget.dequeue(self))
        self._budget.enqueue(self)
        return granted

    def grant(self) -> None:
        """Hold the bytes that are wanted, and fire the Deferred of the `reserve` that waits for them."""
        granted, self._granted = self._granted, None
        self._resize(self._wanted)
        if granted is not None:
            granted.callback(None)

    def _resize(self, size: int) -> None:
        self._budget.held += size - self._held
        self._held = self._wanted = size
        self._budget.grant()
