"""How a connection over HTTP/2 ends: GOAWAY, resets, close, abort, and origins that are gone without a word."""

from __future__ import annotations

from typing import Any

from hyperframe.frame import GoAwayFrame, RstStreamFrame
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.web.client import ResponseFailed

from imgforge.sources.http.origin_connection import NotSent
from tests.support.http2_origin import Http2Case, Http2Peer, Reader

REFUSED_STREAM, INTERNAL_ERROR, ENHANCE_YOUR_CALM = 7, 2, 11


def goaway(last: int, code: int = 0) -> GoAwayFrame:
    return GoAwayFrame(0, last_stream_id=last, error_code=code, additional_data=b"bye")


class GoawayTests(Http2Case):
    def test_streams_that_the_origin_answers_are_finished_and_the_others_sent_elsewhere(self) -> None:
        answers = [self.peer.get(b"/%d" % number) for number in range(3)]
        self.peer.raw(goaway(3))
        self.assert_failed(answers[2], NotSent)
        self.assertEqual((self.connection.free, self.connection.active), (0, 2))
        self.peer.respond(3, b"second")
        self.assertFalse(self.peer.closing)
        self.peer.respond(1, b"x" * 500_000)
        self.assertEqual([len(answer.reader.received) for answer in answers if answer.reader], [500_000, 6, 0])
        self.assertTrue(self.peer.closing)
        self.assertEqual(self.peer.states[-1], (0, 0, False))
        self.peer.lose(ConnectionDone())
        self.assertEqual(self.peer.states[-1], (0, 0, True))

    def test_a_graceful_shutdown_in_two_steps(self) -> None:
        """RFC 9113, section 6.8: first a GOAWAY that allows all streams, then one that names the last."""
        answers = [self.peer.get(b"/%d" % number) for number in range(2)]
        self.peer.raw(goaway(2**31 - 1))
        self.assertEqual((self.connection.free, self.connection.active), (0, 2))
        self.failureResultOf(self.connection.send(b"origin.example", b"/", []), NotSent)
        self.peer.raw(goaway(1))
        self.assert_failed(answers[1], NotSent)
        self.peer.respond(1)
        self.assertTrue(answers[0].reader and answers[0].reader.complete)
        self.assertTrue(self.peer.closing)

    def test_an_idle_connection_closes_at_once(self) -> None:
        self.peer.raw(goaway(0))
        self.assertTrue(self.peer.closing)

    def test_a_body_that_waits_for_its_reader_is_still_read(self) -> None:
        reader: Any = Reader(paused=True)
        self.peer.get(reader=reader)
        self.peer.head(1)
        self.peer.data(1, b"abc", end_stream=True)
        self.peer.raw(goaway(1, ENHANCE_YOUR_CALM))
        self.assertFalse(self.peer.closing)
        reader.control.resumeProducing()
        self.assertEqual((reader.received, reader.complete, self.peer.closing), (b"abc", True, True))

    def test_a_goaway_within_a_header_block_is_an_error(self) -> None:
        answer = self.peer.get()
        block = self.peer.block((b":status", b"200"))
        self.peer.raw(b"\0\0%c\1\0\0\0\0\1" % len(block) + block, goaway(1))
        self.assertTrue(self.peer.aborted)
        self.assert_failed(answer, ResponseFailed, "header block")

    def test_a_malformed_goaway_is_an_error(self) -> None:
        for frame in (b"\0\0\4\7\0\0\0\0\0" + bytes(4), b"\0\0\10\7\0\0\0\0\1" + bytes(8)):
            peer = Http2Peer()
            peer.raw(frame)
            self.assertTrue(peer.aborted)

    def test_data_of_a_stream_that_the_origin_disclaimed_is_dropped(self) -> None:
        answers = [self.peer.get(b"/%d" % number) for number in range(2)]
        self.peer.raw(goaway(1))
        self.peer.respond(3)
        self.peer.respond(1)
        self.assert_failed(answers[1], NotSent)
        self.assertTrue(answers[0].reader and answers[0].reader.complete)


class ResetTests(Http2Case):
    def reset(self, stream_id: int, code: int) -> None:
        self.peer.raw(RstStreamFrame(stream_id, error_code=code))

    def test_a_refused_stream_is_sent_elsewhere(self) -> None:
        answer = self.peer.get()
        self.reset(1, REFUSED_STREAM)
        self.assert_failed(answer, NotSent)
        self.assertEqual((self.connection.free, self.connection.active), (64, 0))

    def test_a_stream_refused_after_its_head_has_failed(self) -> None:
        answer = self.peer.get()
        self.peer.head(1)
        self.reset(1, REFUSED_STREAM)
        self.assert_failed(answer, ResponseFailed, "REFUSED_STREAM")

    def test_a_reset_before_the_head(self) -> None:
        answer = self.peer.get()
        self.reset(1, INTERNAL_ERROR)
        self.assert_failed(answer, ResponseFailed, "the origin reset the stream: INTERNAL_ERROR")

    def test_a_reset_within_the_body(self) -> None:
        answer, other = self.peer.get(), self.peer.get()
        self.peer.head(1, (b"content-length", b"10"))
        self.peer.data(1, b"abc")
        self.reset(1, 0)
        self.assert_failed(answer, ResponseFailed, "NO_ERROR")
        self.peer.respond(3)
        self.assertTrue(other.reader and other.reader.complete)

    def test_an_unknown_code(self) -> None:
        answer = self.peer.get()
        self.reset(1, 4711)
        self.assert_failed(answer, ResponseFailed, "4711")

    def test_a_reset_after_the_end_changes_nothing(self) -> None:
        answer = self.peer.get()
        self.peer.respond(1)
        self.reset(1, 0)
        self.assertTrue(answer.reader and answer.reader.complete)
        self.assertFalse(self.peer.aborted)


class CloseTests(Http2Case):
    def test_close_waits_for_the_last_response(self) -> None:
        answer = self.peer.get()
        self.connection.close()
        self.assertEqual((self.connection.free, self.peer.closing, self.peer.goaways()), (0, False, 0))
        self.peer.respond(1)
        self.assertTrue(answer.reader and answer.reader.complete)
        self.assertEqual((self.peer.closing, self.peer.goaways()), (True, 1))

    def test_a_transport_that_does_not_close_is_aborted(self) -> None:
        """Under TLS an orderly close waits for the origin's."""
        self.connection.close()
        self.peer.clock.advance(4.9)
        self.assertTrue(self.peer.closing)
        self.peer.clock.advance(0.2)
        self.assertTrue(self.peer.aborted)

    def test_no_timer_is_left(self) -> None:
        self.connection.close()
        self.peer.lose(ConnectionDone())
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])

    def test_abort_fails_all(self) -> None:
        answers = [self.peer.get() for _ in range(2)]
        self.peer.head(3)
        self.connection.abort()
        for answer in answers:
            self.assert_failed(answer, ResponseFailed)
        self.assertEqual((self.peer.aborted, self.peer.states[-1]), (True, (0, 0, False)))
        self.peer.raw(b"late")
        self.peer.lose(ConnectionDone())
        self.assertEqual(self.peer.states[-1], (0, 0, True))

    def test_a_connection_that_is_lost_fails_its_requests(self) -> None:
        answers = [self.peer.get() for _ in range(2)]
        self.peer.head(1)
        self.peer.data(1, b"abc")
        self.peer.lose(ConnectionLost("gone"))
        for answer in answers:
            self.assert_failed(answer, ResponseFailed, "gone")

    def test_an_end_without_a_length_is_no_end_if_the_connection_is_lost(self) -> None:
        answer = self.peer.get()
        self.peer.head(1)
        self.peer.data(1, b"abc")
        self.peer.lose(ConnectionDone())
        self.assert_failed(answer, ResponseFailed)

    def test_a_request_that_the_origin_saw_too_late_is_sent_elsewhere(self) -> None:
        """The origin closed a kept connection while the request was on its way."""
        self.peer.get()
        self.peer.respond(1)
        answer = self.peer.get()
        self.peer.lose(ConnectionDone())
        self.assert_failed(answer, NotSent)

    def test_a_request_of_which_anything_came_is_not(self) -> None:
        self.peer.get()
        self.peer.respond(1)
        answer = self.peer.get()
        self.peer.server.ping(b"01234567")
        self.peer.exchange()
        self.peer.lose(ConnectionDone())
        self.assert_failed(answer, ResponseFailed)


class DeadOriginTests(Http2Case):
    """A request given up before anything came makes imgforge ask by PING whether the origin is there."""

    def test_an_origin_that_answers_keeps_its_connection(self) -> None:
        self.peer.get().deferred.cancel()
        self.peer.exchange()
        self.peer.clock.advance(60)
        self.assertFalse(self.peer.aborted)
        self.assertEqual(self.connection.free, 64)

    def test_one_that_does_not_loses_it(self) -> None:
        self.peer.get()
        self.peer.respond(1)
        answers = [self.peer.get() for _ in range(3)]
        answers[0].deferred.cancel()
        answers[1].deferred.cancel()
        self.assertEqual(len(self.peer.clock.getDelayedCalls()), 1)
        self.peer.clock.advance(5)
        self.assertTrue(self.peer.aborted)
        self.assert_failed(answers[2], NotSent)
        self.assertEqual(self.peer.states[-1], (0, 0, False))

    def test_one_that_sends_anything_is_not_asked(self) -> None:
        answer = self.peer.get()
        self.peer.head(1)
        reader: Any = answer.reader
        reader.control.loseConnection()
        self.peer.clock.advance(0)
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])

    def test_no_timer_is_left(self) -> None:
        self.peer.get().deferred.cancel()
        self.connection.abort()
        self.assertEqual(self.peer.clock.getDelayedCalls(), [])
