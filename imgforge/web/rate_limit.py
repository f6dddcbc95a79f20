"""Rate limits: how many requests a minute may cause work, of all clients together and of each.

Only requests with a good signature, token and expiry are counted, so that a stranger cannot use up the limit. Cache
hits are free.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from twisted.web.server import Request

from imgforge.errors import RateExceeded
from imgforge.web.http import Clients, bucket

__all__ = ["ClientRates", "RateLimit", "Rates"]

_MINUTE = 60.0
_MOST_CLIENTS = 1 << 16  # some 10 MB
_SLACK = 0.001  # seconds; sums of fractions are not exact


class RateLimit:
    """A token bucket: at most *per_minute* requests, evenly or in one burst; 0 is unlimited."""

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._per_second = per_minute / _MINUTE
        self._most = max(1.0, per_minute)
        self._clock = clock
        self._tokens = self._most
        self._filled = clock()

    def check(self) -> None:
        """Takes a token. Raises `RateExceeded`, with the seconds until the next one, if there is none."""
        if not self._per_second:
            return
        now = self._clock()
        # A clock that goes backwards fills nothing.
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._filled) * self._per_second)
        self._filled = now
        if self._tokens < 1:
            wait = math.ceil((1 - self._tokens) / self._per_second)
            raise RateExceeded("this server has had its number of requests for this minute", retry_after=wait)
        self._tokens -= 1


class ClientRates:
    """A token bucket for each client.

    A bucket is one number, the moment at which it is full again (the generic cell rate algorithm). A full bucket is not
    stored. Beyond *most* stored ones, the clients that have been silent longest are forgotten.
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
        """Whether no client is limited."""
        return not self._interval

    def check(self, client: bytes) -> None:
        """Takes a token of *client*. Raises `RateExceeded`, with the seconds until the next one, if there is none."""
        if self.unlimited:
            return
        now = self._clock()
        # If the clock was set back, the bucket is empty, but not emptier.
        full_at = min(max(self._full_at.get(client, now), now), now + self._depth)
        wait = full_at + self._interval - now - self._depth
        allowed = wait < _SLACK
        self._full_at[client] = full_at + self._interval if allowed else full_at
        self._full_at.move_to_end(client)
        self._forget(now)
        if not allowed:
            raise RateExceeded("your address has had its number of requests for this minute", math.ceil(wait))

    def _forget(self, now: float) -> None:
        """Forgets two clients at most: a call adds one at most."""
        for _ in range(2):
            client, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= self._most:
                break
            del self._full_at[client]
            if not self._full_at:
                break


@dataclass(frozen=True, slots=True)
class Rates:
    """The rate limits of all clients together and of each."""

    clients: Clients
    each: ClientRates
    together: RateLimit

    def of(self, request: Request) -> Callable[[], None]:
        """A function that takes the tokens for *request*, its client's first, or raises `RateExceeded`."""
        if self.each.unlimited:
            return self.together.check
        client = bucket(self.clients.of(request))

        def check() -> None:
            self.each.check(client)
            self.together.check()

        return check
