"""The guard of a shared tier: what hangs, fails or lies costs a moment, is counted, and is tried again."""

from __future__ import annotations

import errno
import itertools
import socket
import time
from dataclasses import replace
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from imgforge.cache import Cache, CorruptEntry
from imgforge.cache.guarded import GuardedTier
from imgforge.concurrency import Stalled
from imgforge.errors import PurgeFailed
from imgforge.interfaces import ICacheTier, ILease, IServerReactor, LeaseAttempt
from imgforge.model import CacheEntry, Purge
from imgforge.testing import FaultyTier
from tests.support.cache_directory import ENTRY, KEY, number_key, sized

TIMEOUT = 0.3


def learn(purges: object, *, replaced: bool = False) -> None:
    """Learn nothing."""


class GuardCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tier = FaultyTier("far")
        self.faults: list[str] = []
        self.guard = GuardedTier(self.clock, self.tier, TIMEOUT, lambda _, fault: self.faults.append(fault))

    def pass_time(self, seconds: float) -> None:
        """Advance the clock by *seconds*, in steps of a tenth."""
        self.clock.pump([0.1] * round(seconds * 10))

    def get(self, key: bytes = KEY) -> Deferred[CacheEntry | None]:
        return self.guard.get(key)

    def hang(self) -> None:
        """Have the tier hang, and the guard know it."""
        self.tier.hangs = True
        looking = self.get()
        self.pass_time(TIMEOUT + 0.1)
        self.assertIsNone(self.successResultOf(looking))


class LookUpTests(GuardCase):
    def test_it_is_a_tier_of_the_same_name(self) -> None:
        verifyObject(ICacheTier, self.guard)
        self.assertEqual(self.guard.name, "far")

    def test_what_is_put_is_found_and_weighed_and_removed(self) -> None:
        self.successResultOf(self.guard.put(KEY, ENTRY))
        self.assertEqual(self.successResultOf(self.get()), ENTRY)
        self.assertEqual(self.successResultOf(self.guard.size_of(KEY)), 600)
        self.assertTrue(self.successResultOf(self.guard.remove(KEY)))
        self.assertIsNone(self.successResultOf(self.get()))
        self.assertEqual(self.faults, [])

    def test_a_look_up_that_hangs_is_a_miss_after_the_time_limit_and_is_cancelled(self) -> None:
        self.tier.hangs = True
        looking = self.get()
        self.pass_time(0.2)
        self.assertNoResult(looking)
        self.pass_time(0.2)
        self.assertIsNone(self.successResultOf(looking))
        self.assertEqual((self.faults, self.tier.waiting), (["slow"], []))

    def test_a_client_that_leaves_is_no_fault_of_the_tier(self) -> None:
        self.tier.hangs = True
        looking = self.get()
        looking.cancel()
        self.failureResultOf(looking, CancelledError)
        self.assertEqual((self.faults, self.tier.waiting), ([], []))

    def test_equal_look_ups_under_way_ask_the_tier_once(self) -> None:
        self.tier.hangs = True
        looking = [self.get() for _ in range(50)]
        self.tier.waiting.pop().callback(ENTRY)
        self.assertEqual([self.successResultOf(one) for one in looking], [ENTRY] * 50)
        self.assertEqual(self.tier.calls, ["get"])

    def test_a_slow_look_up_of_a_tier_that_answers_others_is_no_reason_to_leave_it_alone(self) -> None:
        for _ in range(10):
            self.tier.hangs = True
            large = self.get()
            self.pass_time(0.2)
            self.tier.hangs = False
            self.assertIsNone(self.successResultOf(self.get(number_key(1))))
            self.pass_time(0.2)
            self.assertIsNone(self.successResultOf(large))
        self.assertEqual((self.faults, self.tier.calls), (["slow"] * 10, ["get", "get"] * 10))

    def test_mistakes_of_a_tier_without_deferreds_cost_no_answer_either(self) -> None:
        for name in ("lease", "purged_before", "usage"):
            self.patch(self.tier, name, lambda *_: 1 / 0)
        self.assertIsNone(self.guard.lease(KEY))
        self.assertEqual(self.guard.purged_before(), float("-inf"))
        self.assertIsNone(self.guard.usage())
        self.assertEqual(self.faults, ["io"] * 3)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_a_failure_is_a_miss_and_after_some_in_a_row_the_tier_is_left_alone(self) -> None:
        self.tier.error = OSError("connection refused")
        for _ in range(5):
            self.assertIsNone(self.successResultOf(self.get()))
            self.assertEqual(self.successResultOf(self.guard.size_of(KEY)), 0)
        self.assertEqual((self.faults, self.tier.calls), (["io"] * 3, ["get", "size_of", "get"]))

    def test_failures_between_answers_do_not_add_up(self) -> None:
        for _ in range(5):
            self.tier.error = OSError("reset")
            self.get()
            self.get()
            self.tier.error = None
            self.get()
        self.assertEqual(len(self.tier.calls), 15)

    def test_a_mistake_of_the_tier_is_a_fault_with_a_traceback(self) -> None:
        self.patch(self.tier, "get", lambda _: 1 / 0)
        self.assertIsNone(self.successResultOf(self.get()))
        self.assertEqual(self.faults, ["io"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_damaged_entry_is_a_miss_and_no_reason_to_leave_the_tier_alone(self) -> None:
        self.tier.error = CorruptEntry("its checksum is wrong")
        for _ in range(5):
            self.assertIsNone(self.successResultOf(self.get()))
        self.tier.error = None
        self.successResultOf(self.guard.put(KEY, ENTRY))
        self.assertEqual(self.successResultOf(self.get()), ENTRY)
        self.assertEqual(self.faults, ["corrupt"] * 5)

    def test_a_fault_is_told_once_a_minute_with_what_to_do(self) -> None:
        self.tier.error = OSError("connection refused")
        with capturedLogs() as events:
            for _ in range(3):
                self.get()
            self.pass_time(70)
        lines = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        self.assertEqual(len(lines), 1)
        self.assertIn("the far cache fails (connection refused)", str(lines[0]))


class AnswerReader(FileDescriptor):
    """Fires *answer* with an entry as soon as the reactor reads from *end*."""

    def __init__(self, end: socket.socket, answer: Deferred[CacheEntry | None]) -> None:
        super().__init__()
        self.end, self.answer = end, answer
        self.fileno = end.fileno  # type: ignore[method-assign]
        self.startReading()

    def doRead(self) -> None:
        self.stopReading()
        self.answer.callback(ENTRY)


class BusyReactorTests(TestCase):
    async def test_an_answer_that_came_while_the_reactor_was_busy_is_taken(self) -> None:
        here, there = socket.socketpair()
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        answer: Deferred[CacheEntry | None] = Deferred()
        reader = AnswerReader(here, answer)
        self.addCleanup(reader.stopReading)
        tier, faults = FaultyTier(), list[str]()
        self.patch(tier, "get", lambda _: answer)
        running: Any = reactor
        looking = GuardedTier(running, tier, 0.05, lambda _, fault: faults.append(fault)).get(KEY)
        there.send(b"the answer")
        time.sleep(0.1)
        self.assertEqual((await looking, faults), (ENTRY, []))


class BreakerTests(GuardCase):
    def test_a_tier_that_hangs_costs_one_time_limit(self) -> None:
        self.hang()
        for number in range(20):
            self.assertIsNone(self.successResultOf(self.get(number_key(number))))
            self.successResultOf(self.guard.put(number_key(number), ENTRY))
            self.assertIsNone(self.guard.lease(number_key(number)))
            self.assertFalse(self.successResultOf(self.guard.remove(number_key(number))))
        self.assertEqual(self.tier.calls, ["get"])
        self.assertEqual(self.faults, ["slow"] + ["skipped"] * 20)

    def test_it_is_probed_ever_more_rarely_while_no_look_up_waits(self) -> None:
        self.hang()
        probed = []
        for second in range(150):
            before = len(self.tier.calls)
            self.pass_time(1)
            self.assertIsNone(self.successResultOf(self.get()))
            if len(self.tier.calls) > before:
                probed.append(second)
        self.assertEqual(set(self.tier.calls[1:]), {"size_of"})
        pauses = [later - earlier for earlier, later in itertools.pairwise(probed)]
        self.assertEqual(pauses, sorted(pauses))
        self.assertTrue(5 <= len(probed) <= 10, probed)

    def test_a_tier_that_comes_back_is_used_within_45_seconds_however_long_it_was_away(self) -> None:
        for away in (5, 50, 500, 1234):
            self.hang()
            self.pass_time(away)
            self.tier.hangs = False
            with capturedLogs() as events:
                self.pass_time(44)
            self.assertIn("the far cache answers again, and is used", [formatEvent(event) for event in events])
            self.successResultOf(self.guard.put(KEY, ENTRY))
            self.assertEqual(self.successResultOf(self.get()), ENTRY)
            self.guard.remove(KEY)
            self.pass_time(100)

    def test_a_tier_that_answers_probes_only_is_not_tried_every_second(self) -> None:
        self.patch(self.tier, "size_of", lambda _: succeed(0))
        self.tier.hangs = True
        for _ in range(6000):
            self.get()
            self.pass_time(0.1)
        self.assertLess(len(self.tier.calls), 200)

    def test_nothing_is_left_to_do_once_it_is_closed(self) -> None:
        self.hang()
        self.pass_time(1.2)  # a probe is under way
        closing = self.guard.close()
        self.pass_time(6)
        self.successResultOf(closing)
        self.assertEqual((self.clock.getDelayedCalls(), self.tier.waiting), ([], []))


class WriteBehindTests(GuardCase):
    def stall(self) -> list[Deferred[None]]:
        """Have writes hang, and nothing else; the list gets their Deferreds."""
        stalled: list[Deferred[None]] = []

        def put(_key: bytes, _entry: CacheEntry) -> Deferred[None]:
            stalled.append(Deferred())
            return stalled[-1]

        self.patch(self.tier, "put", put)
        return stalled

    def test_what_waits_can_be_read(self) -> None:
        stalled = self.stall()
        written = [self.guard.put(number_key(number), sized(number)) for number in range(10)]
        self.assertEqual(len(stalled), 4)
        for number in range(10):
            found = self.successResultOf(self.get(number_key(number)))
            self.assertEqual(found and len(found.rendition.body), number)
            self.assertEqual(self.successResultOf(self.guard.size_of(number_key(number))), number)
        for one in stalled:
            one.callback(None)  # the list grows meanwhile
        for one in written:
            self.successResultOf(one)
        self.assertIsNone(self.successResultOf(self.get()))

    def test_what_is_too_much_is_dropped_and_counted(self) -> None:
        self.stall()
        for number in range(10):
            self.guard.put(number_key(number), sized(20 << 20))
        self.assertEqual(self.faults, ["slow"] * 7)
        self.assertIsNotNone(self.successResultOf(self.get(number_key(2))))
        self.assertIsNone(self.successResultOf(self.get(number_key(3))))
        self.assertEqual(self.tier.calls, ["get"])  # it is in use: look-ups do not hang

    def test_a_write_that_hangs_is_given_up_and_the_next_ones_follow(self) -> None:
        stalled = self.stall()
        for number in range(6):
            self.guard.put(number_key(number), ENTRY)
        self.pass_time(5.5)
        self.assertEqual((len(stalled), self.faults), (6, ["slow"] * 4))

    def test_thousands_that_wait_end_when_the_tier_is_left_alone(self) -> None:
        stalled = self.stall()
        written = [self.guard.put(number_key(number), ENTRY) for number in range(5000)]
        self.tier.hangs = True
        looking = self.get(number_key(9999))
        self.pass_time(TIMEOUT + 0.1)
        self.assertIsNone(self.successResultOf(looking))
        for one in list(stalled):
            one.callback(None)
        for each in written:
            self.successResultOf(each)
        self.assertEqual(self.faults.count("skipped"), 4996)
        self.tier.hangs = False
        self.pass_time(2)
        self.guard.put(KEY, ENTRY)
        self.assertEqual(len(stalled), 5)

    def test_an_entry_is_written_once_as_it_is_last(self) -> None:
        stalled = self.stall()
        for number in range(4):
            self.guard.put(number_key(number), ENTRY)
        newer = replace(ENTRY, etag="newer")
        first, second = self.guard.put(KEY, ENTRY), self.guard.put(KEY, newer)
        self.successResultOf(first)
        self.assertEqual(self.successResultOf(self.get()), newer)
        stalled[0].callback(None)
        stalled[4].callback(None)
        self.successResultOf(second)
        self.assertEqual(len(stalled), 5)

    def test_writes_of_one_entry_follow_each_other_and_a_removal_follows_them(self) -> None:
        stalled = self.stall()
        self.guard.put(KEY, ENTRY)
        self.guard.put(KEY, ENTRY)
        removing = self.guard.remove(KEY)
        self.assertEqual((len(stalled), self.tier.calls), (1, []))
        stalled[0].callback(None)
        self.successResultOf(removing)
        self.assertEqual((len(stalled), self.tier.calls), (1, ["remove"]))

    def test_a_removal_behind_a_write_that_hangs_is_waited_for_a_moment_only(self) -> None:
        stalled = self.stall()
        self.guard.put(KEY, ENTRY)
        removing = self.guard.remove(KEY)
        self.pass_time(TIMEOUT + 0.1)
        self.assertFalse(self.successResultOf(removing))
        stalled[0].callback(None)
        self.assertEqual(self.tier.calls, ["remove"])

    def test_an_entry_that_is_purged_while_it_waits_is_not_written(self) -> None:
        stalled = self.stall()
        for number in range(4):
            self.guard.put(number_key(number), ENTRY)
        self.guard.put(KEY, replace(ENTRY, tags=("hero",)))
        self.assertEqual(self.successResultOf(self.guard.purge(Purge(2000.0, "tag", "hero"))), 0)
        for one in stalled:
            one.callback(None)
        self.assertEqual(len(stalled), 4)

    def test_an_entry_too_large_for_the_tier_is_counted_without_a_warning(self) -> None:
        self.tier.error = OSError(errno.EFBIG, "too large")
        with capturedLogs() as events:
            for _ in range(5):
                self.successResultOf(self.guard.put(KEY, ENTRY))
        self.assertEqual((self.faults, events), (["too_large"] * 5, []))

    def test_closing_waits_a_moment_for_writes_and_drops_the_rest(self) -> None:
        self.stall()
        for number in range(6):
            self.guard.put(number_key(number), ENTRY)
        closing = self.guard.close()
        self.pass_time(2)
        self.assertNoResult(closing)
        self.pass_time(2)
        self.successResultOf(closing)
        self.assertEqual(self.faults, ["skipped"] * 2)


class PurgeTests(GuardCase):
    def test_a_purge_that_is_not_recorded_is_told_whatever_the_tier_fails_with(self) -> None:
        purge = Purge(1.0, "tag", "x")
        for error in (OSError("down"), PurgeFailed("no room")):
            self.tier.error = error
            self.failureResultOf(self.guard.purge(purge), PurgeFailed)
        self.tier.error, self.tier.hangs = None, True
        purging = self.guard.purge(purge)
        self.pass_time(16)
        self.failureResultOf(purging, PurgeFailed)

    def test_a_tier_that_is_left_alone_is_told_of_purges_all_the_same(self) -> None:
        self.hang()
        self.tier.hangs = False
        self.assertEqual(self.successResultOf(self.guard.purge(Purge(1.0, "tag", "x"))), 0)


class StartTests(GuardCase):
    def test_look_ups_wait_for_a_start_that_hangs_a_moment_only(self) -> None:
        self.tier.hangs = True
        started = self.guard.start(learn)
        self.pass_time(1)
        self.assertNoResult(started)
        self.pass_time(1)
        self.successResultOf(started)
        self.assertEqual(len(self.tier.waiting), 1)  # it may still come

    def test_a_start_that_fails_is_a_fault(self) -> None:
        self.tier.error = OSError("down")
        self.successResultOf(self.guard.start(learn))
        self.assertEqual((self.faults, self.clock.getDelayedCalls()), (["io"], []))


@implementer(ILease)
class Lease:
    """A lease whose attempts have the outcomes of *attempts*, one after the other."""

    def __init__(self, *attempts: Any) -> None:
        self.attempts = list(attempts)
        self.released: list[bytes | None] = []

    def attempt(self) -> Deferred[LeaseAttempt]:
        outcome = self.attempts.pop(0)
        return outcome if isinstance(outcome, Deferred) else succeed(outcome)

    def release(self, outcome: bytes | None, written: Deferred[Any]) -> None:
        written.addCallback(lambda _: self.released.append(outcome))


class LeaseTests(GuardCase):
    def setUp(self) -> None:
        super().setUp()
        self.cache = Cache(cast("IServerReactor", self.clock), "far", behind=[self.guard])

    def once(self, lease: Lease, entry: CacheEntry | None = ENTRY) -> Deferred[CacheEntry]:
        """Make *entry*, or raise where it is None, under *lease*."""
        self.patch(self.tier, "lease", lambda _: lease)

        async def make() -> CacheEntry:
            if entry is None:
                raise RuntimeError("cannot make it")
            self.cache.put(KEY, entry)
            return entry

        return Deferred.fromCoroutine(self.cache.once(KEY, make, lambda found: found))

    def test_an_entry_is_made_under_the_lease_which_is_released_after_it_is_written(self) -> None:
        lease = Lease(LeaseAttempt(taken=True, present=False, outcome=None))
        written: Deferred[None] = Deferred()
        self.patch(self.tier, "put", lambda *_: written)
        self.assertEqual(self.successResultOf(self.once(lease)), ENTRY)
        self.assertEqual(lease.released, [])
        self.tier.entries.put(KEY, ENTRY)
        written.callback(None)
        self.assertEqual(lease.released, [None])

    def test_an_entry_that_could_not_be_written_is_told_as_one_that_is_not_kept(self) -> None:
        lease = Lease(LeaseAttempt(taken=True, present=False, outcome=None))
        self.tier.error = OSError("full")
        self.assertEqual(self.successResultOf(self.once(lease)), ENTRY)
        self.assertEqual(lease.released, [b""])

    def test_a_lease_that_hangs_or_fails_is_done_without(self) -> None:
        hanging: Deferred[LeaseAttempt] = Deferred()
        lease = Lease(LeaseAttempt(taken=False, present=False, outcome=None), hanging)
        making = self.once(lease)
        self.assertNoResult(making)
        self.pass_time(0.5)
        self.assertEqual(self.successResultOf(making), ENTRY)
        self.assertEqual((lease.released, self.faults), ([None], ["slow", "skipped"]))

    def test_a_client_that_leaves_during_an_attempt_has_nothing_made(self) -> None:
        attempt: Deferred[LeaseAttempt] = Deferred()
        lease = Lease(attempt)
        result = self.once(lease)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual((lease.released, self.tier.calls), ([None], []))

    def test_an_entry_that_another_node_made_is_taken(self) -> None:
        lease = Lease(*[LeaseAttempt(taken=False, present=False, outcome=None)] * 2, LeaseAttempt(False, True, None))
        making = self.once(lease, None)
        self.assertNoResult(making)
        self.tier.entries.put(KEY, ENTRY)
        self.pass_time(0.5)
        self.assertEqual(self.successResultOf(making), ENTRY)

    def test_a_lease_that_cannot_be_released_is_logged_and_costs_no_answer(self) -> None:
        lease = Lease(LeaseAttempt(taken=True, present=False, outcome=None))
        self.patch(lease, "release", lambda *_: 1 / 0)
        self.assertEqual(self.successResultOf(self.once(lease)), ENTRY)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_an_attempt_while_the_tier_is_left_alone_fails(self) -> None:
        self.patch(self.tier, "lease", lambda _: Lease())
        lease = self.guard.lease(KEY)
        self.hang()
        assert lease is not None
        self.failureResultOf(lease.attempt(), Stalled)
