"""How many may do a thing at once; whoever comes later waits in the order of arrival, or is refused.

All of this runs in the reactor's thread. Budgets in bytes have classes of their own: of originals
`imgforge.pipeline.limits.memory_budget`, of pixels `imgforge.processing.resources.pixel_budget`, which threads share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, Self, TypeVar

from twisted.internet.defer import Deferred, fail, succeed

from imgforge.errors import Overloaded

__all__ = ["ConcurrencyLimit", "ConcurrencyLimits"]

K = TypeVar("K", bound=Hashable)


def _uncounted(_name: str) -> None:
    """Count no refusal."""


class ConcurrencyLimit:
    """At most *maximum* holders at once, 0 is any number; at most *queue* more wait, None is any number.

    `async with limit:` waits for its turn, `with limit.hold():` never waits. Beyond the queue, and for `hold` beyond
    the maximum, the client gets `Overloaded` with *message*, and *refused* is called with *name* to count it.
    """

    def __init__(
        self,
        name: str,
        maximum: int,
        queue: int | None = None,
        *,
        message: str = "",
        refused: Callable[[str], None] = _uncounted,
    ) -> None:
        self.name = name
        self.maximum = maximum
        self._queue = queue
        self._message = message or f"too many requests at once (limit: {name})"
        self._refused = refused
        self._waiters: deque[Deferred[None]] = deque()
        self._active = 0

    @property
    def active(self) -> int:
        """How many hold a place."""
        return self._active

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiters)

    @property
    def full(self) -> bool:
        """Whether the next one has to wait, or is refused."""
        return 0 < self.maximum <= self._active

    def check(self) -> None:
        """`Overloaded` where no place is free; takes none."""
        if self.full:
            raise self._refusal()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """A place until the end of the block; `Overloaded` where none is free."""
        self.check()
        self._active += 1
        try:
            yield
        finally:
            self.release()

    def acquire(self) -> Deferred[None]:
        """Fires once the caller has a place, which `release` gives back; cancelling it leaves the queue.

        `Overloaded` where the queue is full.
        """
        if not self.full:
            self._active += 1
            return succeed(None)
        if self._queue is not None and len(self._waiters) >= self._queue:
            return fail(self._refusal())
        waiter: Deferred[None] = Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        return waiter

    def release(self) -> None:
        """Give a place back: the first in the queue has it from now on."""
        self._active -= 1
        self._let_in()

    def resize(self, maximum: int) -> None:
        """Change the maximum; those who hold a place beyond a smaller one keep it."""
        self.maximum = maximum
        self._let_in()

    def _let_in(self) -> None:
        while self._waiters and not self.full:
            self._active += 1
            self._waiters.popleft().callback(None)

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()

    def _refusal(self) -> Overloaded:
        self._refused(self.name)
        return Overloaded(self._message)


class ConcurrencyLimits(Generic[K]):
    """A limit for each key, such as an origin, made by *make* of the key; only those that are in use are kept."""

    def __init__(self, make: Callable[[K], ConcurrencyLimit]) -> None:
        self._make = make
        self._limits: dict[K, ConcurrencyLimit] = {}

    def __len__(self) -> int:
        return len(self._limits)

    @property
    def active(self) -> int:
        """How many hold a place under any key."""
        return sum(limit.active for limit in self._limits.values())

    @property
    def waiting(self) -> int:
        """How many wait for a place under any key."""
        return sum(limit.waiting for limit in self._limits.values())

    def check(self, key: K) -> None:
        """`Overloaded` where no place is free under *key*; takes none."""
        limit = self._limits.get(key)
        if limit is not None:
            limit.check()

    @contextmanager
    def hold(self, key: K) -> Iterator[None]:
        """A place under *key* until the end of the block; `Overloaded` where none is free."""
        try:
            with self._limit(key).hold():
                yield
        finally:
            self._forget_unused(key)

    def acquire(self, key: K) -> Deferred[None]:
        """See `ConcurrencyLimit.acquire`; to be given back by `release` with the same *key*."""
        return self._limit(key).acquire()

    def release(self, key: K) -> None:
        """Give a place under *key* back."""
        self._limits[key].release()
        self._forget_unused(key)

    def active_under(self, key: K) -> int:
        """How many hold a place under *key*."""
        limit = self._limits.get(key)
        return 0 if limit is None else limit.active

    def resize(self, key: K, maximum: int) -> None:
        """Change the maximum under *key* as long as it is in use; after that it is what `make` says."""
        limit = self._limits.get(key)
        if limit is not None:
            limit.resize(maximum)

    def _limit(self, key: K) -> ConcurrencyLimit:
        limit = self._limits.get(key)
        if limit is None:
            limit = self._limits[key] = self._make(key)
        return limit

    def _forget_unused(self, key: K) -> None:
        limit = self._limits.get(key)
        if limit is not None and not limit.active:  # waiters exist only while somebody holds a place
            del self._limits[key]
