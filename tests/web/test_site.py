"""The connections of a site: their number, and their end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from imgforge.web import Answer
from tests.support.site_case import SiteCase

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


class DrainTests(SiteCase):
    def test_response_in_flight_is_the_last_one(self) -> None:
        channel, transport = self.ask(GET % b"/slow")
        self.site.close_idle()
        self.assertFalse(transport.disconnecting)
        self.slow.callback(Answer(200, [], b"done"))
        self.assertIn(b"Connection: close", transport.value())
        self.assertTrue(transport.value().endswith(b"done"))
        self.assertTrue(transport.disconnecting)
        self.assertFalse(channel.requests)

    def test_busy_connection_ends_with_its_next_response(self) -> None:
        channel, transport = self.ask(GET % b"/quick")
        self.site.end_connections()
        self.assertFalse(transport.disconnecting)
        channel.dataReceived(GET % b"/quick")
        self.assertEqual(transport.value().count(b"Connection: close"), 1)
        self.assertTrue(transport.disconnecting)

    def test_stream_in_flight_is_the_last_response(self) -> None:
        _, transport = self.ask(GET % b"/stream")
        self.site.close_idle()
        self.slow.callback(Answer(200, []))
        self.assertTrue(transport.disconnecting)


class WhenIdleTests(SiteCase):
    """The end of a drain is a Deferred that fires."""

    def lose(self, channel: Any) -> None:
        channel.connectionLost(Failure(ConnectionDone()))

    def test_fires_at_once_if_nothing_is_in_flight(self) -> None:
        self.assertIsNone(self.successResultOf(self.site.when_idle()))
        self.assertIsNone(self.successResultOf(self.site.resource.in_flight.when_idle()))

    def test_fires_after_the_last_connection_has_closed(self) -> None:
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
        cancelled, other = self.site.when_idle(), self.site.when_idle()
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.lose(channel)
        self.successResultOf(other)

    def test_fires_after_the_request_is_logged(self) -> None:
        channel, _ = self.ask(GET % b"/slow")
        lines: list[int] = []
        self.site.when_idle().addCallback(lambda _: lines.extend(line.status for line in self.access.lines))
        self.lose(channel)
        self.assertEqual(lines, [499])

    def test_late_connection_is_closed_if_it_stays_silent(self) -> None:
        self.site.close_idle()
        channel, transport = self.connect()
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)
        channel.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(self.site.when_idle())
        _, transport = self.ask(GET % b"/quick")
        self.assertIn(b"Connection: close", transport.value())


class MaxClientsTests(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.site.limits = replace(self.site.limits, max_clients=2)
        self.within_limit = [self.connect() for _ in range(2)]

    def test_spare_connection_answers_one_health_check(self) -> None:
        _, transport = self.ask(GET % b"/health" + GET % b"/health")
        self.assertEqual(transport.value().count(b"HTTP/1.1 200 "), 1)
        self.assertIn(b"Connection: close", transport.value())
        self.assertTrue(transport.disconnecting)
        _, transport = self.ask(GET % b"/quick")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"Retry-After: 1", transport.value())
        self.assertTrue(transport.disconnecting)

    def test_connections_within_the_limit_are_served(self) -> None:
        spare = [self.connect() for _ in range(8)]
        for channel, transport in self.within_limit:
            channel.dataReceived(GET % b"/quick")
            self.assertIn(b"200 OK", transport.value())
        self.assertFalse(any(transport.value() for _, transport in spare))

    def test_silent_spare_connection_gets_408_after_two_seconds(self) -> None:
        _, transport = self.connect()
        self.clock.advance(2)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 408 "))
        self.assertEqual(self.within_limit[0][1].value(), b"")

    def test_surplus_connection_gets_503_at_once(self) -> None:
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
