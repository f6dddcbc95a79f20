"""Listening sockets: opened by their addresses, shared by processes, and removed without a trace."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from imgforge.config import parse_bind
from imgforge.service.net.listeners import Listener, ListenError, accept_waiting, adopt, open_listeners
from tests.support.server_reactor import server_reactor


def backlog(path: str) -> int:
    """The number of connections that may wait on a unix socket, found by making them."""
    waiting: list[socket.socket] = []
    try:
        while True:
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            waiting.append(client)
            client.connect(path)
    except BlockingIOError:
        return len(waiting) - 2  # the kernel takes one more than the backlog, and the last one was not connected
    finally:
        for client in waiting:
            client.close()


class ListenersCase(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = f"{scratch.name}/imgforge.sock"

    def open(self, text: str) -> tuple[Listener, ...]:
        listeners = open_listeners(parse_bind(text))
        for listener in listeners:
            self.addCleanup(listener.socket.close)
        return listeners

    def error(self, text: str) -> str:
        with self.assertRaises(ListenError) as caught:
            self.open(text)
        return str(caught.exception)


class OpeningTests(ListenersCase):
    def test_port_takes_connections_before_a_process_accepts(self) -> None:
        (listener,) = self.open("127.0.0.1:0")
        with socket.create_connection(listener.socket.getsockname(), 5) as client:
            self.assertEqual(client.getpeername(), listener.socket.getsockname())
        self.assertTrue(listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertFalse(listener.socket.getblocking())

    def test_ipv6(self) -> None:
        (listener,) = self.open("[::1]:0")
        self.assertEqual((listener.socket.family, listener.socket.getsockname()[0]), (socket.AF_INET6, "::1"))

    def test_backlog_is_the_endpoints(self) -> None:
        self.open(f"unix:{self.path}:backlog=7")
        self.assertEqual(backlog(self.path), 7)

    def test_port_in_use_is_one_line_with_its_holder(self) -> None:
        (taken,) = self.open("127.0.0.1:0")
        port = taken.socket.getsockname()[1]
        holder = f"pid {os.getpid()} ({Path('/proc/self/comm').read_text().strip()})"
        self.assertEqual(
            self.error(f"127.0.0.1:{port}"),
            f"cannot listen on http://127.0.0.1:{port}: port {port} is in use by {holder}",
        )

    def test_unknown_host_is_reported_as_such(self) -> None:
        self.assertIn("http://no.such.host.invalid:80: no such host", self.error("no.such.host.invalid:80"))

    def test_when_one_address_fails_the_others_are_closed(self) -> None:
        (taken,) = self.open("127.0.0.1:0")
        self.error(f"unix:{self.path},127.0.0.1:{taken.socket.getsockname()[1]}")
        self.assertFalse(os.path.exists(self.path))

    def test_missing_tls_file_is_an_error(self) -> None:
        self.assertIn("privateKey=/nowhere.pem", self.error("ssl:0:interface=127.0.0.1:privateKey=/nowhere.pem"))

    def test_systemd_address_needs_sockets_from_systemd(self) -> None:
        self.assertIn("systemd passed no sockets", self.error("systemd:domain=INET:index=0"))


class UnixFileTests(ListenersCase):
    def test_mode_is_the_endpoints(self) -> None:
        self.open(f"unix:{self.path}:mode=600")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_stale_socket_file_is_replaced(self) -> None:
        (crashed,) = self.open(f"unix:{self.path}")
        crashed.socket.close()
        self.open(f"unix:{self.path}")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)

    def test_socket_in_use_is_left_alone(self) -> None:
        self.open(f"unix:{self.path}")
        self.assertIn(f"the address is in use by pid {os.getpid()} (", self.error(f"unix:{self.path}"))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)

    def test_other_files_are_never_removed(self) -> None:
        Path(self.path).write_text("precious")
        self.error(f"unix:{self.path}")
        self.assertEqual(Path(self.path).read_text(), "precious")

    def test_removing_twice_is_harmless(self) -> None:
        (listener,) = self.open(f"unix:{self.path}")
        listener.socket.close()
        listener.remove()
        listener.remove()
        self.assertFalse(os.path.exists(self.path))


class Greeter(Protocol):
    """Sends the name of its port to each client."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        factory: Any = self.factory
        transport.write(factory.greeting)
        transport.loseConnection()


class Client(Protocol):
    """Collects what it receives until the end."""

    def __init__(self) -> None:
        self.received = b""
        self.ended: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: object = None) -> None:
        self.ended.callback(self.received)


class SharedUnixSocketTests(TestCase):
    """Two ports on one unix socket, as in two worker processes."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = f"{scratch.name}/imgforge.sock"
        (self.listener,) = open_listeners(parse_bind(f"unix:{self.path}:mode=600:backlog=9"))
        self.addCleanup(self.listener.socket.close)

    def serve(self, greeting: bytes) -> IListeningPort:
        """A port on the socket as a worker inherits it: as a descriptor."""
        factory: Any = Factory.forProtocol(Greeter)
        factory.greeting = greeting
        inherited = socket.socket(fileno=os.dup(self.listener.socket.fileno()))
        self.addCleanup(inherited.close)
        return adopt(server_reactor, replace(self.listener, socket=inherited), factory)

    async def greeting(self) -> bytes:
        client: Client = await connectProtocol(UNIXClientEndpoint(reactor, self.path), Client())
        return await client.ended

    async def test_port_that_stops_leaves_the_socket_to_the_other(self) -> None:
        first, second = self.serve(b"first"), self.serve(b"second")
        self.assertIn(await self.greeting(), {b"first", b"second"})
        await maybeDeferred(first.stopListening)
        self.assertEqual([await self.greeting() for _ in range(3)], [b"second"] * 3)
        await maybeDeferred(second.stopListening)
        self.assertTrue(os.path.exists(self.path))

    async def test_accepting_never_blocks(self) -> None:
        port = self.serve(b"x")
        blocking = os.get_blocking(self.listener.socket.fileno())
        await maybeDeferred(port.stopListening)
        self.assertFalse(blocking)

    async def test_mode_and_backlog_stay_as_they_were(self) -> None:
        port = self.serve(b"x")
        mode, waiting = stat.S_IMODE(os.stat(self.path).st_mode), backlog(self.path)
        await maybeDeferred(port.stopListening)
        self.assertEqual((mode, waiting), (0o600, 9))


class AcceptWaitingTests(TestCase):
    """A listener that closes resets connections that are not accepted: they are accepted first."""

    async def test_connections_made_before_the_close_are_answered(self) -> None:
        (listener,) = open_listeners(parse_bind("127.0.0.1:0"), reuse_port=True)
        factory: Any = Factory.forProtocol(Greeter)
        factory.greeting = b"at last"
        port = adopt(server_reactor, listener, factory)
        await maybeDeferred(port.stopListening)
        clients = [socket.create_connection(listener.socket.getsockname()) for _ in range(3)]
        accept_waiting(server_reactor, listener, port)
        listener.socket.close()
        for client in clients:
            with client:
                self.assertEqual(await deferToThread(client.recv, 100), b"at last")
