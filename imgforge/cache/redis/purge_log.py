"""The purges of all nodes that share a Redis: a stream, which each process reads from its start to its end.

`XREAD BLOCK` answers at once when a purge is added, and otherwise every half a second. It is what publishing is, and
more: a process that was away goes on where it stopped, and nothing is lost between a channel and the stream. As long as
a process has not read the stream within the last seconds, it serves nothing from Redis.

    XADD imgforge:purges MINID ~ <the oldest that may still cover an entry> * purge <JSON>
"""

from __future__ import annotations

import math
import time
from threading import Event
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from imgforge.cache.redis.client import RedisClient
from imgforge.cache.redis.faults import RedisFault
from imgforge.cache.redis.names import PURGES
from imgforge.concurrency import DaemonThread
from imgforge.interfaces import IServerReactor, LearnPurges
from imgforge.model import Purge

__all__ = ["PurgeLog"]

# Milliseconds that the server waits for a purge before it answers.
_BLOCK = 500
# Seconds after the last answer for which this process knows all purges well enough to serve from Redis.
_CURRENT_FOR = 3.0
# Seconds between two attempts to reach a server that failed.
_RETRY = 0.5
_PAGE = 1000
_START = b"0-0"
# Bytes of a purge: a URL, or a tag. What is longer is none of ours.
_LONGEST = 1 << 16
_FIELD = b"purge"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Purge).decode


class PurgeLog:
    """Adds purges to the stream, and follows it on a thread. Purges are kept for *kept_for* seconds."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, client: RedisClient, kept_for: float) -> None:
        self._reactor = reactor
        self._client = client
        self._kept_for = kept_for
        self._stopping = False
        self._wake = Event()  # ends the pause of the thread
        # Both are written by the thread, so that what it finds counts at once.
        self._read_at = -math.inf  # by the monotonic clock
        self._failures = 0
        self._complete_after = -1  # the number of failures after which `learn` came to know the whole stream
        self._learn: LearnPurges | None = None
        self._waiters: set[Deferred[None]] = set()

    def start(self, learn: LearnPurges) -> Deferred[None]:
        """Follow the stream; fires when *learn* knows what is in it, or Redis has failed to give it."""
        self._learn = learn
        loaded = self.when_current().addErrback(lambda _: None)
        DaemonThread(target=self._run, name="imgforge-redis-purges").start()
        return loaded

    def stop(self) -> None:
        """Follow the stream no more; the thread ends at the server's next answer."""
        self._stopping = True
        self._wake.set()

    def when_current(self) -> Deferred[None]:
        """Fires once this process knows the purges of the others, but for the last seconds; `RedisFault`."""
        if self._complete and time.monotonic() - self._read_at < _CURRENT_FOR:
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._waiters.discard)
        self._waiters.add(waiter)
        self._wake.set()
        return waiter

    @property
    def _complete(self) -> bool:
        return self._complete_after == self._failures

    def record(self, purge: Purge) -> None:
        """Add *purge* to the stream. On a thread; `RedisFault`."""
        with self._client.session() as redis:
            oldest = max(0, int(1000 * (time.time() - self._kept_for)))
            redis.execute_command("XADD", PURGES, "MINID", "~", oldest, "*", _FIELD, _encode(purge))

    def _run(self) -> None:
        position = _START
        while not self._stopping:
            self._wake.clear()  # first: who asks from now on has another attempt made
            try:
                position = self._position_in_this_stream(position)
                complete = False
                while not self._stopping:
                    items = self._read_after(position, wait=complete)
                    position, complete = items[-1][0] if items else position, len(items) < _PAGE
                    purges = [purge for _, fields in items if (purge := _purge(fields)) is not None]
                    self._read_at = time.monotonic()
                    if purges or not self._complete or self._waiters:
                        self._reactor.callFromThread(self._read, purges, self._failures if complete else -1)
            except Exception as error:
                self._failures += 1
                if not isinstance(error, RedisFault):  # which look-ups meet as well, and the cache warns of
                    self.log.failure("the purges in Redis cannot be read; the next attempt follows in 0.5 s")
                    error = RedisFault("the purges in Redis cannot be read")
                self._reactor.callFromThread(self._failed, error)
                self._wake.wait(_RETRY)

    def _position_in_this_stream(self, position: bytes) -> bytes:
        """*position*, or the start where the stream ends before it: it is another one than this process has read."""
        with self._client.session() as redis:
            last: Any = redis.execute_command("XREVRANGE", PURGES, "+", "-", "COUNT", 1)
        return position if last and _order(last[0][0]) >= _order(position) else _START

    def _read_after(self, position: bytes, *, wait: bool) -> list[Any]:
        """The next items after *position*; with *wait* the server answers when there is one, or after a while."""
        with self._client.session() as redis:
            streams: Any = redis.xread({PURGES: position}, count=_PAGE, block=_BLOCK if wait else None)
        return list(streams[0][1]) if streams else []

    def _read(self, purges: list[Purge], complete_after: int) -> None:
        if purges and self._learn is not None:
            self._learn(purges)
        self._complete_after = max(self._complete_after, complete_after)
        if self._complete:
            for waiter in self._taken_waiters():
                waiter.callback(None)

    def _failed(self, fault: RedisFault) -> None:
        for waiter in self._taken_waiters():
            waiter.errback(fault)

    def _taken_waiters(self) -> set[Deferred[None]]:
        waiters, self._waiters = self._waiters, set()
        return waiters


def _order(position: bytes) -> tuple[int, int]:
    """The place of a stream's id among others: milliseconds, and a number."""
    milliseconds, _, number = position.partition(b"-")
    return int(milliseconds), int(number)


def _purge(fields: dict[bytes, bytes] | None) -> Purge | None:
    """The purge in an item of the stream; None where it is malformed."""
    text = (fields or {}).get(_FIELD, b"")
    if len(text) > _LONGEST:
        return None
    try:
        return _decode(text).not_after(time.time())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
