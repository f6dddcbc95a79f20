"""Connections: how long a request may take to arrive and a response to be read, and what is too long."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import provider

from imgforge.errors import OriginFailed
from imgforge.web import Answer
from tests.support.site_case import SiteCase

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


class ArrivalTests(SiteCase):
    def test_request_line_that_trickles_in_gets_408(self) -> None:
        channel, transport = self.connect()
        for byte in b"GET /":  # 5 seconds
            self.assertEqual(transport.value(), b"")
            channel.dataReceived(bytes([byte]))
            self.clock.advance(1)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 408 "))
        self.assertTrue(transport.disconnecting)

    def test_client_that_does_not_close_after_an_error_is_cut(self) -> None:
        _, transport = self.ask(b"GET /")
        self.clock.advance(5)
        self.assertFalse(transport.aborted)
        self.clock.advance(15)
        self.assertTrue(transport.aborted)

    def test_connection_between_requests_is_not_cut(self) -> None:
        _, transport = self.ask(GET % b"/quick")
        self.clock.advance(30)
        self.assertFalse(transport.aborted)

    def test_target_and_header_that_are_too_long_get_414_and_431(self) -> None:
        _, transport = self.ask(b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 414 "))
        self.assertTrue(transport.disconnecting)
        _, transport = self.ask(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 431 "))

    def test_absolute_target_finds_its_endpoint(self) -> None:
        self.ask(GET % b"http://host/quick")
        _, transport = self.ask(GET % b"http://host/slow")
        self.assertEqual(transport.value(), b"")
        self.slow.callback(Answer(200, []))
        self.assertIn(b"200 OK", transport.value())

    def test_idle_connection_is_logged_under_twisted_webs_namespace(self) -> None:
        namespaces: list[str] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            namespaces.append(event["log_namespace"])

        observer: ILogObserver = observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        _, transport = self.ask(GET % b"/quick")
        for _ in range(2):  # twice the keep-alive: it is closed, then cut
            self.clock.advance(60)
        self.assertTrue(transport.disconnecting and transport.aborted)
        self.assertEqual(set(namespaces), {"twisted.web.http"})


class ReadingTests(SiteCase):
    """A client that reads slowly: the transport pauses the channel when its buffers are full."""

    def setUp(self) -> None:
        super().setUp()
        self.site.limits = replace(self.site.limits, write_timeout=100)

    def test_client_that_still_reads_is_not_idle(self) -> None:
        channel, transport = self.ask(GET % b"/quick")
        channel.pauseProducing()
        self.clock.pump([1] * 99)  # longer than the keep-alive of 60 s and the time to close after it
        self.assertEqual((transport.aborted, transport.disconnecting), (False, False))
        channel.resumeProducing()
        self.clock.advance(60)
        self.assertTrue(transport.disconnecting)

    def test_client_that_stops_reading_is_cut(self) -> None:
        for path in (b"/quick", b"/stream"):
            channel, transport = self.ask(GET % path)
            channel.pauseProducing()
            self.clock.advance(99)
            self.assertFalse(transport.aborted, path)
            self.clock.advance(1)
            self.assertTrue(transport.aborted, path)

    def test_each_wait_of_a_stream_has_the_whole_write_timeout(self) -> None:
        channel, transport = self.ask(GET % b"/stream")
        for _ in range(3):
            channel.pauseProducing()
            self.clock.advance(99)
            channel.resumeProducing()
        self.assertFalse(transport.aborted)

    def test_last_response_of_a_connection_has_the_write_timeout_as_well(self) -> None:
        _, transport = self.ask(b"GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertTrue(transport.disconnecting)
        self.clock.advance(100)
        self.assertTrue(transport.aborted)

    def test_stream_that_breaks_off_has_the_write_timeout_as_well(self) -> None:
        channel, transport = self.ask(GET % b"/stream")
        self.slow.errback(OriginFailed("it broke off"))
        self.assertTrue(transport.disconnecting)
        self.clock.advance(100)
        self.assertTrue(transport.aborted)
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_connection_leaves_no_delayed_call(self) -> None:
        channel, _ = self.ask(GET % b"/quick")
        channel.pauseProducing()
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.slow = Deferred(lambda stream: stream.errback(CancelledError()))
        channel, _ = self.ask(GET % b"/stream")
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
