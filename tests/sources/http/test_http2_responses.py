"""Responses over HTTP/2: which are accepted, and what a malformed one costs."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.web.client import ResponseFailed

from tests.support.http2_origin import Answer, Http2Case, Reader

PROTOCOL_ERROR = 1


class ResponseTests(Http2Case):
    def test_a_response_is_read(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, (b"content-type", b"image/png"), (b"content-length", b"6"))
        self.assertEqual((answer.response.code, answer.response.length), (200, 6))
        self.assertEqual(answer.response.version, (b"HTTP", 2, 0))
        self.assertEqual(answer.response.headers.getRawHeaders(b"Content-Type"), [b"image/png"])
        self.peer.data(1, b"abc")
        self.peer.data(1, b"def", end_stream=True)
        reader: Any = answer.reader
        self.assertEqual((reader.received, reader.complete), (b"abcdef", True))
        self.assertEqual((self.connection.active, self.peer.resets()), (0, {}))

    def test_a_body_without_a_length_ends_with_its_stream(self) -> None:
        answer = self.peer.get()
        self.peer.head(1)
        self.peer.data(1, b"abc", end_stream=True)
        self.assertTrue(answer.reader is not None and answer.reader.complete)

    def test_responses_come_in_any_order(self) -> None:
        first, second = self.peer.get(b"/1"), self.peer.get(b"/2")
        self.peer.head(3)
        self.peer.head(1)
        self.peer.data(3, b"second", end_stream=True)
        self.peer.data(1, b"first", end_stream=True)
        self.assertEqual([first.body, second.body], [b"first", b"second"])

    def test_the_body_waits_for_its_reader(self) -> None:
        deferred = self.connection.send(b"origin.example", b"/", [])
        self.peer.exchange()
        self.peer.respond(1)
        self.assertEqual(self.connection.active, 1)
        reader = Reader()
        self.successResultOf(deferred).deliverBody(reader)
        self.assertEqual((reader.received, reader.complete, self.connection.active), (b"image", True, 0))

    def test_a_response_without_a_body(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, status=b"404", end_stream=True)
        self.assertEqual((answer.response.code, answer.response.length, answer.body), (404, 0, b""))

    def test_the_length_of_a_304_is_not_that_of_its_body(self) -> None:
        for stream_id, end_stream in ((1, True), (3, False)):
            answer = self.peer.get()
            self.peer.head(stream_id, (b"content-length", b"5"), status=b"304", end_stream=end_stream)
            self.assertEqual((answer.response.length, answer.body), (0, b""))
        self.peer.get()
        self.assertEqual(self.connection.active, 1)

    def test_interim_responses_and_trailers_are_ignored(self) -> None:
        answer = self.peer.get()
        for _ in range(10):
            self.peer.head(1, (b"link", b"</a>"), status=b"103")
        self.peer.head(1)
        self.peer.data(1, b"abc")
        self.peer.server.send_headers(1, [(b"x-checksum", b"1")], end_stream=True)
        self.peer.exchange()
        self.assertEqual((answer.response.code, answer.body), (200, b"abc"))
        self.assertFalse(answer.response.headers.hasHeader(b"x-checksum"))


class MalformedResponseTests(Http2Case):
    """One malformed response fails, and its stream is reset; the others go on."""

    def assert_refused(self, answer: Answer, text: str = "") -> None:
        other = self.peer.get(b"/other")
        self.peer.respond(3, b"other")
        self.assert_failed(answer, ResponseFailed, text)
        self.assertEqual(self.peer.resets().get(1, PROTOCOL_ERROR), PROTOCOL_ERROR)
        self.assertEqual((other.body, self.connection.active), (b"other", 0))

    def test_too_short_a_body(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, (b"content-length", b"4"))
        self.peer.data(1, b"abc", end_stream=True)
        self.assert_refused(answer, "shorter")

    def test_too_long_a_body(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, (b"content-length", b"2"))
        self.peer.data(1, b"abc")
        self.assert_refused(answer, "longer")
        self.assertEqual(answer.reader and answer.reader.received, b"")

    def test_a_body_that_is_missing(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, (b"content-length", b"4"), end_stream=True)
        self.assert_refused(answer, "shorter")

    def test_a_body_that_trailers_cut_off(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, (b"content-length", b"4"))
        self.peer.data(1, b"abc")
        self.peer.server.send_headers(1, [(b"x-checksum", b"1")], end_stream=True)
        self.peer.exchange()
        self.assert_refused(answer, "shorter")

    def test_headers_of_http_1_1(self) -> None:
        for name in (b"connection", b"transfer-encoding", b"keep-alive", b"upgrade", b"proxy-connection"):
            self.setUp()
            answer = self.peer.get()
            self.peer.head(1, (name, b"x"))
            self.assert_refused(answer, "HTTP/1.1")

    def test_two_lengths(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, (b"content-length", b"5"), (b"content-length", b"5"))
        self.assert_refused(answer, "Content-Length")

    def test_a_length_beyond_all_bodies(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, (b"content-length", b"9" * 30))
        self.assert_refused(answer, "Content-Length")

    def test_malformed_fields(self) -> None:
        for name, value in (
            (b"X-Upper", b""),
            (b"", b""),
            (b"a b", b""),
            (b"a", b"b\nc"),
            (b":path", b"/"),
            (b"a:", b""),
        ):
            self.setUp()
            answer = self.peer.get()
            self.peer.head(1, (name, value))
            self.assert_refused(answer, "malformed header")

    def test_malformed_statuses(self) -> None:
        for status in (b"", b"20", b"2000", b"600", b"abc", b"+20"):
            self.setUp()
            answer = self.peer.get()
            self.peer.head(1, status=status)
            self.assert_refused(answer, "status")

    def test_too_many_interim_responses(self) -> None:
        answer = self.peer.get()
        for _ in range(11):
            self.peer.head(1, status=b"103")
        self.assert_refused(answer, "interim")

    def test_interim_responses_and_the_head_share_one_limit(self) -> None:
        answer = self.peer.get()
        for _ in range(5):
            self.peer.head(1, (b"link", b"x" * 15_000), status=b"103")
        self.assert_refused(answer, "65536")

    def test_trailers_count_as_well(self) -> None:
        answer = self.peer.get()
        self.peer.head(1, (b"a", b"x" * 40_000))
        self.peer.server.send_headers(1, [(b"b", b"x" * 40_000)], end_stream=True)
        self.peer.exchange()
        self.assert_refused(answer, "65536")


class SplitTests(Http2Case):
    @given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
    def test_bytes_may_be_split_anywhere(self, cuts: list[int]) -> None:
        self.setUp()
        answers = [self.peer.get(b"/%d" % number) for number in range(3)]
        server = self.peer.server
        for stream_id in (3, 1, 5):
            server.send_headers(stream_id, [(b":status", b"103")])
            server.send_headers(stream_id, [(b":status", b"200"), (b"content-length", b"90")])
        for stream_id in (5, 3, 1):
            server.send_data(stream_id, b"%d" % stream_id * 90, pad_length=3)
        server.ping(b"01234567")
        for stream_id in (1, 5, 3):
            server.end_stream(stream_id)
        sent = server.data_to_send()
        while sent:
            size = cuts.pop() if cuts else len(sent)
            self.connection.dataReceived(sent[:size])
            sent = sent[size:]
        self.peer.exchange()
        self.assertEqual([answer.body for answer in answers], [b"1" * 90, b"3" * 90, b"5" * 90])
