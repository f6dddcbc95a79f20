"""Many fetches from a store that does everything wrong, given up at any moment: nothing of them is left behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from imgforge.errors import ImgforgeError
from imgforge.pipeline.limits import MemoryBudget
from imgforge.sources.http import HttpSource
from tests.support.corrected_store import CorrectedStore
from tests.support.http_case import SETTINGS
from tests.support.scripted_origin import ScriptedOrigin, reactor, response, until

_FETCHES = 500
_PICTURE = bytes(200_000)


class CancellationTests(TestCase):
    timeout = 120

    def setUp(self) -> None:
        self.random = Random(13)
        self.outcomes: dict[str, int] = {}

    def answer(self, head: bytes) -> Callable[[Any], None]:
        whole = response(_PICTURE)
        delay = self.random.choice((0, 0, 0.05, 0.6))
        return self.random.choice(
            (
                lambda transport: reactor.callLater(delay, transport.write, whole),
                lambda transport: reactor.callLater(delay, transport.write, whole),
                lambda transport: _in_two(transport, whole, delay),
                lambda transport: reactor.callLater(delay, _end, transport, whole[:5000]),
                lambda transport: transport.abortConnection(),
                lambda transport: transport.write(response(b"slow down", "503 Slow Down")),
                lambda transport: transport.write(whole[:20]),  # and nothing more
                lambda transport: transport.write(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nimage\r\n0\r\n\r\n"
                ),
            )
        )

    async def fetch(self, source: HttpSource, budget: MemoryBudget, number: int) -> None:
        await deferLater(reactor, self.random.uniform(0, 4))
        with budget.lease() as lease:
            reservation = budget.reservation()
            reservation.add_lease(lease)
            bucket = f"s3://bucket{number % 3}"
            fetching = source.fetch(f"{bucket}/{number}", None, {}, reservation.reserve)
            if self.random.random() < 0.6:
                giving_up = reactor.callLater(self.random.choice((0, self.random.uniform(0, 1.5))), fetching.cancel)
                fetching.addBoth(_cancelling(giving_up))
            try:
                image = await fetching
            except (ImgforgeError, CancelledError) as error:
                outcome = type(error).__name__
            else:
                outcome = "whole" if image.body in (_PICTURE, b"image") else "damaged"
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    async def test_nothing_is_left_of_fetches_that_failed_or_were_given_up(self) -> None:
        origin = ScriptedOrigin(self.answer)
        self.addCleanup(lambda: Deferred.fromCoroutine(origin.close()))
        settings = replace(
            SETTINGS, hedge=True, connections_per_host=12, download_timeout=2, breaker_failures=0, keep_alive_timeout=30
        )
        source = HttpSource(reactor, settings, CorrectedStore(origin))
        budget = MemoryBudget(3_000_000)
        before = _sockets()
        fetches = [Deferred.fromCoroutine(self.fetch(source, budget, number)) for number in range(_FETCHES)]
        for succeeded, failure in await DeferredList(fetches):
            self.assertTrue(succeeded, failure)
        self.assertEqual(sum(self.outcomes.values()), _FETCHES)
        self.assertEqual(set(self.outcomes), {"whole", "CancelledError", "OriginFailed", "OriginTimeout"})
        self.assertEqual((budget.held, budget.waiting), (0, 0))
        await source.close()
        await until(lambda: not origin.open and _sockets() <= before)  # or the test's timeout
        limits, pool = source._image_limit._limits, source._client._pool
        self.assertEqual((len(limits), pool._hosts), (0, {}))
        await deferLater(reactor, 0.7)  # the origin's last answers, to nobody
        del fetches
        gc.collect()  # a Deferred that is lost with a failure fails the test


def _in_two(transport: Any, whole: bytes, delay: float) -> None:
    transport.write(whole[:100_000])
    reactor.callLater(delay, transport.write, whole[100_000:])


def _end(transport: Any, data: bytes) -> None:
    transport.write(data)
    transport.loseConnection()


def _cancelling(call: Any) -> Callable[[Any], Any]:
    def cancel(outcome: Any) -> Any:
        if call.active():
            call.cancel()
        return outcome

    return cancel


def _sockets() -> int:
    links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return sum(os.readlink(link).startswith("socket:") for link in links if os.path.lexists(link))
