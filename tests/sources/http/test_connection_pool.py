"""The pool of connections to origins: reuse, sharing, limits, and connections that are opened ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived
from twisted.web.iweb import IResponse
from zope.interface import implementer
from zope.interface.verify import verifyObject

from imgforge.sources.http.connection_pool import ConnectionPool
from imgforge.sources.http.connector import Opened
from imgforge.sources.http.origin_connection import IOriginConnection, NotSent
from imgforge.sources.http.wire_url import Origin

SECURE, OTHER, PLAIN = Origin("https", "a.test", 443), Origin("https", "b.test", 443), Origin("http", "a.test", 80)


@implementer(IOriginConnection)
class MemoryConnection:
    """A connection that allows *streams* requests at once, which the test answers."""

    def __init__(self, streams: int = 1) -> None:
        self.streams = streams
        self.changed: Callable[[], None] = lambda: None
        self.closed = False
        self.closing = False
        self.settled = True
        self.refuses = False
        self.requests: list[Deferred[Any]] = []
        self.targets: list[bytes] = []

    @property
    def active(self) -> int:
        return len(self.requests)

    @property
    def free(self) -> int:
        return 0 if self.closing or self.closed else self.streams - self.active

    def send(
        self,
        authority: bytes,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None = None,
        method: bytes = b"GET",
    ) -> Deferred[IResponse]:
        if self.refuses:
            self.abort()
            return fail(NotSent())
        if not self.streams:
            return fail(NotSent())
        assert self.free > 0
        self.targets.append(target)
        answering: Deferred[IResponse] = Deferred(lambda _: self.end(answering))
        self.requests.append(answering)
        self.changed()
        return answering

    def end(self, answering: Deferred[Any]) -> None:
        self.requests.remove(answering)
        if self.closing and not self.requests:
            self.closed = True
        self.changed()

    def answer(self) -> None:
        """Answer the oldest request."""
        answering = self.requests[0]
        self.end(answering)
        answering.callback(self)

    def settle(self, streams: int) -> None:
        """The origin says how many requests it takes."""
        self.streams, self.settled = streams, True
        self.changed()

    def close(self) -> None:
        self.closing = True
        if not self.requests:
            self.abort()

    def abort(self) -> None:
        self.closed = True
        self.changed()


class MemoryConnector:
    """Opens connections that the test has made."""

    def __init__(self) -> None:
        self.opening: list[tuple[Origin, Deferred[Opened]]] = []
        self.cancelled = 0

    def may_share(self, origin: Origin) -> bool:
        return origin.scheme == "https"

    def connect(self, origin: Origin) -> Deferred[Opened]:
        def cancelled(_: object) -> None:
            self.cancelled += 1

        connecting: Deferred[Opened] = Deferred(cancelled)
        self.opening.append((origin, connecting))
        return connecting

    def open(self, streams: int = 1, shared: bool = False, settled: bool = True) -> MemoryConnection:
        """Open the connection that was asked for first."""
        connection = MemoryConnection(streams)
        connection.settled = settled
        self.opening.pop(0)[1].callback(Opened(connection, shared, "192.0.2.1"))
        return connection


class PoolCase(SynchronousTestCase):
    idle = 90.0

    def setUp(self) -> None:
        self.clock = Clock()
        self.connector = MemoryConnector()
        connector: Any = self.connector
        self.pool = ConnectionPool(self.clock, connector, self.idle, 2, 5)

    def send(self, origin: Origin = PLAIN, target: bytes = b"/", new: bool = False) -> Deferred[IResponse]:
        return self.pool.send(origin, origin.authority, target, [], None, b"GET", new)

    def idle_connection(self, origin: Origin = PLAIN) -> MemoryConnection:
        answering = self.send(origin, new=True)
        connection = self.connector.open()
        connection.answer()
        self.successResultOf(answering)
        return connection


class KeptConnectionTests(PoolCase):
    def test_the_fake_is_a_connection(self) -> None:
        self.assertTrue(verifyObject(IOriginConnection, MemoryConnection()))

    def test_an_idle_connection_is_used_again(self) -> None:
        connection = self.idle_connection()
        self.send()
        self.assertEqual((connection.active, self.connector.opening), (1, []))

    def test_the_one_that_was_used_last_is_used_first(self) -> None:
        first, second = self.send(), self.send()
        one, other = self.connector.open(), self.connector.open()
        other.answer()
        one.answer()
        self.successResultOf(first)
        self.successResultOf(second)
        self.send()
        self.assertEqual((one.active, other.active), (1, 0))

    def test_no_connection_of_another_origin_is_used(self) -> None:
        self.idle_connection(SECURE)
        for origin in (PLAIN, OTHER, Origin("https", "a.test", 444)):
            self.send(origin)
            self.assertEqual(self.connector.opening[-1][0], origin)

    def test_a_request_for_a_new_connection_takes_no_kept_one(self) -> None:
        kept = self.idle_connection()
        self.send(new=True)
        self.assertEqual((kept.active, len(self.connector.opening)), (0, 1))

    def test_an_idle_connection_is_closed_after_its_time(self) -> None:
        connection = self.idle_connection()
        self.clock.advance(60)
        self.send()
        connection.answer()
        self.clock.advance(60)
        self.assertFalse(connection.closed)
        self.clock.advance(30)
        self.assertTrue(connection.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_connection_in_use_is_not_idle(self) -> None:
        connection = self.idle_connection()
        self.send()
        self.clock.advance(1000)
        self.assertFalse(connection.closed)

    def test_too_many_idle_connections_are_closed_the_oldest_first(self) -> None:
        connections = [self.idle_connection() for _ in range(3)]
        self.assertEqual([connection.closed for connection in connections], [True, False, False])

    def test_too_many_idle_connections_to_all_origins_are_closed_the_oldest_first(self) -> None:
        origins = [Origin("http", f"{number}.test", 80) for number in range(6)]
        connections = [self.idle_connection(origin) for origin in origins[:5]]
        self.send(origins[0])
        connections[0].answer()  # no longer the oldest
        connections.append(self.idle_connection(origins[5]))
        self.assertEqual([connection.closed for connection in connections], [False, True, False, False, False, False])

    def test_a_connection_in_use_does_not_count_as_idle(self) -> None:
        idle = [self.idle_connection(Origin("http", f"{number}.test", 80)) for number in range(4)]
        self.send(new=True)
        busy = self.connector.open()
        idle.append(self.idle_connection(OTHER))
        self.assertEqual({connection.closed for connection in idle}, {False})
        busy.answer()
        self.assertEqual([connection.closed for connection in idle], [True, False, False, False, False])

    def test_a_connection_that_was_closed_is_forgotten(self) -> None:
        self.idle_connection().abort()
        self.send()
        self.assertEqual(len(self.connector.opening), 1)

    def test_a_request_that_was_not_sent_is_sent_once_more_over_a_new_connection(self) -> None:
        stale, spare = self.idle_connection(), self.idle_connection()
        spare.refuses = stale.refuses = True
        answering = self.send(target=b"/again")
        connection = self.connector.open()
        self.assertEqual((connection.targets, stale.active), ([b"/again"], 0))
        connection.end(connection.requests[0])
        self.assertNoResult(answering)

    def test_a_request_that_is_not_sent_twice_fails(self) -> None:
        self.idle_connection().refuses = True
        answering = self.send()
        (_, connecting), self.connector.opening = self.connector.opening[0], []
        refusing = MemoryConnection()
        refusing.refuses = True
        connecting.callback(Opened(refusing, False, ""))
        self.failureResultOf(answering, NotSent)

    def test_close_closes_idle_connections_and_leaves_those_in_use(self) -> None:
        idle, busy = self.idle_connection(), self.idle_connection()
        answering = self.send()
        self.successResultOf(self.pool.close())
        self.assertEqual((idle.closed, busy.closed), (True, False))
        busy.answer()
        self.assertTrue(busy.closed)
        self.successResultOf(answering)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class NothingKeptTests(PoolCase):
    idle = 0.0

    def test_each_connection_is_closed_after_its_request(self) -> None:
        self.assertTrue(self.idle_connection().closed)
        self.assertTrue(self.idle_connection(SECURE).closed)


class SharedConnectionTests(PoolCase):
    """Connections of HTTP/2, and the wait for the handshake."""

    def test_requests_wait_for_the_first_handshake_and_share_the_connection(self) -> None:
        for _ in range(5):
            self.send(SECURE)
        self.assertEqual(len(self.connector.opening), 1)
        connection = self.connector.open(100, shared=True)
        self.send(SECURE)
        self.assertEqual((connection.active, self.connector.opening), (6, []))

    def test_with_http1_the_others_open_their_own(self) -> None:
        for _ in range(4):
            self.send(SECURE)
        connection = self.connector.open()
        self.assertEqual((connection.active, len(self.connector.opening)), (1, 3))
        self.send(SECURE)
        self.assertEqual(len(self.connector.opening), 4)

    def test_beyond_its_streams_one_more_connection_is_opened_at_a_time(self) -> None:
        for _ in range(5):
            self.send(SECURE)
        first = self.connector.open(2, shared=True)
        self.assertEqual((first.active, len(self.connector.opening)), (2, 1))
        second = self.connector.open(2, shared=True)
        self.assertEqual((second.active, len(self.connector.opening)), (2, 1))
        third = self.connector.open(2, shared=True)
        self.assertEqual((third.active, self.connector.opening), (1, []))

    def test_all_but_the_first_request_wait_until_the_origin_says_how_many_it_takes(self) -> None:
        for _ in range(4):
            self.send(SECURE)
        first = self.connector.open(64, shared=True, settled=False)
        self.send(SECURE)  # while the handshake is over, and nothing is known yet
        self.assertEqual((first.active, self.connector.opening), (1, []))
        first.settle(2)
        self.assertEqual((first.active, len(self.connector.opening)), (2, 1))
        second = self.connector.open(64, shared=True, settled=False)
        self.assertEqual(second.active, 1)
        second.settle(64)
        self.assertEqual((second.active, self.connector.opening), (3, []))

    def test_who_gives_up_while_nothing_is_known_takes_no_place(self) -> None:
        _, second, _ = (self.send(SECURE) for _ in range(3))
        connection = self.connector.open(64, shared=True, settled=False)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        connection.settle(64)
        self.assertEqual((connection.active, self.connector.opening), (2, []))

    def test_who_waits_for_a_connection_that_closes_gets_another(self) -> None:
        first, second = self.send(SECURE), self.send(SECURE)
        closing = self.connector.open(64, shared=True, settled=False)
        closing.close()
        closing.changed()
        self.assertEqual((closing.active, len(self.connector.opening)), (1, 1))
        self.assertEqual(self.connector.open(64, shared=True).active, 1)
        self.assertNoResult(first)
        self.assertNoResult(second)

    def test_an_origin_that_allows_no_streams_fails_the_request(self) -> None:
        answering = self.send(SECURE)
        for _ in range(3):
            self.connector.open(0, shared=True)
        self.failureResultOf(answering, NotSent)
        self.assertEqual(self.connector.opening, [])

    def test_a_failed_handshake_fails_all_that_wait(self) -> None:
        answering = [self.send(SECURE) for _ in range(3)]
        self.connector.opening[0][1].errback(ResponseNeverReceived([]))
        for each in answering:
            self.failureResultOf(each, ResponseNeverReceived)
        self.send(SECURE)
        self.assertEqual(len(self.connector.opening), 2)

    def test_the_handshake_goes_on_without_the_one_that_began_it(self) -> None:
        first, second = self.send(SECURE), self.send(SECURE)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        connection = self.connector.open(10, shared=True)
        connection.answer()
        self.successResultOf(second)
        self.assertEqual(self.connector.cancelled, 0)

    def test_the_handshake_ends_with_the_last_one_that_waits(self) -> None:
        answering = [self.send(SECURE) for _ in range(2)]
        for each in answering:
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.assertEqual(self.connector.cancelled, 1)

    def test_refused_requests_move_to_one_new_connection(self) -> None:
        first = self.send(SECURE)
        old = self.connector.open(10, shared=True)
        moved = [self.send(SECURE) for _ in range(3)]
        old.closing = True  # the origin goes away, and answers the first one still
        for each in old.requests[1:]:
            old.requests.remove(each)
            each.errback(NotSent())
        self.assertEqual(len(self.connector.opening), 1)
        new = self.connector.open(10, shared=True)
        self.assertEqual(new.active, 3)
        old.answer()
        self.successResultOf(first)
        self.assertTrue(old.closed)
        for each in moved:
            self.assertNoResult(each)

    def test_a_hedge_has_a_connection_of_its_own(self) -> None:
        self.send(SECURE)
        self.connector.open(10, shared=True)
        self.send(SECURE, new=True)
        self.assertEqual(len(self.connector.opening), 1)


class PreconnectTests(PoolCase):
    def preconnect(self, origin: Origin, number: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self.pool.preconnect(origin, number))

    def test_connections_wait_for_requests(self) -> None:
        opening = self.preconnect(PLAIN, 2)
        connections = [self.connector.open(), self.connector.open()]
        self.successResultOf(opening)
        self.send()
        self.assertEqual((connections[1].active, self.connector.opening), (1, []))
        self.clock.advance(90)
        self.assertTrue(connections[0].closed)

    def test_not_more_than_may_be_idle(self) -> None:
        opening = self.preconnect(PLAIN, 50)
        for _ in range(2):
            self.connector.open()
        self.successResultOf(opening)

    def test_one_shared_connection_is_enough(self) -> None:
        opening = self.preconnect(SECURE, 2)
        self.connector.open(10, shared=True)
        self.successResultOf(opening)
