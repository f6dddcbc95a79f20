"""Connections go to the process with the fewest, and never wait for a process that does not accept."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from imgforge.config import parse_bind
from imgforge.service.net import balance
from imgforge.service.net.balance import ConnectionCounts, WorkerShare
from imgforge.service.net.listeners import adopt, open_listeners
from tests.support.server_reactor import server_reactor


class Greeter(Protocol):
    """Sends the name of its process to each client."""

    factory: Any

    def connectionMade(self) -> None:
        if self.transport is not None:
            self.transport.write(self.factory.greeting)


class WorkerShareTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counts = ConnectionCounts(3)
        self.first, self.second = self.counts.share(0), self.counts.share(1)
        self.first.set_accepting(True)

    def tearDown(self) -> None:
        self.counts.close()

    def test_process_without_others_takes_the_most(self) -> None:
        self.first.add(50)
        self.assertEqual(self.first.allowance, 100)

    def test_allowance_is_one_more_than_the_fewest(self) -> None:
        self.second.set_accepting(True)
        self.second.add(3)
        self.assertEqual((self.first.allowance, self.second.allowance), (4, -2))

    def test_of_many_connections_a_sixteenth_more_is_allowed(self) -> None:
        self.second.set_accepting(True)
        self.second.add(320)
        self.first.add(330)
        self.assertEqual(self.first.allowance, 11)

    def test_process_that_stops_accepting_does_not_count(self) -> None:
        self.second.set_accepting(True)
        self.first.add(5)
        self.second.set_accepting(False)
        self.second.add(-1)
        self.assertEqual(self.first.allowance, 100)

    def test_process_that_has_ended_does_not_count(self) -> None:
        self.second.set_accepting(True)
        self.first.add(5)
        self.counts.leave(1)
        self.assertEqual(self.first.allowance, 100)

    def test_memory_is_shared_through_its_descriptor(self) -> None:
        inherited = ConnectionCounts(3, os.dup(self.counts.descriptor))
        self.addCleanup(inherited.close)
        inherited.share(2).set_accepting(True)
        self.first.add(1)
        self.assertEqual(self.first.allowance, 0)


class PortsTests(TestCase):
    """Two ports on one socket, as in two worker processes."""

    bind = "127.0.0.1:0"

    def setUp(self) -> None:
        (self.listener,) = open_listeners(parse_bind(self.bind))
        self.addCleanup(self.listener.socket.close)
        self.counts = ConnectionCounts(2)
        self.addCleanup(self.counts.close)
        self.clients: list[socket.socket] = []
        self.shares: list[WorkerShare] = []

    def serve(self, greeting: bytes) -> None:
        factory: Any = Factory.forProtocol(Greeter)
        factory.greeting = greeting
        inherited = socket.socket(fileno=os.dup(self.listener.socket.fileno()))
        self.addCleanup(inherited.close)
        share = self.counts.share(len(self.shares))
        self.shares.append(share)
        port = adopt(server_reactor, replace(self.listener, socket=inherited), factory, share)
        self.addCleanup(maybeDeferred, port.stopListening)

    def connect(self, count: int) -> None:
        for _ in range(count):
            client = socket.socket(self.listener.socket.family)
            client.connect(self.listener.socket.getsockname())
            client.setblocking(False)
            self.clients.append(client)
            self.addCleanup(client.close)

    async def greetings(self) -> list[bytes]:
        """What every client receives; without it the test times out."""
        received: list[bytes] = []
        for client in self.clients:
            while True:
                try:
                    received.append(client.recv(1))
                    break
                except BlockingIOError:
                    turn: Deferred[None] = deferLater(reactor, 0)
                    await turn
        return received

    async def test_burst_is_shared_evenly(self) -> None:
        self.serve(b"1")
        self.serve(b"2")
        self.connect(16)
        received = await self.greetings()
        self.assertEqual((received.count(b"1"), received.count(b"2")), (8, 8))

    async def test_process_with_the_fewest_connections_gets_the_next(self) -> None:
        self.serve(b"1")
        self.serve(b"2")
        self.connect(8)
        for client, greeting in zip(self.clients, await self.greetings(), strict=True):
            if greeting == b"1":
                client.close()
        self.clients.clear()
        while self.shares[1].allowance > -3:  # until the first has none left beside its four
            await deferLater(reactor, 0)
        self.connect(4)
        self.assertEqual(await self.greetings(), [b"1"] * 4)

    async def test_end_of_a_connection_ends_the_pause(self) -> None:
        self.patch(balance, "_PAUSE", 3600.0)
        self.serve(b"1")
        self.counts.share(1).set_accepting(True)  # and never takes one
        self.connect(1)
        self.assertEqual(await self.greetings(), [b"1"])
        self.connect(1)
        while all(call.getTime() < reactor.seconds() + 1800 for call in reactor.getDelayedCalls()):  # the first pauses
            await deferLater(reactor, 0)
        self.clients.pop(0).close()
        self.assertEqual(await self.greetings(), [b"1"])

    async def test_no_connection_waits_for_a_process_that_hangs(self) -> None:
        self.serve(b"1")
        self.counts.share(1).set_accepting(True)  # and never takes one
        self.connect(4)
        self.assertEqual(await self.greetings(), [b"1"] * 4)


class UnixPortsTests(PortsTests):
    """The same on a unix socket."""

    def setUp(self) -> None:
        scratch = TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.bind = f"unix:{scratch.name}/imgforge.sock"
        super().setUp()
