"""The guard of a tier that other machines serve: it may be slow, fail, or hang, and costs no answer more than a moment.

- A look-up that takes longer than the time limit is a miss.
- Entries are written behind the answers, a few at once. Those that wait can be read already; beyond a bound they are
  dropped and counted.
- A tier that does not answer, or keeps failing, is left alone (`TierBreaker`): look-ups miss, nothing is written.
- Faults are counted, and warned of once a minute.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.cache.faults import FaultObserver, fault_kind, fault_text
from imgforge.cache.purge import Purges
from imgforge.cache.tier_breaker import TierBreaker
from imgforge.cache.write_behind import WriteBehind
from imgforge.concurrency import Coalescer, Stalled
from imgforge.errors import PurgeFailed
from imgforge.interfaces import ICacheTier, ILease, LearnPurges, LeaseAttempt, TierUsage
from imgforge.model import CacheEntry, Purge

__all__ = ["GuardedTier"]

T = TypeVar("T")

# Seconds that look-ups wait at the start for the purges before it, beyond the time limit of look-ups.
_START_WITHIN = 1.0
_REMOVE_WITHIN = 5.0
# Seconds that a purge may take, which tells the caller how much it removed.
_PURGE_WITHIN = 15.0
_CLOSE_WITHIN = 5.0
_WARN_INTERVAL = 60.0
# The key of no entry, which a probe asks for.
_PROBED = bytes(32)

_ADVICE = {
    "corrupt": "the {tier} cache has a damaged entry ({error}), which is made anew; if this goes on, check what else "
    "writes to it",
    "full": "the {tier} cache has no space ({error}); images are served as if uncached. Give it more, or let it evict",
    "io": "the {tier} cache fails ({error}); images are served without it until it works again",
    "slow": "the {tier} cache does not answer in time ({error}); images are served without it until it does. Check it "
    "and the network, or raise IMGFORGE_CACHE_SHARED_TIMEOUT if it is far away",
}


@implementer(ICacheTier)
class GuardedTier:
    """*tier*, each of whose look-ups may take *timeout* seconds; *on_fault* is called with its faults."""

    log = Logger()

    def __init__(self, clock: IReactorTime, tier: ICacheTier, timeout: float, on_fault: FaultObserver) -> None:
        self.name = tier.name
        self._clock = clock
        self._tier = tier
        self._timeout = timeout
        self._on_fault = on_fault
        self._warned: dict[str, float] = {}
        self._breaker = TierBreaker(clock, self._probe, self._works_again)
        self._looking: Coalescer[bytes, CacheEntry | None] = Coalescer()
        self._answered_at = -math.inf
        self._writes = WriteBehind(clock, self._write, self._count_skipped)

    def start(self, learn: LearnPurges) -> Deferred[None]:
        """See `ICacheTier`; fires after a moment where the tier does not: it starts all the same."""
        starting = maybeDeferred(self._tier.start, learn).addErrback(self._report)
        return self._outcome_or(starting, self._timeout + _START_WITHIN, None)

    def close(self) -> Deferred[None]:
        """See `ICacheTier`."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        self._breaker.stop()
        await self._writes.close()
        await self._limited(self._tier.close, _CLOSE_WITHIN).addErrback(self._report)

    def get(self, key: bytes) -> Deferred[CacheEntry | None]:
        """See `ICacheTier`; a fault is a miss."""
        waiting = self._writes.get(key)
        if waiting is not None or self._breaker.open:
            return succeed(waiting)
        return self._looking.do(key, lambda: self._look_up(lambda: self._tier.get(key)))

    def size_of(self, key: bytes) -> Deferred[int]:
        """See `ICacheTier`; 0 where the tier fails."""
        waiting = self._writes.get(key)
        if waiting is not None or self._breaker.open:
            return succeed(0 if waiting is None else len(waiting.rendition.body))
        return self._look_up(lambda: self._tier.size_of(key)).addCallback(lambda size: size or 0)

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[None]:
        """Write *entry* behind the answer; fires when it is stored, or dropped."""
        if self._breaker.open:
            self._count_skipped()
            return succeed(None)
        written = self._writes.put(key, entry)
        if written is None:
            self._count("slow", Failure(Stalled("too much waits to be written")))
            return succeed(None)
        return written

    def remove(self, key: bytes) -> Deferred[bool]:
        """See `ICacheTier`; False where the tier fails, or takes longer than the time limit, and goes on."""
        return self._outcome_or(Deferred.fromCoroutine(self._remove(key)), self._timeout, False)

    async def _remove(self, key: bytes) -> bool:
        await self._writes.withdraw(key)
        if self._breaker.open:
            return False
        return bool(await self._limited(lambda: self._tier.remove(key), _REMOVE_WITHIN).addErrback(self._report))

    def purge(self, purge: Purge) -> Deferred[int]:
        """See `ICacheTier`; it is tried even where the tier is left alone."""
        covers = Purges([purge]).covers
        for key, entry in self._writes.waiting():
            if covers(key, entry):
                self._writes.withdraw(key)
        return self._limited(lambda: self._tier.purge(purge), _PURGE_WITHIN).addErrback(self._purge_failed)

    def _purge_failed(self, failure: Failure) -> int:
        if not failure.check(PurgeFailed, CancelledError):
            self._report(failure)
            raise PurgeFailed(f"the purge could not be recorded in the {self.name} cache: other nodes may not know it")
        failure.raiseException()

    def purged_before(self) -> float:
        """See `ICacheTier`."""
        return self._or(self._tier.purged_before, -math.inf)

    def lease(self, key: bytes) -> ILease | None:
        """See `ICacheTier`; None while the tier is left alone."""
        if self._breaker.open:
            return None
        lease = self._or(lambda: self._tier.lease(key), None)
        return None if lease is None else _GuardedLease(lease, self._attempt)

    def usage(self) -> TierUsage | None:
        """See `ICacheTier`."""
        return self._or(self._tier.usage, None)

    def _or(self, ask: Callable[[], T], otherwise: T) -> T:
        """What *ask* returns, or *otherwise* where the tier makes a mistake, which is reported."""
        try:
            return ask()
        except Exception:
            self._report(Failure())
            return otherwise

    def _attempt(self, lease: ILease) -> Deferred[LeaseAttempt]:
        """An attempt to take *lease*; `Stalled` where the tier fails, which is reported."""
        if self._breaker.open:
            return fail(Stalled("the tier is left alone"))

        def checked(attempt: LeaseAttempt | None) -> LeaseAttempt:
            if attempt is None:
                raise Stalled("the tier fails")
            return attempt

        return self._look_up(lease.attempt).addCallback(checked)

    def _write(self, key: bytes, entry: CacheEntry, seconds: float) -> Deferred[Any]:
        if self._breaker.open:
            self._count_skipped()
            return succeed(None)
        return self._limited(lambda: self._tier.put(key, entry), seconds).addCallbacks(
            self._answered, self._report_write
        )

    def _probe(self) -> Deferred[Any]:
        return self._limited(lambda: self._tier.size_of(_PROBED), max(self._timeout, 1.0))

    def _outcome_or(self, work: Deferred[T], seconds: float, otherwise: T) -> Deferred[T]:
        """The outcome of *work*, or *otherwise* after *seconds*; the work goes on."""
        outcome: Deferred[T] = Deferred()

        def fire(result: T) -> None:
            if timer.active():
                timer.cancel()
            if not outcome.called:
                outcome.callback(result)

        timer = self._clock.callLater(seconds, fire, otherwise)
        work.addCallback(fire)
        return outcome

    def _look_up(self, call: Callable[[], Deferred[T]]) -> Deferred[T | None]:
        """The outcome of *call*; None where the tier fails, which is reported."""
        began = self._clock.seconds()

        def failed(failure: Failure) -> None:
            self._report(failure, began)

        return self._limited(call, self._timeout).addCallbacks(self._answered, failed)

    def _answered(self, result: T) -> T:
        self._answered_at = self._clock.seconds()
        self._breaker.succeeded()
        return result

    def _limited(self, call: Callable[[], Deferred[T]], seconds: float) -> Deferred[T]:
        """The outcome of *call*; it is cancelled after *seconds*, and `Stalled`."""
        work: Deferred[T] = maybeDeferred(call)
        stalled = False

        def expire() -> None:
            # The answer may have come while the reactor was busy: another turn reads it.
            timers[:] = [self._clock.callLater(0, cancel)]

        def cancel() -> None:
            nonlocal stalled
            stalled = True
            work.cancel()

        def ended(outcome: T | Failure) -> T | Failure:
            if timers[0].active():
                timers[0].cancel()
            if stalled and isinstance(outcome, Failure):
                return Failure(Stalled(f"after {seconds:g} s"))
            return outcome

        timers: list[IDelayedCall] = [self._clock.callLater(seconds, expire)]
        return work.addBoth(ended)

    def _report_write(self, failure: Failure) -> None:
        """Report a fault for which no client has waited."""
        self._report(failure, math.inf)

    def _report(self, failure: Failure, began: float = math.inf) -> None:
        """Count a fault, and tell the breaker; a cancellation by a client is raised.

        A look-up that *began* and took too long says that the tier hangs, unless others were answered since: then it
        was for a large entry, or one of very many.
        """
        if isinstance(failure.value, CancelledError):
            failure.raiseException()
        kind = fault_kind(failure.value)
        self._count(kind, failure)
        hangs = kind == "slow" and math.isfinite(began)
        if kind not in {"corrupt", "too_large"} and not (hangs and self._answered_at > began):
            self._breaker.failed(slow=hangs)

    def _count(self, kind: str, failure: Failure) -> None:
        """Count a fault of this *kind*, and warn of it once a minute."""
        self._on_fault(self.name, kind)
        error, now = failure.value, self._clock.seconds()
        if kind not in _ADVICE or now - self._warned.get(kind, -math.inf) < _WARN_INTERVAL:
            return
        self._warned[kind] = now
        if isinstance(error, OSError) or kind == "corrupt":
            self.log.warn(_ADVICE[kind], tier=self.name, error=fault_text(error))
        else:  # a mistake of the tier's: where it is helps
            self.log.failure(_ADVICE[kind], failure, tier=self.name, error=repr(error))

    def _count_skipped(self) -> None:
        self._on_fault(self.name, "skipped")

    def _works_again(self) -> None:
        self.log.info("the {tier} cache answers again, and is used", tier=self.name)


@implementer(ILease)
class _GuardedLease:
    """*lease*, taken by *attempt*."""

    log = Logger()

    def __init__(self, lease: ILease, attempt: Callable[[ILease], Deferred[LeaseAttempt]]) -> None:
        self._lease = lease
        self._attempt = attempt

    def attempt(self) -> Deferred[LeaseAttempt]:
        """See `ILease`."""
        return self._attempt(self._lease)

    def release(self, outcome: bytes | None, written: Deferred[Any]) -> None:
        """See `ILease`."""
        try:
            self._lease.release(outcome, written)
        except Exception:  # a tier's mistake: the lease ends by itself
            self.log.failure("a lease could not be released; other processes wait until it ends by itself")
