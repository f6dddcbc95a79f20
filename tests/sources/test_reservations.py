"""Bodies are read once memory for them is reserved; the wait does not count as the origin's time."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import deferLater

from imgforge.errors import OriginTimeout
from imgforge.model import SourceImage
from imgforge.sources import SourceRegistry, SourceSettings
from tests.support.http_case import HttpCase
from tests.support.paced_reactor import PacedReactor
from tests.support.scripted_origin import reactor, response, until

BODY = bytes(range(256)) * 16384  # 4 MB


def endless(head: bytes, body: bytes) -> bytes:
    """A response whose body ends with the connection."""
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + head + b"\r\n" + body


class FakeBudget:
    """Records the requested sizes; beyond *free* bytes a reservation waits for `grant`."""

    def __init__(self, free: int = 0) -> None:
        self.free = free
        self.requested: list[int] = []
        self.waiting: list[Deferred[None]] = []
        self.cancelled = 0

    def __call__(self, size: int) -> Deferred[None]:
        self.requested.append(size)
        if size <= self.free:
            return succeed(None)

        def cancel(_: Deferred[None]) -> None:
            self.cancelled += 1

        self.waiting.append(Deferred(cancel))
        return self.waiting[-1]

    def grant(self) -> None:
        self.free = 1 << 40
        self.waiting.pop().callback(None)


class ReservationTests(HttpCase):
    def begin(self, answer: bytes, budget: FakeBudget, **changes: float) -> Deferred[SourceImage]:
        def speak(transport: Any) -> None:
            transport.write(answer)
            transport.loseConnection()

        return self.sources(**changes).fetch(self.origin(lambda _: speak).url(), None, {}, budget)

    async def test_a_declared_length_is_reserved_before_the_body_is_read(self) -> None:
        budget = FakeBudget()
        fetching = self.begin(response(BODY), budget)
        await until(lambda: budget.waiting)
        self.assertEqual(budget.requested, [len(BODY)])
        budget.grant()
        self.assertEqual((await fetching).body, BODY)
        self.assertEqual(len(budget.requested), 1)

    async def test_a_body_of_unknown_length_reserves_as_it_grows(self) -> None:
        for answer in (endless(b"", BODY), endless(b"Content-Encoding: gzip\r\n", gzip.compress(BODY, 0))):
            budget = FakeBudget(free=2 << 20)
            fetching = self.begin(answer, budget)
            await until(lambda budget=budget: budget.waiting)  # type: ignore[misc]
            self.assertLess(budget.requested[-1], len(BODY))
            budget.grant()
            self.assertEqual((await fetching).body, BODY)
            self.assertGreaterEqual(budget.requested[-1], len(BODY))
            self.assertLess(len(budget.requested), 8)

    async def test_while_a_reservation_waits_the_connection_is_not_read(self) -> None:
        large = endless(b"", BODY * 16)  # more than the kernel's buffers take

        def speak(transport: Any) -> None:
            transport.write(large)
            transport.loseConnection()

        slow, budget = self.origin(lambda _: speak), FakeBudget()
        fetching = self.sources().fetch(slow.url(), None, {}, budget)
        await until(lambda: budget.waiting)
        for _ in range(4000):  # iterations in which all of it could be read, 64 kB each
            await deferLater(reactor, 0)
        self.assertEqual((len(slow.open), len(budget.requested)), (1, 1))
        budget.grant()
        self.assertEqual(len((await fetching).body), len(BODY) * 16)

    async def test_the_wait_does_not_count_as_the_origins_time(self) -> None:
        self.reactor = clock = PacedReactor()
        for answer in (response(BODY), endless(b"", BODY)):
            budget = FakeBudget()
            fetching = self.begin(answer, budget, download_timeout=3)
            await until(lambda budget=budget: budget.waiting)  # type: ignore[misc]
            clock.advance(6)
            budget.grant()
            self.assertEqual((await fetching).body, BODY)

    async def test_the_deadline_goes_on_after_the_wait(self) -> None:
        self.reactor = clock = PacedReactor()
        budget = FakeBudget()
        origin = self.origin(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        fetching = self.sources(download_timeout=3).fetch(origin.url(), None, {}, budget)
        await until(lambda: budget.waiting)
        clock.advance(2)
        budget.grant()
        clock.advance(2.9)
        self.assertNoResult(fetching)
        clock.advance(0.1)
        with self.assertRaises(OriginTimeout):
            await fetching

    async def test_a_cancelled_fetch_leaves_neither_connection_nor_reservation(self) -> None:
        for answer in (response(BODY), endless(b"", BODY)):
            budget = FakeBudget()
            origin = self.origin(answer)
            fetching = self.sources().fetch(origin.url(), None, {}, budget)
            await until(lambda budget=budget: budget.waiting)  # type: ignore[misc]
            fetching.cancel()
            with self.assertRaises(CancelledError):
                await fetching
            self.assertEqual(budget.cancelled, 1)
            await until(lambda origin=origin: not origin.open)  # type: ignore[misc]

    async def test_the_size_of_a_file_is_reserved(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            Path(root, "a.jpg").write_bytes(BODY)
            budget = FakeBudget()
            sources = SourceRegistry(reactor, SourceSettings(local_filesystem_root=root))
            fetching = sources.fetch("local:///a.jpg", None, {}, budget)
            await until(lambda: budget.waiting)
            self.assertEqual(budget.requested, [len(BODY)])
            budget.grant()
            self.assertEqual((await fetching).body, BODY)
