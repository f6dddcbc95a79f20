"""Connections: how long a request may take to arrive, what is too long, and the end of the server."""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import provider

from imgforge.errors import BadSignature, NotAnImage, OriginFailed, Overloaded, SourceNotFound, Unreadable
from imgforge.observability import bind_request_id, current_request_id
from imgforge.web import Answer
from imgforge.web.server import Server, _logged
from tests.support.site_case import SiteCase

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


class ArrivalTests(SiteCase):
    def test_a_first_line_that_trickles_in_is_cut(self) -> None:
        channel, transport = self.connect()
        for byte in b"GET /":  # 5 seconds
            self.assertEqual(transport.value(), b"")
            channel.dataReceived(bytes([byte]))
            self.clock.advance(1)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 408 "))
        self.assertTrue(transport.disconnecting)

    def test_who_does_not_read_the_refusal_is_cut(self) -> None:
        _, transport = self.ask(b"GET /")
        self.clock.advance(5)
        self.assertFalse(transport.aborted)
        self.clock.advance(15)
        self.assertTrue(transport.aborted)

    def test_a_connection_between_requests_is_not_cut(self) -> None:
        _, transport = self.ask(GET % b"/quick")
        self.clock.advance(30)
        self.assertFalse(transport.aborted)

    def test_what_is_too_long_is_told_so(self) -> None:
        _, transport = self.ask(b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 414 "))
        self.assertTrue(transport.disconnecting)
        _, transport = self.ask(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 431 "))

    def test_an_absolute_target_finds_its_endpoint(self) -> None:
        self.ask(GET % b"http://host/quick")
        _, transport = self.ask(GET % b"http://host/slow")
        self.assertEqual(transport.value(), b"")
        self.slow.callback(Answer(200, []))
        self.assertIn(b"200 OK", transport.value())

    def test_its_end_is_twisteds_to_tell_of_and_not_ours(self) -> None:
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
    """Who is sent more than the buffers hold; the transport then says so to the channel."""

    def setUp(self) -> None:
        super().setUp()
        self.site.limits = replace(self.site.limits, write_timeout=100)

    def test_who_still_reads_is_not_idle(self) -> None:
        channel, transport = self.ask(GET % b"/quick")
        channel.pauseProducing()
        self.clock.pump([1] * 99)  # beyond the keep-alive's 60, and what is given to who does not close then
        self.assertEqual((transport.aborted, transport.disconnecting), (False, False))
        channel.resumeProducing()
        self.clock.advance(60)
        self.assertTrue(transport.disconnecting)

    def test_who_does_not_read_is_cut(self) -> None:
        for path in (b"/quick", b"/stream"):
            channel, transport = self.ask(GET % path)
            channel.pauseProducing()
            self.clock.advance(99)
            self.assertFalse(transport.aborted, path)
            self.clock.advance(1)
            self.assertTrue(transport.aborted, path)

    def test_each_wait_of_a_stream_has_its_time(self) -> None:
        channel, transport = self.ask(GET % b"/stream")
        for _ in range(3):
            channel.pauseProducing()
            self.clock.advance(99)
            channel.resumeProducing()
        self.assertFalse(transport.aborted)

    def test_the_last_answer_must_be_read_as_well(self) -> None:
        _, transport = self.ask(b"GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertTrue(transport.disconnecting)
        self.clock.advance(100)
        self.assertTrue(transport.aborted)

    def test_nothing_is_left_of_a_connection_that_is_gone(self) -> None:
        channel, _ = self.ask(GET % b"/quick")
        channel.pauseProducing()
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class EndTests(SiteCase):
    def test_the_answer_under_way_is_the_last_one(self) -> None:
        channel, transport = self.ask(GET % b"/slow")
        self.site.close_idle()
        self.assertFalse(transport.disconnecting)
        self.slow.callback(Answer(200, [], b"done"))
        self.assertIn(b"Connection: close", transport.value())
        self.assertTrue(transport.value().endswith(b"done"))
        self.assertTrue(transport.disconnecting)
        self.assertFalse(channel.requests)

    def test_a_busy_connection_may_end_with_the_answer_to_come(self) -> None:
        channel, transport = self.ask(GET % b"/quick")
        self.site.end_connections()
        self.assertFalse(transport.disconnecting)
        channel.dataReceived(GET % b"/quick")
        self.assertEqual(transport.value().count(b"Connection: close"), 1)
        self.assertTrue(transport.disconnecting)

    def test_a_stream_under_way_is_the_last_one(self) -> None:
        _, transport = self.ask(GET % b"/stream")
        self.site.close_idle()
        self.slow.callback(Answer(200, []))
        self.assertTrue(transport.disconnecting)


class IdleTests(SiteCase):
    """The end of a drain is a Deferred that fires."""

    def lose(self, channel: Any) -> None:
        channel.connectionLost(Failure(ConnectionDone()))

    def test_fires_at_once_if_nothing_is_in_flight(self) -> None:
        self.assertIsNone(self.successResultOf(self.site.when_idle()))
        self.assertIsNone(self.successResultOf(self.site.resource.in_flight.when_idle()))

    def test_fires_after_the_last_answer_is_out_and_its_connection_closed(self) -> None:
        channel, transport = self.ask(GET % b"/slow")
        self.site.close_idle()
        idle, answered = self.site.when_idle(), self.site.resource.in_flight.when_idle()
        self.assertNoResult(answered)
        self.slow.callback(Answer(200, [], b"done"))
        self.assertTrue(transport.disconnecting)
        self.successResultOf(answered)
        self.assertNoResult(idle)
        self.lose(channel)
        self.successResultOf(idle)

    def test_fires_after_a_stream_that_is_still_being_written(self) -> None:
        channel, _ = self.ask(GET % b"/stream")
        self.site.close_idle()
        idle = self.site.when_idle()
        self.assertNoResult(idle)
        self.slow.callback(Answer(200, []))
        self.assertNoResult(idle)
        self.lose(channel)
        self.successResultOf(idle)

    def test_waits_for_a_request_whose_client_has_left(self) -> None:
        forever: Deferred[Answer] = Deferred()
        ended: Deferred[None] = Deferred()

        async def slow_to_end() -> Answer:
            try:
                return await forever
            finally:
                await ended

        self.slow = Deferred.fromCoroutine(slow_to_end())
        channel, _ = self.ask(GET % b"/slow")
        self.site.close_idle()
        idle = self.site.when_idle()
        self.lose(channel)
        self.assertEqual((self.site.resource.active, len(self.site.connections)), (1, 0))
        self.assertNoResult(idle)
        ended.callback(None)
        self.successResultOf(idle)
        self.assertEqual(self.access.lines[-1].status, 499)

    def test_waits_for_idle_connections_until_they_are_closed(self) -> None:
        connections = [self.ask(GET % b"/quick") for _ in range(3)]
        idle = self.site.when_idle()
        self.site.close_idle()
        for channel, transport in connections:
            self.assertTrue(transport.disconnecting)
            self.assertNoResult(idle)
            self.lose(channel)
        self.successResultOf(idle)

    def test_each_caller_has_a_deferred_and_may_cancel_it(self) -> None:
        channel, _ = self.ask(GET % b"/quick")
        one, other = self.site.when_idle(), self.site.when_idle()
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.lose(channel)
        self.successResultOf(other)

    def test_is_accounted_for_by_then(self) -> None:
        channel, _ = self.ask(GET % b"/slow")
        lines: list[int] = []
        self.site.when_idle().addCallback(lambda _: lines.extend(line.status for line in self.access.lines))
        self.lose(channel)
        self.assertEqual(lines, [499])

    def test_a_connection_made_after_the_end_began_is_closed_if_it_stays_silent(self) -> None:
        self.site.close_idle()
        channel, transport = self.connect()
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)
        channel.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(self.site.when_idle())
        _, transport = self.ask(GET % b"/quick")
        self.assertIn(b"Connection: close", transport.value())


class StreamTests(SiteCase):
    def test_a_client_that_leaves_a_stream_is_no_fault_of_ours(self) -> None:
        self.ask(GET % b"/stream")
        self.slow.errback(CancelledError())  # what the source's producer does when the transport has gone
        self.assertEqual([one.status for one in self.access.lines], [499])

    def test_the_bytes_of_a_stream_are_counted(self) -> None:
        self.ask(GET % b"/stream")
        self.slow.callback(Answer(200, []))
        self.assertEqual([one.size for one in self.access.lines], [4])


class ExplanationTests(SiteCase):
    """What the log says of answers that went wrong."""

    def setUp(self) -> None:
        super().setUp()
        self.events: list[LogEvent] = []
        self.ids: list[str] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event.get("log_namespace") == Server.log.namespace:
                self.events.append(event)
                self.ids.append(current_request_id())

        observer: ILogObserver = observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def told(self, target: bytes, error: Exception) -> LogEvent:
        self.slow = Deferred()
        self.ask(GET % (b"http://x/slow?" + target))
        self.slow.errback(error)
        return self.events.pop()

    def test_a_line_names_the_request_and_the_reason(self) -> None:
        event = self.told(b"", SourceNotFound("it is not there"))
        self.assertEqual(formatEvent(event), "404 GET http://x/slow...: it is not there")
        self.assertEqual((event["status"], event["method"], event["target"]), (404, "GET", "http://x/slow..."))
        self.told(b"", RuntimeError("broken"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_line_has_the_id_of_its_request_whoever_brought_the_outcome(self) -> None:
        self.ask(b"GET /slow HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n")

        def bring() -> None:
            bind_request_id("another's")
            self.slow.errback(OriginFailed("x"))

        copy_context().run(bring)
        self.assertEqual(self.ids, ["mine"])

    def test_statuses_that_twisted_does_not_know_have_their_phrase(self) -> None:
        for error, line in (
            (NotAnImage("x"), b"HTTP/1.1 422 Unprocessable"),
            (Overloaded("x"), b"HTTP/1.1 429 Too Many Requests\r\n"),
            (Unreadable(431, "x"), b"HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        ):
            self.slow = Deferred()
            _, transport = self.ask(GET % b"/slow")
            self.slow.errback(error)
            self.assertTrue(transport.value().startswith(line), transport.value())

    def test_targets_are_logged_as_they_were_sent(self) -> None:
        for target, logged in (
            (b"/w%3A1/a%2520b.jpg", "/w%3A1/a%2520b.jpg"),
            ("/\u00fc.jpg".encode(), "/\u00fc.jpg"),
            (b"/\xfc.jpg", r"/\xfc.jpg"),
        ):
            self.assertEqual(_logged(target), logged)

    def test_queries_are_told_to_nobody(self) -> None:
        for target in (b"/quick/plain/http://o/a.jpg?secret", b"/quick/plain/http%3A%2F%2Fo%2Fa.jpg%3Fsecret"):
            self.ask(b"POST %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            event = self.events.pop()
            self.assertNotIn("secret", formatEvent(event))
            self.assertIn("a.jpg...", event["target"])
        self.ask(b"POST /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 5000))
        self.assertLess(len(self.events.pop()["target"]), 600)

    def test_the_level_is_the_operators_interest_in_it(self) -> None:
        for enabled, error, level in (
            (True, OriginFailed("x"), LogLevel.warn),
            (True, NotAnImage("x"), LogLevel.info),
            (True, BadSignature("x"), LogLevel.debug),
            (False, BadSignature("x"), LogLevel.info),
        ):
            self.access.enabled = enabled
            self.assertEqual(self.told(b"", error)["log_level"], level, error)


class CrowdTests(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.site.limits = replace(self.site.limits, max_clients=2)
        self.taken = [self.connect() for _ in range(2)]

    def test_spare_connections_are_for_one_health_check_each(self) -> None:
        _, transport = self.ask(GET % b"/health" + GET % b"/health")
        self.assertEqual(transport.value().count(b"HTTP/1.1 200 "), 1)
        self.assertIn(b"Connection: close", transport.value())
        self.assertTrue(transport.disconnecting)
        _, transport = self.ask(GET % b"/quick")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"Retry-After: 1", transport.value())
        self.assertTrue(transport.disconnecting)

    def test_who_came_in_time_is_served(self) -> None:
        spare = [self.connect() for _ in range(8)]
        for channel, transport in self.taken:
            channel.dataReceived(GET % b"/quick")
            self.assertIn(b"200 OK", transport.value())
        self.assertFalse(any(transport.value() for _, transport in spare))

    def test_spare_connections_are_not_for_those_who_say_nothing(self) -> None:
        _, transport = self.connect()
        self.clock.advance(2)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 408 "))
        self.assertEqual(self.taken[0][1].value(), b"")

    def test_beyond_those_everybody_is_turned_away_with_a_word(self) -> None:
        spare = [self.connect() for _ in range(8)]
        channel, transport = self.connect()
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"Retry-After: 1", transport.value())
        self.assertTrue(transport.disconnecting)
        channel.dataReceived(GET % b"/health")
        self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1)
        self.assertEqual(self.access.lines[-1].status, 503)
        self.assertEqual(len(self.site.connections), 10)
        spare[0][0].connectionLost(Failure(ConnectionDone()))
        _, transport = self.ask(GET % b"/health")
        self.assertIn(b"200 OK", transport.value())
