"""Every name of Twisted that may go away with a release of it: that it exists, and does what imgforge needs of it."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

from twisted.internet import abstract
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.task import Clock
from twisted.internet.testing import AccumulatingProtocol, MemoryReactorClock, StringTransport
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI, Agent
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer
from zope.interface.verify import verifyObject

import imgforge
from imgforge.twisted_compat import (
    EPOLL_GROUP,
    RELIED_ON,
    GAIResolver,
    HTTPClientParser,
    OriginConnectionPool,
    OriginProtocol,
    ParseError,
    missing_names,
)

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class NamesTests(SynchronousTestCase):
    def test_all_names_exist(self) -> None:
        self.assertEqual([str(row) for row in RELIED_ON if not hasattr(row.owner, row.name)], [])

    def test_each_row_says_why_it_is_needed_and_what_would_replace_it(self) -> None:
        for row in RELIED_ON:
            self.assertTrue(row.why.endswith("."))
            self.assertTrue(row.public_hook.endswith("."))

    def test_no_other_module_imports_private_names_of_twisted(self) -> None:
        imports = r"from twisted[\w.]*\._\w", r"from twisted[\w.]* import (.*, )?_[a-z]", r"import twisted[\w.]*\._\w"
        private = re.compile(rf"^\s*({'|'.join(imports)})", re.MULTILINE)
        package = Path(imgforge.__file__).parent
        offenders = [path for path in package.rglob("*.py") if private.search(path.read_text("utf-8"))]
        self.assertEqual([path.name for path in offenders if not path.name.startswith("twisted_compat")], [])

    def test_missing_name_is_reported_with_its_module(self) -> None:
        self.addCleanup(setattr, abstract.FileDescriptor, "bufferSize", abstract.FileDescriptor.bufferSize)
        del abstract.FileDescriptor.bufferSize
        self.assertEqual(missing_names(EPOLL_GROUP), ("twisted.internet.abstract.FileDescriptor.bufferSize",))


class FileDescriptorTests(SynchronousTestCase):
    def test_writing_is_asked_for_with_the_first_byte_and_ended_with_the_last(self) -> None:
        asked: list[str] = []

        class Descriptor(abstract.FileDescriptor):
            connected = 1

            def startWriting(self) -> None:
                asked.append("start")

            def stopWriting(self) -> None:
                asked.append("stop")

            def writeSomeData(self, data: bytes) -> int:
                return min(len(data), 3)

        reactor: Any = MemoryReactorClock()
        descriptor = Descriptor(reactor)
        descriptor.writeSequence([b"four"])
        self.assertEqual(asked, ["start"])
        descriptor.doWrite()
        self.assertEqual(asked, ["start"])
        descriptor.doWrite()
        self.assertEqual(asked, ["start", "stop"])


class Recording(OriginProtocol):
    """Notes what happens to each response."""

    def __init__(self, quiescent: Any) -> None:
        super().__init__(quiescent)
        self.seen: list[object] = []

    def response_begins(self, parser: HTTPClientParser, request: Any) -> None:
        self.seen.append((parser.state, request.uri))
        received, headers_received, finisher = parser.dataReceived, parser.allHeadersReceived, parser.finisher

        def data(data: bytes) -> None:
            received(data)
            if data == b"bad":
                raise ParseError("bad", data)

        def headers() -> None:
            self.seen.append(parser.connHeaders.getRawHeaders(b"content-length"))
            headers_received()

        def finished(rest: bytes) -> None:
            self.seen.append((parser.state, rest))
            if rest:
                request.persistent = False
            finisher(rest)

        replaced: Any = parser
        replaced.dataReceived, replaced.allHeadersReceived, replaced.finisher = data, headers, finished


@implementer(IAgentEndpointFactory)
class OriginTests(SynchronousTestCase):
    """A request of an agent, over a pool that makes connections of our class."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.pool = OriginConnectionPool(self.reactor, True, Recording)
        self.connections: list[tuple[Recording, StringTransport]] = []

    def ask(self) -> Any:
        asking = Agent.usingEndpointFactory(self.reactor, self, self.pool).request(b"GET", b"http://origin.test/a")
        if len(self.reactor.tcpClients) > len(self.connections):
            protocol = self.reactor.tcpClients[-1][2].buildProtocol(None)
            transport = StringTransport()
            protocol.makeConnection(transport)
            self.connections.append((protocol._wrappedProtocol, transport))
        return asking

    def endpointForURI(self, uri: URI) -> TCP4ClientEndpoint:
        """See `IAgentEndpointFactory`."""
        return TCP4ClientEndpoint(self.reactor, "192.0.2.1", uri.port)

    def body(self, asking: Any) -> bytes:
        reader = AccumulatingProtocol()
        self.successResultOf(asking).deliverBody(reader)
        return bytes(reader.data)

    def test_hooks_see_the_head_and_the_end_of_each_response(self) -> None:
        for _ in range(2):
            asking = self.ask()
            self.connections[0][0].dataReceived(RESPONSE)
            self.assertEqual(self.body(asking), b"ok")
        ((protocol, _),) = self.connections
        self.assertEqual(protocol.seen, [("STATUS", b"/a"), [b"2"], ("DONE", b"")] * 2)

    def test_connection_that_may_not_persist_is_closed(self) -> None:
        asking = self.ask()
        ((protocol, transport),) = self.connections
        protocol.dataReceived(RESPONSE + b"HTTP/1.1 200 OK\r\n")
        self.assertEqual(self.body(asking), b"ok")
        self.assertEqual(protocol.seen[-1], ("DONE", b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(transport.disconnecting)

    def test_parse_error_ends_the_connection_and_fails_the_request(self) -> None:
        asking = self.ask()
        ((protocol, transport),) = self.connections
        protocol.dataReceived(b"bad")
        (reason,) = self.failureResultOf(asking).value.reasons
        reason.trap(ParseError)
        self.assertTrue(transport.disconnecting)


class ResolverTests(SynchronousTestCase):
    def test_names_are_looked_up_on_the_pool_that_it_is_given(self) -> None:
        class Inline(ThreadPool):
            def callInThreadWithCallback(self, onResult: Any, func: Any, *args: Any, **kw: Any) -> None:
                onResult(True, func(*args, **kw))

        class Receiver:
            def __init__(self) -> None:
                self.heard: list[object] = []

            def resolutionBegan(self, resolution: object) -> None:
                self.heard.append("began")

            def addressResolved(self, address: Any) -> None:
                self.heard.append((address.host, address.port))

            def resolutionComplete(self) -> None:
                self.heard.append("complete")

        class Threads(Clock):
            def callFromThread(self, call: Any, *args: Any) -> None:
                call(*args)

        def look_up(*_: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]

        pool, reactor, receiver = Inline(0, 1), Threads(), Receiver()
        resolver = GAIResolver(reactor, lambda: pool, look_up)  # type: ignore[arg-type]
        verifyObject(IHostnameResolver, resolver)
        resolver.resolveHostName(receiver, "example.test", 80)  # type: ignore[arg-type]
        self.assertEqual(receiver.heard, ["began", ("192.0.2.1", 80), "complete"])
