"""Requests that are sent at once, and what the kernel does not take of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from imgforge.sources.http.immediate_write import write_at_once
from tests.support.scripted_origin import reactor, until


class _Sink(Factory):
    """Collects what one client sends."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.closed = False

    def buildProtocol(self, addr: Any) -> Protocol:
        protocol: Any = Protocol()
        protocol.dataReceived = self.received.extend
        protocol.connectionLost = self._lost
        return protocol  # type: ignore[no-any-return]

    def _lost(self, _: Any) -> None:
        self.closed = True


class ImmediateWriteTests(TestCase):
    async def sent(self, *pieces: bytes) -> list[bool]:
        """What `write_at_once` and `write` made of *pieces*; all bytes arrive, in their order."""
        sink = _Sink()
        port: Any = reactor.listenTCP(0, sink, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        transport: Any = (await connectProtocol(endpoint, Protocol())).transport
        outcomes = [True]
        for piece in pieces:
            if outcomes[-1]:
                outcomes.append(write_at_once(transport, piece))
            else:
                transport.write(piece)
        await until(lambda: len(sink.received) >= sum(map(len, pieces)))
        self.assertEqual(bytes(sink.received), b"".join(pieces))
        transport.abortConnection()
        await until(lambda: sink.closed)
        return outcomes[1:]

    async def test_small_requests_are_sent_whole(self) -> None:
        self.assertEqual(await self.sent(b"GET /a", b"GET /b"), [True, True])

    async def test_the_rest_of_a_large_one_follows_before_the_next(self) -> None:
        self.assertEqual(await self.sent(bytes(range(256)) * 65536, b"GET /b"), [False])

    def test_a_transport_that_is_no_descriptor_writes_by_itself(self) -> None:
        """Such as that of TLS, which passes on the methods of the descriptor below it."""
        transport = StringTransport()
        self.assertFalse(write_at_once(transport, b"GET /a"))
        self.assertEqual(transport.value(), b"GET /a")
