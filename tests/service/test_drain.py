"""The drain of a site whose connections are held in memory, on a clock."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from imgforge.service.drain import Drain
from imgforge.web import Answer
from tests.support.site_case import SiteCase

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


class DrainTests(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.drains = 0
        self.service = Drain(self.clock, self.site, 10.0, self.count)
        self.service.startService()

    def count(self) -> None:
        self.drains += 1

    def lose(self, channel: Any) -> None:
        channel.connectionLost(Failure(ConnectionDone()))

    def stop_after_arrival(self) -> Deferred[None]:
        stopped = self.service.stopService()
        self.clock.advance(0.5)
        return stopped

    def test_it_ends_at_once_without_connections(self) -> None:
        self.successResultOf(self.service.stopService())
        self.assertEqual((self.drains, self.clock.getDelayedCalls()), (1, []))

    def test_it_ends_when_the_last_request_is_answered_and_its_connection_closed(self) -> None:
        channel, transport = self.ask(GET % b"/slow")
        stopped = self.stop_after_arrival()
        self.slow.callback(Answer(200, [], b"done"))
        self.assertTrue(transport.disconnecting)
        self.assertNoResult(stopped)
        self.lose(channel)
        self.successResultOf(stopped)
        self.assertFalse(transport.aborted)

    def test_request_that_arrives_within_half_a_second_is_answered(self) -> None:
        channel, transport = self.connect()
        stopped = self.service.stopService()
        self.clock.advance(0.4)
        self.assertEqual(self.drains, 0)
        channel.dataReceived(GET % b"/quick")
        self.assertIn(b"quick", transport.value())
        self.lose(channel)
        self.assertNoResult(stopped)
        self.clock.advance(0.1)
        self.successResultOf(stopped)
        self.assertEqual(self.drains, 1)

    def test_idle_connection_is_closed(self) -> None:
        channel, transport = self.connect()
        self.stop_after_arrival()
        self.assertTrue(transport.disconnecting)
        self.lose(channel)

    def test_request_is_aborted_after_the_grace(self) -> None:
        channel, transport = self.ask(GET % b"/slow")
        stopped = self.stop_after_arrival()
        with capturedLogs() as events:
            self.clock.advance(9.9)
            self.assertFalse(transport.aborted)
            self.clock.advance(0.2)
        self.assertTrue(transport.aborted)
        self.assertEqual(formatEvent(events[0]), "shutdown timed out after 10 s: 1 request aborted")
        self.assertNoResult(stopped)
        self.lose(channel)
        self.successResultOf(stopped)

    def test_request_that_cannot_be_cancelled_is_waited_for_one_second(self) -> None:
        self.slow = Deferred(lambda _: None)
        self.ask(GET % b"/slow")
        stopped = self.stop_after_arrival()
        self.clock.advance(10.0)
        self.assertNoResult(stopped)
        self.clock.advance(1.0)
        self.successResultOf(stopped)
