"""Connections in an epoll group: answered, paused and ended as those that the reactor reads from."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import replace
from threading import Event
from typing import Any

from twisted.internet import abstract, reactor, tcp
from twisted.internet.defer import ensureDeferred, maybeDeferred
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from imgforge.config import parse_bind
from imgforge.service.net import adopt, epoll_group_usable, open_listeners
from imgforge.service.net.epoll_group import EpollGroup, GroupedServer
from imgforge.web import Offer
from tests.support.fast_lane_case import BODY, ENTRY, Site, request
from tests.support.server_reactor import server_reactor


class EpollGroupTests(TestCase):
    """A site with a fast lane behind a real listener."""

    def setUp(self) -> None:
        (listener,) = open_listeners(parse_bind("127.0.0.1:0"))
        self.addCleanup(listener.socket.close)
        self.address = listener.socket.getsockname()
        self.site = Site(with_fast_lane=True)
        inherited = socket.socket(fileno=os.dup(listener.socket.fileno()))
        self.addCleanup(inherited.close)
        # Not over the wire: connections are counted below.
        self.site.warm(b"/image")
        self.site.site.connections.clear()
        port: Any = adopt(server_reactor, replace(listener, socket=inherited), self.site.site, grouped=True)
        self.addCleanup(maybeDeferred, port.stopListening)
        self.addCleanup(lambda: ensureDeferred(self.abort_all()))

    async def abort_all(self) -> None:
        for channel in list(self.site.site.connections):
            channel.transport.abortConnection()  # type: ignore[union-attr]
        await self.until_closed(0)

    def connect(self) -> socket.socket:
        client = socket.create_connection(self.address)
        client.setblocking(False)
        self.addCleanup(client.close)
        return client

    async def receive(self, client: socket.socket, answers: int) -> bytes:
        """What *client* receives until it has so many images."""
        total = b""
        while total.count(BODY) < answers:
            try:
                received = client.recv(1 << 20)
            except BlockingIOError:
                await deferLater(reactor, 0)
            else:
                self.assertNotEqual(received, b"")
                total += received
        return total

    async def until_closed(self, count: int) -> None:
        while len(self.site.site.connections) > count:
            await deferLater(reactor, 0)

    async def test_hits_and_other_requests_share_a_connection(self) -> None:
        client = self.connect()
        for sent in (request(), request(), request(b"/image", b"X-Unreceived-Of: 1"), request()):
            client.send(sent)
            await self.receive(client, 1)
        self.assertEqual((self.site.by_twisted, self.site.hits), (1, 3))
        (channel,) = self.site.site.connections
        self.assertIsInstance(channel.transport, GroupedServer)

    async def test_pipelined_requests_are_answered_in_order(self) -> None:
        client = self.connect()
        client.send(request() * 20 + request(b"/elsewhere"))
        received = await self.receive(client, 20)
        while not received.endswith(b"nothing\n"):
            try:
                received += client.recv(1 << 20)
            except BlockingIOError:
                await deferLater(reactor, 0)

    async def test_timers_and_threads_have_their_turn_while_hits_come_without_a_pause(self) -> None:
        client = self.connect()
        client.setblocking(True)
        turns: list[str] = []
        ended = Event()

        def ask_on() -> None:
            reactor.callFromThread(turns.append, "of a thread")  # type: ignore[attr-defined]
            while not ended.is_set():
                client.send(request())
                received = b""
                while BODY not in received:
                    received += client.recv(1 << 20)

        asking = deferToThread(ask_on)
        while self.site.hits < 100:
            await deferLater(reactor, 0.01)
        ended.set()
        await asking
        self.assertEqual(turns, ["of a thread"])

    async def test_client_that_stops_reading_is_paused_and_gets_everything_later(self) -> None:
        big, lane = os.urandom(3_000_001), self.site.fast_lane
        assert lane is not None
        self.site.tier.put(b"big", ENTRY)
        lane.offer(b"/big", b"", Offer(b"big", float("inf"), False), [], big)
        client = self.connect()
        client.send(request())
        await self.receive(client, 1)
        (channel,) = self.site.site.connections
        transport: Any = channel.transport
        asked = 0
        while not transport.writing:
            before = self.site.hits
            client.send(request(b"/big"))
            asked += 1
            while self.site.hits == before:
                await deferLater(reactor, 0)
            await deferLater(reactor, 0)
        client.send(request(b"/elsewhere"))
        for _ in range(50):
            await deferLater(reactor, 0)
        self.assertEqual(self.site.log.lines, [])  # it has not been read
        received = b""
        while not received.endswith(b"nothing\n"):
            try:
                received += client.recv(1 << 20)
            except BlockingIOError:
                await deferLater(reactor, 0)
        self.assertEqual(received.count(big), asked)

    async def test_what_a_socket_does_not_take_at_once_follows_in_order(self) -> None:
        client = self.connect()
        client.send(request())
        await self.receive(client, 1)
        (channel,) = self.site.site.connections
        transport: Any = channel.transport
        parts = [os.urandom(3_000_001) for _ in range(4)]
        for part in parts:
            transport.writeSequence([part[:10], part[10:]])
        self.assertTrue(transport.writing)
        received = b""
        while len(received) < sum(map(len, parts)):
            try:
                received += client.recv(1 << 20)
            except BlockingIOError:
                await deferLater(reactor, 0)
        self.assertEqual(received, b"".join(parts))
        self.assertFalse(transport.writing)

    async def test_closed_connections_are_noticed(self) -> None:
        clients = [self.connect() for _ in range(3)]
        for client in clients:
            client.send(request())
            await self.receive(client, 1)
        clients[0].close()
        clients[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, that is
        clients[1].close()
        await self.until_closed(1)
        clients[2].send(request())
        clients[2].shutdown(socket.SHUT_WR)
        await self.receive(clients[2], 1)
        await self.until_closed(0)

    async def test_error_of_a_protocol_closes_its_connection_only(self) -> None:
        good, bad = self.connect(), self.connect()
        for client in (good, bad):
            client.send(request())
            await self.receive(client, 1)
        address = bad.getsockname()[1]
        for channel in self.site.site.connections:
            transport: Any = channel.transport
            if transport.getPeer().port == address:
                channel.take = None  # type: ignore[assignment, method-assign]
        bad.send(b"anything")
        await self.until_closed(1)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        good.send(request())
        await self.receive(good, 1)


class UnavailableTests(SynchronousTestCase):
    def test_with_a_missing_name_the_group_is_off_and_one_line_says_so(self) -> None:
        self.assertTrue(epoll_group_usable(server_reactor))
        self.addCleanup(setattr, abstract.FileDescriptor, "bufferSize", abstract.FileDescriptor.bufferSize)
        del abstract.FileDescriptor.bufferSize
        with capturedLogs() as events:
            self.assertFalse(epoll_group_usable(server_reactor))
        (event,) = events
        self.assertIn("the epoll group is off", formatEvent(event))
        self.assertIn("twisted.internet.abstract.FileDescriptor.bufferSize", formatEvent(event))

    def test_with_another_reactor_the_group_is_off(self) -> None:
        other: Any = SelectReactor()
        with capturedLogs() as events:
            self.assertFalse(epoll_group_usable(other))
        self.assertIn("because SelectReactor waits otherwise", formatEvent(events[0]))

    def test_reactor_has_one_group(self) -> None:
        self.assertIs(EpollGroup.of(server_reactor), EpollGroup.of(server_reactor))

    def test_switched_off_a_listener_is_a_port_of_the_reactor(self) -> None:
        (listener,) = open_listeners(parse_bind("127.0.0.1:0"))
        self.addCleanup(listener.socket.close)
        port: Any = adopt(server_reactor, listener, Site(with_fast_lane=True).site)
        self.addCleanup(port.stopListening)
        self.assertIs(type(port), tcp.Port)
        self.assertIs(port.transport, tcp.Server)
