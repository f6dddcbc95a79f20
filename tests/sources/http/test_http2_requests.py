"""Requests over HTTP/2: what goes to the wire, how many at once, and what giving one up costs."""

from __future__ import annotations

from typing import Any

from hyperframe.frame import GoAwayFrame
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.client import ResponseFailed
from zope.interface.verify import verifyObject

from imgforge.sources.http.http2_connection import Http2Connection
from imgforge.sources.http.origin_connection import IOriginConnection, NotSent
from tests.support.http2_origin import Http2Case, Http2Peer, Reader

TARGET = b"/a%2fb//c/../d/./%7E?sig=%7E%2B+x&y=%41&&#"
CANCEL, PROTOCOL_ERROR = 8, 1


class RequestTests(Http2Case):
    def test_it_is_a_connection(self) -> None:
        verifyObject(IOriginConnection, self.connection)

    def test_the_preface_goes_out_at_once(self) -> None:
        connection, transport = Http2Connection(Clock()), StringTransport()
        connection.makeConnection(transport)
        self.assertTrue(transport.value().startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))

    def test_the_target_is_sent_byte_for_byte(self) -> None:
        self.peer.get(TARGET)
        self.assertEqual(
            self.peer.requests[1],
            [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"origin.example"), (b":path", TARGET)],
        )

    def test_names_of_headers_are_lowercased(self) -> None:
        self.peer.get(b"/", (b"Accept", b"*/*"), (b"X-Amz-Date", b" 20261128T000000Z "))
        self.assertEqual(self.peer.requests[1][4:], [(b"accept", b"*/*"), (b"x-amz-date", b"20261128T000000Z")])

    def test_headers_of_a_connection_are_left_out(self) -> None:
        names = (b"Connection", b"Keep-Alive", b"TE", b"Transfer-Encoding", b"Upgrade", b"Proxy-Connection", b"Host")
        self.peer.get(b"/", *((name, b"x") for name in names))
        self.assertEqual(len(self.peer.requests[1]), 4)

    def test_what_could_become_another_request_is_refused(self) -> None:
        for target, headers in (
            (b"", []),
            (b"a", []),
            (b"/a b", []),
            (b"/a\r\nx: y", []),
            (b"/", [(b"a b", b"")]),
            (b"/", [(b":path", b"/b")]),
            (b"/", [(b"a", b"b\r\nc: d")]),
            (b"/", [(b"a", b"\0")]),
        ):
            self.failureResultOf(self.connection.send(b"origin.example", target, headers), ValueError)
        self.failureResultOf(self.connection.send(b"origin\r\n", b"/", []), ValueError)
        self.assertEqual(self.connection.active, 0)
        self.peer.get()
        self.assertEqual(list(self.peer.requests), [1])

    def test_targets_and_credentials_stay_out_of_the_compression_table(self) -> None:
        for number in range(3):
            self.peer.get(b"/%d" % number, (b"User-Agent", b"imgforge"), (b"X-Amz-Security-Token", b"secret"))
        indexed = [bytes(name) for name, _ in self.peer.server.decoder.header_table.dynamic_entries]
        self.assertEqual(sorted(indexed), [b":authority", b"user-agent"])


class StreamsTests(Http2Case):
    """How many requests are sent at once."""

    def test_sixty_four_streams_at_most(self) -> None:
        self.assertEqual((self.connection.free, self.connection.active), (64, 0))
        for _ in range(64):
            self.peer.get()
        self.assertEqual((self.connection.free, self.connection.active), (0, 64))
        self.failureResultOf(self.connection.send(b"origin.example", b"/", []), NotSent)

    def test_the_origin_may_allow_fewer(self) -> None:
        peer = Http2Peer(max_concurrent_streams=2)
        self.assertEqual(peer.connection.free, 2)
        peer.get()
        peer.get()
        self.assertEqual(peer.connection.free, 0)
        peer.respond(1)
        self.assertEqual(peer.connection.free, 1)

    def test_the_origin_may_change_its_mind(self) -> None:
        peer = Http2Peer(max_concurrent_streams=2)
        peer.get()
        peer.settings(max_concurrent_streams=0)
        peer.exchange()
        self.assertEqual(peer.connection.free, 0)
        peer.settings(max_concurrent_streams=10)
        peer.exchange()
        self.assertEqual(peer.connection.free, 9)
        self.assertEqual([free for free, _, _ in peer.states], [64, 2, 1, 0, 9])

    def test_each_change_is_told(self) -> None:
        self.peer.states.clear()
        self.peer.get()
        self.peer.respond(1)
        self.peer.lose(ConnectionError())
        self.assertEqual(self.peer.states, [(63, 1, False), (64, 0, False), (0, 0, True)])

    def test_nothing_is_sent_without_a_transport(self) -> None:
        connection = Http2Connection(self.peer.clock)
        self.assertEqual(connection.free, 0)
        self.failureResultOf(connection.send(b"origin.example", b"/", []), NotSent)


class BeforeSettingsTests(Http2Case):
    """Until the origin says how many requests it takes at once, it gets one; the others wait for their turn."""

    def setUp(self, streams: int = 100) -> None:
        self.peer = Http2Peer(silent=True, max_concurrent_streams=streams)
        self.connection = self.peer.connection

    def settle(self) -> None:
        self.peer.silent = False
        self.peer.exchange()

    def test_one_is_sent(self) -> None:
        for number in range(3):
            self.peer.get(b"/%d" % number)
        self.assertEqual((list(self.peer.requests), self.connection.active, self.connection.free), ([1], 3, 61))
        self.settle()
        self.assertEqual((list(self.peer.requests), self.connection.active, self.connection.free), ([1, 3, 5], 3, 61))

    def test_an_origin_that_takes_few_gets_no_more(self) -> None:
        self.setUp(2)
        answers = [self.peer.get(b"/%d" % number) for number in range(6)]
        self.settle()
        self.assertEqual((list(self.peer.requests), self.connection.active, self.connection.free), ([1, 3], 6, 0))
        for stream_id in range(1, 13, 2):
            self.peer.respond(stream_id, b"%d" % stream_id)
        self.assertEqual([answer.body for answer in answers], [b"1", b"3", b"5", b"7", b"9", b"11"])
        self.assertEqual((self.connection.active, self.connection.free), (0, 2))

    def test_a_request_that_waits_can_be_given_up(self) -> None:
        answers = [self.peer.get(b"/%d" % number) for number in range(3)]
        answers[1].deferred.cancel()
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])
        self.settle()
        self.assertEqual([dict(fields)[b":path"] for fields in self.peer.requests.values()], [b"/0", b"/2"])
        self.assertEqual((self.connection.active, self.peer.resets()), (2, {}))

    def test_requests_that_wait_are_sent_elsewhere_if_the_connection_ends(self) -> None:
        for end in (
            lambda: self.peer.lose(ConnectionError()),
            lambda: self.connection.abort(),
            lambda: self.peer.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ):
            self.setUp()
            answers = [self.peer.get(b"/%d" % number) for number in range(3)]
            end()
            self.assert_failed(answers[0], ResponseFailed)
            self.assert_failed(answers[1], NotSent)
            self.assert_failed(answers[2], NotSent)
            self.assertEqual(self.connection.active, 0)

    def test_requests_that_wait_are_sent_elsewhere_after_a_goaway(self) -> None:
        self.setUp(1)
        answers = [self.peer.get(b"/%d" % number) for number in range(4)]
        self.settle()
        self.peer.raw(GoAwayFrame(0, last_stream_id=1))
        for answer in answers[1:]:
            self.assert_failed(answer, NotSent)
        self.peer.respond(1)
        self.assertTrue(self.peer.closing)

    def test_close_waits_for_requests_that_wait(self) -> None:
        self.setUp(1)
        answers = [self.peer.get(b"/%d" % number) for number in range(2)]
        self.connection.close()
        self.settle()
        self.peer.respond(1)
        self.peer.respond(3)
        self.assertEqual([answer.body for answer in answers], [b"image", b"image"])
        self.assertTrue(self.peer.closing)


class CancelTests(Http2Case):
    """A response that is given up costs its stream, not the connection."""

    def assert_others_go_on(self) -> None:
        other = self.peer.get(b"/other")
        self.peer.respond(max(self.peer.requests), b"other")
        self.assertEqual((other.body, self.connection.active), (b"other", 0))

    def test_before_the_head(self) -> None:
        answer = self.peer.get()
        answer.deferred.cancel()
        self.peer.exchange()
        self.assertIsInstance(answer.error, CancelledError)
        self.assertEqual(self.peer.resets(), {1: CANCEL})
        self.assert_others_go_on()

    def test_within_the_body(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, (b"content-length", b"10"))
        self.peer.data(1, b"abc")
        reader: Any = answer.reader
        reader.control.loseConnection()
        self.assertEqual(self.connection.active, 0)
        self.assertIsNone(reader.end)
        self.peer.clock.advance(0)
        self.assert_failed(answer, ResponseFailed, "abort")
        self.peer.exchange()
        self.assertEqual(self.peer.resets(), {1: CANCEL})
        self.assert_others_go_on()

    def test_by_the_reader_as_it_reads(self) -> None:
        answer = self.peer.get()
        reader: Any = answer.reader
        reader.on_data = lambda: reader.control.loseConnection()
        self.peer.respond(1, b"x" * 100_000)
        self.peer.clock.advance(0)
        self.assertLess(len(reader.received), 100_000)
        self.assertFalse(reader.complete)
        self.assert_others_go_on()

    def test_after_the_last_byte(self) -> None:
        """The origin has sent everything, so that there is nothing to reset."""
        answer = self.peer.get(reader=Reader(paused=True))
        self.peer.respond(1)
        self.assertEqual(self.connection.active, 1)
        reader: Any = answer.reader
        reader.control.stopProducing()
        self.peer.exchange()
        self.assertEqual((self.connection.active, self.peer.resets()), (0, {}))
        self.assert_others_go_on()

    def test_twice(self) -> None:
        answer = self.peer.get()
        self.peer.head(1)
        reader: Any = answer.reader
        reader.control.loseConnection()
        reader.control.abortConnection()
        self.peer.clock.advance(0)
        self.assertFalse(reader.complete)
        self.assert_others_go_on()
