"""Bodies are read when there is room for them; the time until then is not the origin's."""

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
from tests.support.scripted_origin import reactor, until, whole

BODY = bytes(range(256)) * 16384  # 4 MB


def endless(head: bytes, body: bytes) -> bytes:
    """An answer whose body ends with the connection."""
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + head + b"\r\n" + body


class Door:
    """Remembers what it was asked, and lets in when the test says so."""

    def __init__(self, free: int = 0) -> None:
        self.free = free
        self.asked: list[int] = []
        self.waiting: list[Deferred[None]] = []
        self.cancelled = 0

    def __call__(self, size: int) -> Deferred[None]:
        self.asked.append(size)
        if size <= self.free:
            return succeed(None)

        def cancel(_: Deferred[None]) -> None:
            self.cancelled += 1

        self.waiting.append(Deferred(cancel))
        return self.waiting[-1]

    def open(self) -> None:
        self.free = 1 << 40
        self.waiting.pop().callback(None)


class RoomTests(HttpCase):
    def begin(self, answer: bytes, door: Door, **changes: float) -> Deferred[SourceImage]:
        def speak(transport: Any) -> None:
            transport.write(answer)
            transport.loseConnection()

        return self.sources(**changes).fetch(self.origin(lambda _: speak).url(), None, {}, door)

    async def test_a_declared_length_is_asked_for_before_the_body_is_read(self) -> None:
        door = Door()
        fetching = self.begin(whole(BODY), door)
        await until(lambda: door.waiting)
        self.assertEqual(door.asked, [len(BODY)])
        door.open()
        self.assertEqual((await fetching).body, BODY)
        self.assertEqual(len(door.asked), 1)

    async def test_a_body_of_unknown_length_asks_as_it_grows(self) -> None:
        for answer in (endless(b"", BODY), endless(b"Content-Encoding: gzip\r\n", gzip.compress(BODY, 0))):
            door = Door(free=2 << 20)
            fetching = self.begin(answer, door)
            await until(lambda door=door: door.waiting)  # type: ignore[misc]
            self.assertLess(door.asked[-1], len(BODY))
            door.open()
            self.assertEqual((await fetching).body, BODY)
            self.assertGreaterEqual(door.asked[-1], len(BODY))
            self.assertLess(len(door.asked), 8)

    async def test_without_room_the_connection_is_not_read_from(self) -> None:
        large = endless(b"", BODY * 16)  # more than the kernel's buffers take

        def speak(transport: Any) -> None:
            transport.write(large)
            transport.loseConnection()

        slow, door = self.origin(lambda _: speak), Door()
        fetching = self.sources().fetch(slow.url(), None, {}, door)
        await until(lambda: door.waiting)
        for _ in range(4000):  # turns in which all of it could be read: 64 kB each
            await deferLater(reactor, 0)
        self.assertEqual((len(slow.open), len(door.asked)), (1, 1))
        door.open()
        self.assertEqual(len((await fetching).body), len(BODY) * 16)

    async def test_the_wait_for_room_is_not_the_origins_time(self) -> None:
        for answer in (whole(BODY), endless(b"", BODY)):
            door = Door()
            fetching = self.begin(answer, door, download_timeout=0.3)
            await until(lambda door=door: door.waiting)  # type: ignore[misc]
            await deferLater(reactor, 0.6)
            door.open()
            self.assertEqual((await fetching).body, BODY)

    async def test_the_origins_own_time_goes_on_after_the_wait(self) -> None:
        door = Door()
        origin = self.origin(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        fetching = self.sources(download_timeout=0.3).fetch(origin.url(), None, {}, door)
        await until(lambda: door.waiting)
        door.open()
        with self.assertRaises(OriginTimeout):
            await fetching

    async def test_who_gives_up_leaves_neither_connection_nor_claim(self) -> None:
        for answer in (whole(BODY), endless(b"", BODY)):
            door = Door()
            origin = self.origin(answer)
            fetching = self.sources().fetch(origin.url(), None, {}, door)
            await until(lambda door=door: door.waiting)  # type: ignore[misc]
            fetching.cancel()
            with self.assertRaises(CancelledError):
                await fetching
            self.assertEqual(door.cancelled, 1)
            await until(lambda origin=origin: not origin.open)  # type: ignore[misc]

    async def test_a_file_asks_for_its_size(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            Path(root, "a.jpg").write_bytes(BODY)
            door = Door()
            sources = SourceRegistry(reactor, SourceSettings(local_filesystem_root=root))
            fetching = sources.fetch("local:///a.jpg", None, {}, door)
            await until(lambda: door.waiting)
            self.assertEqual(door.asked, [len(BODY)])
            door.open()
            self.assertEqual((await fetching).body, BODY)
