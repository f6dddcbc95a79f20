"""How many requests may be under way; a request beyond a limit gets 429 at once instead of a place in a growing queue.

So does one that would wait for a render thread for most of its time limit: an answer that comes too late serves nobody,
and an unbounded queue would soon hold only such requests.

Requests that wait for an origin and requests that wait for a render thread have limits of their own, the first one for
each host: a silent origin uses up its own places, and all other sources are served as if it were not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

from imgforge.concurrency import ConcurrencyLimit, ConcurrencyLimits
from imgforge.errors import Overloaded

__all__ = ["Admission"]


class Admission:
    """The limits "queue", of requests that wait for a render thread or have one, and "origin", of fetches by host.

    Both admit *threads* + *queue* requests; a *queue* of 0 is unlimited, as in imgproxy. Each refusal is reported to
    *on_refusal* by the limit's name. Cache hits need no admission.

    Whatever the queue, none is admitted while *expected_wait* gives more than *longest_wait* seconds.
    """

    def __init__(
        self,
        threads: int,
        queue: int,
        on_refusal: Callable[[str], None] = lambda _limit: None,
        *,
        expected_wait: Callable[[], float] = lambda: 0.0,
        longest_wait: float = math.inf,
    ) -> None:
        self._on_refusal = on_refusal
        self._expected_wait = expected_wait
        self._longest_wait = longest_wait
        maximum = threads + queue if queue else 0
        self._renders = ConcurrencyLimit("queue", maximum, message="too many requests in the queue", refused=on_refusal)
        self._fetches: ConcurrencyLimits[str] = ConcurrencyLimits(
            lambda _: ConcurrencyLimit(
                "origin", maximum, message="too many requests wait for the source's host", refused=on_refusal
            )
        )

    def fetch(self, source: str) -> AbstractContextManager[None]:
        """Hold a place among the fetches from *source*'s host; `Overloaded` where that or the render queue is full."""
        return self._fetches.hold(self.check(source))

    def check(self, source: str) -> str:
        """*source*'s host; `Overloaded` where a fetch from it would be refused now."""
        self._renders.check()  # nothing is fetched for a full queue
        if self._expected_wait() > self._longest_wait:
            self._on_refusal("queue")
            raise Overloaded("the queue is too long for the request to be answered in time")
        host = _host(source)
        self._fetches.check(host)
        return host

    def render(self) -> AbstractContextManager[None]:
        """Hold a place on a render thread or in the queue for one; `Overloaded` where the queue is full."""
        return self._renders.hold()

    @property
    def rendering(self) -> int:
        """The number of requests that have a render thread or wait for one."""
        return self._renders.active

    @property
    def fetching(self) -> int:
        """The number of requests that wait for an origin."""
        return self._fetches.active


def _host(source: str) -> str:
    """Scheme, host and port of *source*, as far as it has them; the rest of a malformed URL does not matter."""
    try:
        parts = urlsplit(source)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}"
