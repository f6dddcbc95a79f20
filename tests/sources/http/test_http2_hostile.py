"""Origins that break HTTP/2 or flood: the connection is aborted, its requests fail, and one log line says why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.client import ResponseFailed

from tests.support.http2_hostile import FLOOD, HostileCase, unknown
from tests.support.http2_origin import Answer, Http2Peer, Reader


class HeaderTests(HostileCase):
    def headers(self, block: bytes, *flags: str) -> HeadersFrame:
        return HeadersFrame(3, data=block, flags=flags)

    def test_continuations_without_end(self) -> None:
        frames = [self.headers(b"", "END_STREAM"), *[ContinuationFrame(3)] * FLOOD]
        self.assert_aborted(lambda: self.peer.raw(*frames))

    def test_a_block_that_is_too_long(self) -> None:
        frames = [self.headers(bytes(16000)), *[ContinuationFrame(3, data=bytes(16000))] * 4]
        self.assert_aborted(lambda: self.peer.raw(*frames), "65536")

    def test_a_bomb(self) -> None:
        """One field of 4 kB in the table, and 100 references to it."""
        block = self.peer.block((b":status", b"200"), *[(b"a", b"!" * 4000)] * 100)
        self.assertLess(len(block), 6000)
        self.assert_aborted(lambda: self.peer.raw(self.headers(block, "END_HEADERS")), "65536")

    def test_a_block_that_is_no_hpack(self) -> None:
        self.assert_aborted(lambda: self.peer.raw(self.headers(b"\xff" * 20, "END_HEADERS")))

    def test_what_the_origin_sent_does_not_fill_the_log(self) -> None:
        block = b"\x7f" + b"\xff" * 16000  # a number without end, which hpack quotes
        self.assert_aborted(lambda: self.peer.raw(self.headers(block, "END_HEADERS")), "integer")
        self.assertLess(len(self.lines[0]), 300)

    def test_a_table_that_grows(self) -> None:
        self.assert_aborted(lambda: self.peer.raw(self.headers(b"\x3f\xff\xff\x7f", "END_HEADERS")))

    def test_a_length_that_is_no_number(self) -> None:
        """The versions of h2 differ: the stream fails, or the connection."""
        answer = self.peer.get()
        block = self.peer.block((b":status", b"200"), (b"content-length", b"-1"))
        self.peer.raw(HeadersFrame(1, data=block, flags=["END_HEADERS"]))
        self.assert_failed(answer, ResponseFailed)
        self.assertIn("content-length", str(answer.error).lower())

    def test_an_origin_may_not_make_our_table_large(self) -> None:
        self.peer.settings(header_table_size=2**30)
        self.peer.exchange()
        for number in range(200):
            self.peer.get(b"/", (b"User-Agent", b"imgforge %d" % number))
            self.peer.respond(2 * number + 1)
        self.assertLessEqual(self.peer.server.decoder.header_table.maxsize, 4096)
        self.assertFalse(self.peer.aborted)


class ProtocolTests(HostileCase):
    def assert_refused(self, *frames: Frame | bytes, text: str = "") -> None:
        self.setUp()
        self.assert_aborted(lambda: self.peer.raw(*frames), text)

    def test_frames_that_no_server_sends(self) -> None:
        status = self.peer.block((b":status", b"200"))
        request = self.peer.block((b":method", b"GET"), (b":path", b"/"), (b":scheme", b"https"))
        for frame in (
            HeadersFrame(5, data=status, flags=["END_HEADERS"]),  # no such request
            HeadersFrame(2, data=request, flags=["END_HEADERS"]),
            DataFrame(5, data=b"x"),
            DataFrame(3, data=b"x"),  # before the head
            DataFrame(2, data=b"x"),
            RstStreamFrame(2),
            ContinuationFrame(1, data=b"", flags=["END_HEADERS"]),
            PushPromiseFrame(1, promised_stream_id=2, data=request, flags=["END_HEADERS"]),
            SettingsFrame(0, settings={5: 10}),
            SettingsFrame(0, settings=dict.fromkeys(range(100, 140), 1)),
            WindowUpdateFrame(0, window_increment=2**31 - 1),
            b"\0\0\4\x08\0\0\0\0\0\0\0\0\0",  # WINDOW_UPDATE by 0
            b"\0\0\1\6\0\0\0\0\0x",  # PING of a byte
            b"\0\0\1\0\x08\0\0\0\1\xff",  # more padding than frame
            b"\xff\xff\xff\0\0\0\0\0\1",  # 16 MiB
        ):
            with self.subTest(frame=frame):
                self.assert_refused(frame)

    def test_two_answers_to_one_request(self) -> None:
        self.peer.get(reader=Reader())
        self.peer.respond(1)
        self.peer.raw(HeadersFrame(1, data=self.peer.block((b":status", b"200")), flags=["END_HEADERS"]))
        self.assertTrue(self.peer.aborted)

    def test_settings_without_end(self) -> None:
        """h2 keeps all identifiers: 1,024 are enough."""

        def attack() -> None:
            for start in range(100, 2100, 30):
                settings = b"".join(number.to_bytes(2, "big") + bytes(4) for number in range(start, start + 30))
                self.peer.raw(b"\0\0%c\4\0\0\0\0\0" % len(settings) + settings)
                self.peer.clock.advance(1)

        self.assert_aborted(attack, "settings")

    def test_bytes_before_settings(self) -> None:
        for greeting in (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            PingFrame(0, opaque_data=b"01234567").serialize(),
            SettingsFrame(0, flags=["ACK"]).serialize(),
            unknown(),
        ):
            self.setUp()
            self.peer = Http2Peer(silent=True)
            self.connection = self.peer.connection
            answer = self.peer.connection.send(b"origin.example", b"/", [])
            self.peer.raw(greeting)
            self.failureResultOf(answer, ResponseFailed)
            self.assertTrue(self.peer.aborted)
            self.assertIn("no SETTINGS", self.lines[0])

    def test_a_response_before_the_breach_stays_whole(self) -> None:
        answer = self.peer.get()
        self.peer.server.send_headers(1, [(b":status", b"200")])
        self.peer.server.send_data(1, b"image", end_stream=True)
        self.peer.raw(self.peer.server.data_to_send() + DataFrame(2).serialize())
        self.assertTrue(answer.reader and answer.reader.complete)
        self.assertTrue(self.peer.aborted)


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


STREAM_IDS = st.sampled_from((0, 1, 1, 2, 3, 3, 5, 2**31 - 1))
FIELDS = st.lists(
    st.tuples(
        st.sampled_from((b":status", b"content-length", b"connection", b":path", b"a", b"B", b"")),
        st.sampled_from((b"200", b"103", b"304", b"5", b"-1", b"x", b"")),
    ),
    max_size=4,
)
PIECES = st.one_of(
    st.builds(frame, st.integers(0, 12), st.integers(0, 255), STREAM_IDS, st.binary(max_size=40)),
    st.builds(frame, st.just(0), st.sampled_from((0, 1, 8, 9)), STREAM_IDS, st.binary(max_size=12)),
    st.builds(frame, st.sampled_from((3, 7, 8)), st.just(0), STREAM_IDS, st.binary(min_size=4, max_size=8)),
    st.builds(
        lambda fields, flags, stream_id: frame(1, flags, stream_id, Encoder().encode(fields)),
        st.one_of(FIELDS, st.just([(b":status", b"200")])),
        st.sampled_from((4, 5, 0, 0x24)),
        st.sampled_from((1, 3)),
    ),
    st.binary(max_size=30),
)
ACTIONS = st.sampled_from(("cancel", "close", "tick", "pauseProducing", "resumeProducing", "loseConnection"))


class FuzzTests(HostileCase):
    @given(st.lists(st.one_of(PIECES, PIECES, ACTIONS), max_size=25))
    def test_whatever_comes_each_request_ends_once(self, steps: list[bytes | str]) -> None:
        peer = Http2Peer()
        connection = peer.connection
        answers = [peer.get(b"/%d" % number) for number in range(2)]
        for step in steps:
            if isinstance(step, bytes):
                connection.dataReceived(step)
            elif step == "cancel":
                answers[0].deferred.cancel()
            elif step == "close":
                connection.close()
            elif step == "tick":
                peer.clock.advance(1)
            else:
                self.read(answers, step)
        peer.lose(ConnectionError())
        peer.clock.advance(0)
        self.read(answers, "resumeProducing")
        for answer in answers:
            self.assertTrue((answer.failure is None) != (answer.response is None))
            self.assertIsNotNone(answer.error)
        self.assertEqual(peer.states[-1], (0, 0, True))
        self.assertEqual(peer.clock.getDelayedCalls(), [])

    def read(self, answers: Iterable[Answer], action: str) -> None:
        for answer in answers:
            reader: Any = answer.reader
            if answer.response is not None and reader.end is None:
                getattr(reader.control, action)()
