"""HTTP/2 with servers that others wrote, over TLS, by ALPN."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import skipUnless

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from imgforge.sources.http.http2_connection import Http2Connection
from imgforge.sources.http.origin_connection import NotSent
from tests.support.http2_origin import Answer, Reader
from tests.support.http2_servers import HypercornOrigin, NginxOrigin, SubprocessOrigin, content
from tests.support.scripted_origin import reactor, until

MIB = 1024 * 1024


class CountingConnection(Http2Connection):
    received = 0

    def __init__(self) -> None:
        super().__init__(reactor)
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionError())) -> None:  # noqa: B008
        super().connectionLost(reason)
        self.lost.callback(None)


async def connect(port: int, certificate: bytes, offered: Sequence[bytes] = (b"h2", b"http/1.1")) -> CountingConnection:
    options = optionsForClientTLS("localhost", trustRoot=Certificate.loadPEM(certificate), acceptableProtocols=offered)
    endpoint = wrapClientTLS(options, TCP4ClientEndpoint(reactor, "127.0.0.1", port))
    connection: CountingConnection = await endpoint.connect(Factory.forProtocol(CountingConnection))  # type: ignore[assignment]
    return connection


class ServerCase(TestCase):
    """One server for all tests of a class, and a connection for each."""

    timeout = 120
    kind: type[SubprocessOrigin]
    origin: SubprocessOrigin
    connection: CountingConnection

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.origin = cls.kind(scratch.name)
        cls.addClassCleanup(cls.origin.stop)

    async def setUp(self) -> None:  # type: ignore[override]
        self.connection = await connect(self.origin.port, self.origin.certificate)
        self.addCleanup(self._close)

    def _close(self) -> Deferred[None]:
        self.connection.abort()
        return self.connection.lost

    def get(self, target: bytes, paused: bool = False) -> tuple[Answer, Any]:
        reader = Reader(paused)
        return Answer(self.connection.send(b"localhost", target, [(b"User-Agent", b"imgforge")]), reader), reader


class HypercornTests(ServerCase):
    kind = HypercornOrigin

    async def test_the_target_arrives_byte_for_byte(self) -> None:
        target = b"/5/a%2fb//c/../d?sig=%7E%2B+x&y=%41"
        answer, reader = self.get(target)
        await reader.done
        transport: Any = self.connection.transport
        self.assertEqual(transport.negotiatedProtocol, b"h2")
        headers = answer.response.headers
        self.assertEqual(headers.getRawHeaders(b"x-target"), [target])
        self.assertEqual(headers.getRawHeaders(b"x-version"), [b"2"])

    async def test_64_bodies_at_once_over_one_connection(self) -> None:
        readers = [self.get(f"/{MIB}/{number}".encode())[1] for number in range(64)]
        self.assertEqual((self.connection.free, self.connection.active), (0, 64))
        bodies = await gatherResults([reader.done for reader in readers])
        for number, body in enumerate(bodies):
            self.assertEqual(body, content(str(number), MIB))
        self.assertEqual((self.connection.free, self.connection.active), (64, 0))

    async def test_bodies_larger_than_all_windows(self) -> None:
        readers = [self.get(f"/{32 * MIB}/{number}".encode())[1] for number in range(5)]
        bodies = await gatherResults([reader.done for reader in readers])
        self.assertEqual([len(body) for body in bodies], [32 * MIB] * 5)

    async def test_readers_that_pause_bound_what_is_received(self) -> None:
        """16 readers pause: 1 MiB comes for each of their 8 MiB; another reader is served meanwhile."""
        paused = [self.get(f"/{8 * MIB}/{number}".encode(), paused=True)[1] for number in range(16)]
        await until(lambda: self.connection.received >= 16 * MIB)
        body = await self.get(f"/{4 * MIB}/other".encode())[1].done
        self.assertEqual(body, content("other", 4 * MIB))
        self.assertLess(self.connection.received, 20.5 * MIB)
        self.assertEqual([reader.received for reader in paused], [b""] * 16)
        for reader in paused:
            reader.control.resumeProducing()
        bodies = await gatherResults([reader.done for reader in paused])
        self.assertEqual(bodies, [content(str(number), 8 * MIB) for number in range(16)])

    async def test_responses_that_are_given_up_leave_the_connection(self) -> None:
        for number in range(40):
            _, reader = self.get(f"/{8 * MIB}/{number}".encode())
            reader.on_data = lambda reader=reader: reader.control.loseConnection()
            await until(partial(getattr, reader, "end"))
        self.assertEqual(await self.get(b"/1000/other")[1].done, content("other", 1000))
        self.assertEqual(self.connection.active, 0)

    async def test_an_orderly_end(self) -> None:
        _, reader = self.get(b"/1000/a")
        self.connection.close()
        await reader.done
        await self.connection.lost
        self.assertTrue(self.connection.closed)


@skipUnless(NginxOrigin.program, "nginx is not installed")
class NginxTests(ServerCase):
    kind = NginxOrigin

    async def test_the_target_arrives_byte_for_byte(self) -> None:
        target = b"/target/a%2fb//c/../d?sig=%7E%2B+x&y=%41"
        answer, reader = self.get(target)
        self.assertEqual(await reader.done, b"")
        self.assertEqual((answer.response.code, answer.response.length), (204, 0))
        self.assertEqual(answer.response.headers.getRawHeaders(b"x-target"), [target])

    async def test_as_many_streams_as_it_allows(self) -> None:
        for number in range(8):
            Path(self.origin.scratch, "files", str(number)).write_bytes(content(str(number), 3 * MIB))
        await self.get(b"/0")[1].done
        self.assertEqual(self.connection.free, 8)
        readers = [self.get(b"/%d" % number)[1] for number in range(8)]
        self.assertEqual(self.connection.free, 0)
        bodies = await gatherResults([reader.done for reader in readers])
        self.assertEqual(bodies, [content(str(number), 3 * MIB) for number in range(8)])
        self.assertEqual((self.connection.free, self.connection.active), (8, 0))

    async def test_goaway_after_100_requests(self) -> None:
        Path(self.origin.scratch, "files", "small").write_bytes(b"image")
        answers = []
        while self.connection.free:
            answers.append(self.get(b"/small")[0])
            if len(answers) % 3 == 0:
                await until(lambda: answers[-1].error)
        await self.connection.lost
        self.assertEqual(self.connection.active, 0)
        finished = [answer for answer in answers if answer.failure is None]
        self.assertGreaterEqual(len(finished), 99)
        self.assertEqual({answer.reader.received for answer in finished if answer.reader}, {b"image"})
        for answer in answers[len(finished) :]:
            self.assertIsInstance(answer.error, NotSent)
