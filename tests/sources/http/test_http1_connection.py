"""One connection of HTTP/1.1: what is sent, when it is read from, and when it may be used again."""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import RequestGenerationFailed, ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface.verify import verifyObject

from imgforge.sources.http.http1_connection import Http1Connection
from imgforge.sources.http.origin_connection import IOriginConnection, NotSent

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


class Reader(Protocol):
    """Collects a body and why it ended."""

    def __init__(self) -> None:
        self.body = b""
        self.ended: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.body += data

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        assert self.ended is None
        self.ended = reason


class ConnectionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.changes = 0
        self.connection = Http1Connection()
        self.connection.changed = self.changed
        self.transport = StringTransport()
        self.connection.makeConnection(self.transport)

    def changed(self) -> None:
        self.changes += 1

    def send(self, target: bytes = b"/", *headers: tuple[bytes, bytes]) -> Deferred[IResponse]:
        return self.connection.send(b"a.test", target, headers)

    def receive(self, *pieces: bytes) -> IResponse:
        """The response to a request, of which *pieces* come one after the other."""
        answering = self.send()
        for piece in pieces:
            self.connection.dataReceived(piece)
        response: IResponse = self.successResultOf(answering)
        return response

    def lose(self, error: Exception) -> None:
        self.connection.connectionLost(Failure(error))


class RequestTests(ConnectionCase):
    def test_it_is_a_connection(self) -> None:
        self.assertTrue(verifyObject(IOriginConnection, self.connection))

    def test_the_bytes_of_the_target_are_sent_unchanged(self) -> None:
        self.send(b"/a%2fb//c/../d?sig=%7E%2B+x", (b"X-Name", b"value"))
        self.assertEqual(
            self.transport.value(),
            b"GET /a%2fb//c/../d?sig=%7E%2B+x HTTP/1.1\r\nHost: a.test\r\nX-Name: value\r\n\r\n",
        )

    def test_a_body_is_sent_whole_with_its_length(self) -> None:
        body = bytes(range(256)) * 1000
        answering = self.connection.send(b"a.test", b"/b", [(b"X-Name", b"value")], body, b"PUT")
        head = b"PUT /b HTTP/1.1\r\nHost: a.test\r\nX-Name: value\r\nContent-Length: 256000\r\n\r\n"
        self.assertEqual(self.transport.value(), head + body)
        self.connection.dataReceived(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(self.successResultOf(answering).code, 201)
        self.assertTrue(self.connection.free)

    def test_an_empty_body_has_a_length_too_and_no_body_has_none(self) -> None:
        self.connection.send(b"a.test", b"/b", [], b"", b"PUT")
        self.assertEqual(self.transport.value(), b"PUT /b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
        self.setUp()
        self.connection.send(b"a.test", b"/b", [], None, b"DELETE")
        self.assertEqual(self.transport.value(), b"DELETE /b HTTP/1.1\r\nHost: a.test\r\n\r\n")

    def test_the_response_to_head_has_a_length_and_no_body(self) -> None:
        for framing in (b"Content-Length: 5", b"Transfer-Encoding: chunked"):
            self.setUp()
            answering = self.connection.send(b"a.test", b"/b", [], None, b"HEAD")
            self.connection.dataReceived(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % framing)
            response = self.successResultOf(answering)
            self.assertEqual(response.length, 0)
            self.assertTrue(self.connection.free)
        self.setUp()
        surplus = self.connection.send(b"a.test", b"/b", [], None, b"HEAD")
        self.connection.dataReceived(HEAD + b"hello")  # a body that no response to HEAD has
        self.assertEqual(self.successResultOf(surplus).length, 0)
        self.assertFalse(self.connection.free)

    def test_what_cannot_be_sent_fails_and_nothing_is_sent(self) -> None:
        for target, header in (
            (b"/a b", (b"A", b"b")), (b"/a\r\nEvil: 1", (b"A", b"b")), (b"/\xff", (b"A", b"b")), (b"", (b"A", b"b")),
            (b"/", (b"A\r\nB", b"b")), (b"/", (b"A", b"b\r\nEvil: 1")), (b"/", (b"A", b"\0")),
        ):  # fmt: skip
            self.setUp()
            self.failureResultOf(self.send(target, header), RequestGenerationFailed)
            self.assertEqual((self.transport.value(), self.connection.free), (b"", 0))

    def test_one_request_at_a_time(self) -> None:
        self.assertEqual((self.connection.free, self.connection.active), (1, 0))
        self.send()
        self.assertEqual((self.connection.free, self.connection.active, self.changes), (0, 1, 1))
        self.failureResultOf(self.send(), NotSent)

    def test_cancelling_aborts_the_connection(self) -> None:
        answering = self.send()
        answering.cancel()
        self.failureResultOf(answering, CancelledError)
        self.assertEqual((self.transport.disconnected, self.connection.free), (True, 0))
        self.lose(ConnectionLost())
        self.assertTrue(self.connection.closed)

    def test_a_connection_that_is_lost_before_any_byte_fails_the_request(self) -> None:
        answering = self.send()
        self.lose(ConnectionLost())
        self.failureResultOf(answering, ResponseNeverReceived)
        answering = self.send()
        self.failureResultOf(answering, NotSent)

    def test_a_connection_that_is_lost_in_the_head_fails_the_request(self) -> None:
        answering = self.send()
        self.connection.dataReceived(b"HTTP/1.1 200 OK\r\n")
        self.lose(ConnectionDone())
        self.failureResultOf(answering, ResponseFailed)


class BodyTests(ConnectionCase):
    def body(self, response: IResponse) -> Reader:
        reader = Reader()
        response.deliverBody(reader)
        return reader

    def test_nothing_is_read_until_somebody_wants_the_body(self) -> None:
        response = self.receive(HEAD + b"ab")
        self.assertEqual((response.length, self.transport.producerState), (5, "paused"))
        reader = self.body(response)
        self.assertEqual((reader.body, self.transport.producerState), (b"ab", "producing"))
        self.connection.dataReceived(b"cde")
        assert reader.ended is not None
        self.assertEqual(reader.body, b"abcde")
        reader.ended.trap(ResponseDone)
        self.assertEqual((self.connection.free, self.connection.active), (1, 0))

    def test_reading_goes_on_where_the_body_is_wanted_at_once(self) -> None:
        reader, paused = Reader(), []
        self.patch(self.transport, "pauseProducing", lambda: paused.append("paused"))
        self.send().addCallback(lambda response: response.deliverBody(reader))
        self.connection.dataReceived(HEAD + b"ab")
        self.assertEqual((reader.body, paused), (b"ab", []))

    def test_the_reader_can_pause_and_abandon(self) -> None:
        reader = self.body(self.receive(HEAD))
        transport: Any = reader.transport
        transport.pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        transport.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")
        transport.loseConnection()
        self.assertTrue(self.transport.disconnected)
        self.lose(ConnectionLost())
        self.assertIsNotNone(reader.ended)

    def test_a_reader_that_comes_late_does_nothing_to_the_next_response(self) -> None:
        response = self.receive(HEAD + b"abcde")
        self.assertEqual(self.connection.free, 1)
        reader = self.body(response)
        transport: Any = reader.transport
        for call in (transport.pauseProducing, transport.loseConnection):
            call()
        self.assertEqual((reader.body, self.transport.producerState), (b"abcde", "producing"))
        self.assertFalse(self.transport.disconnected)

    def test_statuses_without_body(self) -> None:
        for status in (b"204 No", b"304 No"):
            self.setUp()
            response = self.receive(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\n")
            self.assertEqual((response.length, self.body(response).body, self.connection.free), (0, b"", 1))

    def test_chunks_arrive_in_one_piece_for_each_read(self) -> None:
        response = self.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
        self.assertIs(response.length, UNKNOWN_LENGTH)
        self.assertEqual((self.body(response).body, self.connection.free), (b"ab", 1))

    def test_a_body_without_length_ends_with_an_orderly_close_only(self) -> None:
        for error, whole in ((ConnectionDone(), True), (ConnectionLost(), False)):
            self.setUp()
            reader = self.body(self.receive(b"HTTP/1.1 200 OK\r\n\r\nabc"))
            self.lose(error)
            assert reader.ended is not None
            self.assertEqual((reader.body, reader.ended.check(ResponseDone) is not None), (b"abc", whole))

    def test_a_body_that_is_cut_off_is_no_whole_one(self) -> None:
        for head in (HEAD, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"):
            self.setUp()
            reader = self.body(self.receive(head + b"abcd"))
            self.lose(ConnectionDone())
            assert reader.ended is not None
            self.assertIsNone(reader.ended.check(ResponseDone))

    def test_a_body_that_breaks_http_ends_with_the_reason(self) -> None:
        reader = self.body(self.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
        self.connection.dataReceived(b"no chunk\r\n")
        assert reader.ended is not None
        reader.ended.trap(h11.RemoteProtocolError)
        self.assertTrue(self.transport.disconnected)


class ChunkTests(ConnectionCase):
    HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def read(self, *pieces: bytes) -> Reader:
        reader = Reader()
        response = self.receive(self.HEAD)
        response.deliverBody(reader)
        for piece in pieces:
            self.connection.dataReceived(piece)
        return reader

    def test_a_body_of_many_small_chunks_is_given_up(self) -> None:
        reader = self.read(b"1\r\na\r\n" * 10_000)
        self.assertIsNone(reader.ended)
        self.connection.dataReceived(b"1\r\na\r\n" * 100)
        assert reader.ended is not None
        self.assertIn("too many small chunks", str(reader.ended.value))
        self.assertTrue(self.transport.disconnecting)

    def test_any_number_of_larger_chunks_is_read(self) -> None:
        reader = self.read(*[(b"80\r\n" + b"a" * 128 + b"\r\n") * 5000] * 4, b"0\r\n\r\n")
        self.assertIsNotNone(reader.ended)
        self.assertEqual(len(reader.body), 128 * 20_000)

    def test_a_chunk_that_comes_in_many_reads_is_one(self) -> None:
        reader = self.read(b"3e80\r\n", *[b"a"] * 16_000)
        self.assertEqual((len(reader.body), reader.ended), (16_000, None))


class ReuseTests(ConnectionCase):
    def test_not_after_surplus_bytes_or_where_the_origin_closes(self) -> None:
        for answer in (
            HEAD + b"abcdeX",
            HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"abcde",
            HEAD.replace(b"1.1", b"1.0") + b"abcde",
        ):
            self.setUp()
            self.receive(answer)
            self.assertEqual((self.connection.free, self.transport.disconnected), (0, True), answer)

    def test_not_after_bytes_between_responses(self) -> None:
        self.receive(HEAD + b"abcde")
        self.connection.dataReceived(b"H")
        self.assertEqual((self.connection.free, self.transport.disconnected), (0, True))

    def test_close_waits_for_the_response(self) -> None:
        answering = self.send()
        self.connection.close()
        self.assertFalse(self.transport.disconnected)
        self.connection.dataReceived(HEAD + b"abcde")
        self.successResultOf(answering)
        self.assertTrue(self.transport.disconnected)

    def test_close_of_an_idle_connection_is_at_once(self) -> None:
        self.connection.close()
        self.assertEqual((self.transport.disconnected, self.connection.free), (True, 0))


class HeadTests(ConnectionCase):
    def assert_breaks(self, *pieces: bytes) -> None:
        self.setUp()
        answering = self.send()
        for piece in pieces:
            self.connection.dataReceived(piece)
        self.failureResultOf(answering, ResponseFailed)
        self.assertTrue(self.transport.disconnected)

    def test_the_body_has_one_framing(self) -> None:
        chunked = b"Transfer-Encoding: chunked\r\n"
        self.assert_breaks(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + chunked + b"\r\n")
        self.assert_breaks(b"HTTP/1.1 200 OK\r\n" + chunked * 2 + b"\r\n")
        self.assert_breaks(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")
        self.assert_breaks(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n")
        self.assert_breaks(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n")

    def test_an_absurd_length_fails(self) -> None:
        self.assert_breaks(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"1" * 19 + b"\r\n\r\n")

    def test_the_head_has_a_limit_with_all_interim_responses(self) -> None:
        interim = b"HTTP/1.1 103 Early\r\nX: " + b"y" * 30_000 + b"\r\n\r\n"
        self.assert_breaks(interim, interim, interim)
        self.assert_breaks(
            interim, interim, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9_000 + b"\r\nContent-Length: 0\r\n\r\n"
        )
        self.assert_breaks(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 40_000, b"y" * 40_000)
        self.setUp()
        large = HEAD.replace(b"5", b"100000") + b"x" * 100_000
        self.assertEqual(self.receive(interim, interim + large).code, 200)

    def test_another_protocol_is_not_switched_to(self) -> None:
        self.assert_breaks(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
