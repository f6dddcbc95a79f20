"""How many bytes of originals a process holds at once: whoever needs more waits for its turn.

A request holds a *ticket* from its first fetch until its last picture is made. Each fetch has a *claim* on bytes, which
grows while the body arrives and is shared by all requests that use that body; it is given back when the last of their
tickets is. A request may need several bodies (a watermark besides its source), so that all who hold some could wait for
more. Hence one rule: the oldest ticket never waits. It finishes and gives back what it holds, and then another is the
oldest. The bytes held are at most the budget and what one request needs, which is also how an original that is larger
than the budget gets through.
"""

from __future__ import annotations

import math
from itertools import count

from twisted.internet.defer import Deferred, succeed

__all__ = ["BudgetLease", "MemoryBudget", "Reservation"]


class MemoryBudget:
    """*total* bytes to be claimed; 0 is no limit."""

    def __init__(self, total: int = 0) -> None:
        self._total = total or math.inf
        self._numbers = count()
        self._tickets: dict[int, BudgetLease] = {}  # those in use, the oldest first
        self._waiting: list[Reservation] = []
        self._granting = False
        self.held = 0

    @property
    def waiting(self) -> int:
        """How many claims wait for room."""
        return len(self._waiting)

    def ticket(self) -> BudgetLease:
        """A ticket, for a `with` block around all that a request does with its originals."""
        return BudgetLease(self, next(self._numbers))

    def claim(self) -> Reservation:
        """A claim on nothing so far, of nobody yet."""
        return Reservation(self)

    def grant(self) -> None:
        """Let those in who fit, by the age of their tickets; a large one is not overtaken for ever by small ones."""
        if self._granting:  # who was let in changes things at once: the loop below looks again
            return
        self._granting = True
        try:
            while self._waiting:
                first = min(self._waiting, key=lambda claim: claim.age)
                if self.held + first.lacking > self._total and first.age != next(iter(self._tickets), None):
                    return
                self._waiting.remove(first)
                first.grant()
        finally:
            self._granting = False

    def enter(self, ticket: BudgetLease) -> None:
        """*ticket* is in use from now on."""
        self._tickets[ticket.number] = ticket

    def leave(self, ticket: BudgetLease) -> None:
        """*ticket* is not in use any more."""
        del self._tickets[ticket.number]
        self.grant()

    def queue(self, claim: Reservation) -> None:
        """*claim* wants more."""
        self._waiting.append(claim)
        self.grant()

    def unqueue(self, claim: Reservation) -> None:
        """*claim* does not want more after all."""
        if claim in self._waiting:
            self._waiting.remove(claim)
            self.grant()


class BudgetLease:
    """A request's place among those that hold originals."""

    def __init__(self, budget: MemoryBudget, number: int) -> None:
        self._budget = budget
        self.number = number
        self.claims: set[Reservation] = set()

    def __enter__(self) -> BudgetLease:
        self._budget.enter(self)
        return self

    def __exit__(self, *_: object) -> None:
        claims, self.claims = self.claims, set()
        for claim in claims:
            claim.leave(self)
        self._budget.leave(self)


class Reservation:
    """The bytes of one body, shared by the tickets that use it."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._tickets: set[BudgetLease] = set()
        self._held = self._wanted = 0
        self._waiter: Deferred[None] | None = None

    @property
    def age(self) -> float:
        """The number of the oldest ticket: the less, the older."""
        return min((ticket.number for ticket in self._tickets), default=math.inf)

    @property
    def lacking(self) -> int:
        """The bytes that are wanted beyond those held."""
        return self._wanted - self._held

    def join(self, ticket: BudgetLease) -> None:
        """*ticket* uses this body as well; an older one takes it along."""
        self._tickets.add(ticket)
        ticket.claims.add(self)
        self._budget.grant()

    def leave(self, ticket: BudgetLease) -> None:
        """*ticket* is done with the body, whose bytes are free with the last one."""
        self._tickets.discard(ticket)
        if not self._tickets:
            self._settle(0)

    def room(self, size: int) -> Deferred[None]:
        """Fires when the body may take *size* bytes, at once where that is no more than before."""
        if size <= self._held:
            self._settle(size)
            return succeed(None)
        self._wanted = size
        waiter = self._waiter = Deferred(lambda _: self._budget.unqueue(self))
        self._budget.queue(self)
        return waiter

    def grant(self) -> None:
        """The budget grants what is wanted."""
        waiter, self._waiter = self._waiter, None
        self._settle(self._wanted)
        if waiter is not None:
            waiter.callback(None)

    def _settle(self, size: int) -> None:
        self._budget.held += size - self._held
        self._held = self._wanted = size
        self._budget.grant()
