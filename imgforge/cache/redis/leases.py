"""Leases in Redis: which process makes which entry, among all that share the server.

A lease is a key with a random token and an expiry: the process that set it has the lease, renews it while the work goes
on, and deletes it if the token is still its own. A process that dies renews nothing, and its lease expires. How work
ended that left no entry is told by a second key, which lives for some seconds: the processes that wait look more often.

This is no lock that excludes: a holder that could not renew, because Redis hung, goes on while another process begins.
Then an entry is made twice, which costs time and harms nothing.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from imgforge.cache.redis.client import RedisClient
from imgforge.cache.redis.names import entry_name, lease_name, outcome_name
from imgforge.concurrency import FileThreads
from imgforge.interfaces import ILease, IServerReactor, LeaseAttempt

__all__ = ["RedisLease", "RedisLeases"]

# Seconds for which a lease is valid, and between two renewals: a holder that dies frees it within the first.
_VALID = 5.0
_RENEWAL = 1.25
# Seconds for which an outcome is told.
_OUTCOME_TOLD = 5.0
_TOKEN_BYTES = 16
_RANDOM_BYTES = 8  # make equal outcomes differ
_LONGEST_OUTCOME = 512

_RENEW = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
_DELETE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class RedisLeases:
    """Takes, renews and releases leases by *client* on *threads*."""

    def __init__(self, reactor: IServerReactor, threads: FileThreads, client: RedisClient) -> None:
        self._threads = threads
        self._client = client
        self._held: set[RedisLease] = set()
        self._renewing = LoopingCall(self._renew)
        self._renewing.clock = reactor

    def lease(self, key: bytes) -> RedisLease:
        """The lease of *key*, not yet taken."""
        return RedisLease(self, self._threads, self._client, key)

    def close(self) -> Deferred[None]:
        """Release all leases."""
        held, self._held = self._held, set()
        if self._renewing.running:
            self._renewing.stop()
        names = {lease_name(lease.key): lease.token for lease in held}
        return self._threads.run(lambda: self._delete(names)) if names else succeed(None)

    def hold(self, lease: RedisLease) -> None:
        """Renew *lease* from now on."""
        self._held.add(lease)
        if not self._renewing.running:
            self._renewing.start(_RENEWAL, now=False)

    def drop(self, lease: RedisLease, outcome: bytes | None) -> None:
        """Renew *lease* no more, and let others take it; they are told *outcome*."""
        self._held.discard(lease)

        def work() -> None:
            if outcome is not None:
                message = os.urandom(_RANDOM_BYTES) + outcome[: _LONGEST_OUTCOME - _RANDOM_BYTES]
                with self._client.session() as redis:
                    redis.set(outcome_name(lease.key), message, px=int(1000 * _OUTCOME_TOLD))
            self._delete({lease_name(lease.key): lease.token})

        # Where that fails, the lease expires.
        self._threads.run(work).addErrback(lambda _: None)

    def _delete(self, names: dict[bytes, bytes]) -> None:
        with self._client.session() as redis, redis.pipeline(transaction=False) as pipeline:
            for name, token in names.items():
                pipeline.eval(_DELETE, 1, name, token)
            pipeline.execute()

    def _renew(self) -> Deferred[Any] | None:
        if not self._held:  # the calls go on: one that is stopped and started again while it works would work twice
            return None
        tokens = {lease_name(lease.key): lease.token for lease in self._held}

        def work() -> None:
            with self._client.session() as redis, redis.pipeline(transaction=False) as pipeline:
                for name, token in tokens.items():
                    pipeline.eval(_RENEW, 1, name, token, int(1000 * _VALID))
                pipeline.execute()

        return self._threads.run(work).addErrback(lambda _: None)


@implementer(ILease)
class RedisLease:
    """The lease of *key*."""

    def __init__(self, leases: RedisLeases, threads: FileThreads, client: RedisClient, key: bytes) -> None:
        self._leases = leases
        self._threads = threads
        self._client = client
        self.key = key
        self.token = os.urandom(_TOKEN_BYTES)
        self._before: bytes | None = None
        self._held = self._ended = False

    def attempt(self) -> Deferred[LeaseAttempt]:
        """See `ILease`; `RedisFault` where Redis refuses, `Stalled` where it does not answer."""

        def work() -> list[Any]:
            lease, outcome = lease_name(self.key), outcome_name(self.key)
            with self._client.session() as redis, redis.pipeline(transaction=False) as pipeline:
                # Before and after: an outcome told between a refusal and the first look must not be missed.
                pipeline.getrange(outcome, 0, _LONGEST_OUTCOME)
                pipeline.set(lease, self.token, nx=True, px=int(1000 * _VALID))
                # The attempt before this one may have taken the lease, although its answer did not arrive.
                pipeline.getrange(lease, 0, _TOKEN_BYTES)
                pipeline.getrange(outcome, 0, _LONGEST_OUTCOME)
                pipeline.exists(entry_name(self.key))
                found: list[Any] = pipeline.execute()
                return found

        return self._threads.run_with_timeout(work, discard=self._found_late).addCallback(self._found)

    def release(self, outcome: bytes | None, written: Deferred[Any]) -> None:
        """See `ILease`."""
        self._ended = True
        if not self._held:
            return

        def ended(result: Any) -> Any:
            self._held = False
            self._leases.drop(self, outcome)
            return result

        written.addBoth(ended)

    def _found(self, found: list[Any]) -> LeaseAttempt:
        first, _, holder, now, present = found
        taken = holder == self.token and not self._ended
        if taken and not self._held:
            self._held = True
            self._leases.hold(self)
        elif holder == self.token and not self._held:
            self._leases.drop(self, None)
        self._before = first if self._before is None else self._before
        outcome = now[_RANDOM_BYTES:] if now != self._before and len(now) >= _RANDOM_BYTES else None
        return LeaseAttempt(taken, bool(present), outcome)

    def _found_late(self, found: list[Any]) -> None:
        """Give back a lease that was taken when nobody waited for it any more."""
        if found[2] == self.token and not self._held:
            self._leases.drop(self, None)
