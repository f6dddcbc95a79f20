"""How many requests a minute may cause work: of all clients together, and of each.

Who asks must have proved before that it may (signature, token, expiry): strangers cannot use up anybody's minute.
What a cache answers is free.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from twisted.web.server import Request

from imgforge.errors import RateExceeded
from imgforge.web.http.forwarded import Clients, bucket

__all__ = ["ClientRates", "RateLimit", "Rates"]

_MINUTE = 60.0
_MOST_CLIENTS = 1 << 16  # some 10 MB
_SLACK = 0.001  # seconds: sums of fractions are not exact


class RateLimit:
    """At most *per_minute* requests, evenly or in one burst: a token bucket; 0 is unlimited."""

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._per_second = per_minute / _MINUTE
        self._most = max(1.0, per_minute)
        self._clock = clock
        self._tokens = self._most
        self._filled = clock()

    def check(self) -> None:
        """Take a token; `RateExceeded`, with the seconds until the next one, where there is none."""
        if not self._per_second:
            return
        now = self._clock()
        # A clock that goes backwards fills nothing.
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._filled) * self._per_second)
        self._filled = now
        if self._tokens < 1:
            wait = math.ceil((1 - self._tokens) / self._per_second)
            raise RateExceeded("more requests than this server takes in a minute", retry_after=wait)
        self._tokens -= 1


class ClientRates:
    """The same for each client by itself.

    A bucket is one number here, the moment at which it is full again (the generic cell rate algorithm): one that is
    full needs none. Beyond *most* clients that are not full, those are forgotten that have not asked for the longest.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float], most: int = _MOST_CLIENTS) -> None:
        self._interval = _MINUTE / per_minute if per_minute else 0.0
        self._depth = max(_MINUTE, self._interval)  # seconds until an empty bucket is full
        self._clock = clock
        self._most = most
        self._full_at: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    @property
    def unlimited(self) -> bool:
        """Whether nobody is refused, whoever asks."""
        return not self._interval

    def check(self, client: bytes) -> None:
        """Take a token of *client*'s; `RateExceeded`, with the seconds until the next one, where there is none."""
        if self.unlimited:
            return
        now = self._clock()
        # A clock that was put back leaves a bucket that is empty, and no emptier.
        full_at = min(max(self._full_at.get(client, now), now), now + self._depth)
        wait = full_at + self._interval - now - self._depth
        allowed = wait < _SLACK
        self._full_at[client] = full_at + self._interval if allowed else full_at
        self._full_at.move_to_end(client)
        self._forget(now)
        if not allowed:
            raise RateExceeded("more requests of one client than this server takes in a minute", math.ceil(wait))

    def _forget(self, now: float) -> None:
        """Two a call at most: no call adds more than one."""
        for _ in range(2):
            client, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= self._most:
                break
            del self._full_at[client]
            if not self._full_at:
                break


@dataclass(frozen=True, slots=True)
class Rates:
    """How much work all clients together, and each of them, may cause."""

    clients: Clients
    each: ClientRates
    together: RateLimit

    def of(self, request: Request) -> Callable[[], None]:
        """What takes *request*'s tokens, or raises `RateExceeded`; its client's first, so that others keep theirs."""
        if self.each.unlimited:
            return self.together.check
        client = bucket(self.clients.of(request))

        def check() -> None:
            self.each.check(client)
            self.together.check()

        return check
