"""Flow control over HTTP/2: windows open as readers take data, and no reader holds up another."""

from __future__ import annotations

from typing import Any

from imgforge.sources.http.http2_connection import Http2Connection
from tests.support.http2_origin import Http2Case, Http2Peer, Reader

WINDOW = 1024 * 1024


class FlowControlTests(Http2Case):
    def start(self, paused: bool) -> tuple[int, Any]:
        """A response under way: its stream and its reader."""
        reader = Reader(paused)
        self.peer.get(reader=reader)
        stream_id = max(self.peer.requests)
        self.peer.head(stream_id)
        return stream_id, reader

    def room(self, stream_id: int) -> int:
        """What the server may send on a stream."""
        return self.peer.server.local_flow_control_window(stream_id)

    def test_a_stream_has_a_window_of_1_mib(self) -> None:
        stream_id, _ = self.start(paused=True)
        self.assertEqual(self.room(stream_id), WINDOW)

    def test_a_reader_that_takes_data_opens_the_window(self) -> None:
        stream_id, reader = self.start(paused=False)
        for _ in range(8):
            self.peer.data(stream_id, b"x" * (WINDOW // 2))
        self.assertEqual(len(reader.received), 4 * WINDOW)
        self.assertEqual(self.room(stream_id), WINDOW)

    def test_a_reader_that_pauses_closes_its_own_window_only(self) -> None:
        held, reader = self.start(paused=True)
        self.peer.data(held, b"x" * WINDOW)
        self.assertEqual((self.room(held), reader.received), (0, b""))
        free, other = self.start(paused=False)
        for _ in range(4):
            self.peer.data(free, b"y" * WINDOW)
        self.assertEqual((len(other.received), self.room(free), self.room(held)), (4 * WINDOW, WINDOW, 0))

    def test_all_but_one_may_pause(self) -> None:
        for _ in range(63):
            held, _ = self.start(paused=True)
            self.peer.data(held, b"x" * WINDOW)
        free, reader = self.start(paused=False)
        for _ in range(4):
            self.peer.data(free, b"y" * WINDOW)
        self.assertEqual((len(reader.received), self.room(free)), (4 * WINDOW, WINDOW))

    def test_a_reader_that_resumes_gets_what_has_come_and_opens_the_window(self) -> None:
        stream_id, reader = self.start(paused=True)
        self.peer.data(stream_id, b"x" * WINDOW)
        reader.control.resumeProducing()
        self.peer.exchange()
        self.assertEqual(len(reader.received), WINDOW)
        self.assertGreaterEqual(self.room(stream_id), WINDOW // 2)

    def test_a_reader_may_pause_while_it_reads(self) -> None:
        stream_id, reader = self.start(paused=False)
        reader.on_data = lambda: reader.control.pauseProducing()
        self.peer.data(stream_id, b"x" * WINDOW, end_stream=True)
        turns = 0
        while not reader.complete:
            self.assertLessEqual(len(reader.received), (turns + 1) * 16384)
            turns += 1
            reader.control.resumeProducing()
        self.assertEqual((len(reader.received), self.connection.active), (WINDOW, 0))
        self.assertGreaterEqual(turns, WINDOW // 16384 - 1)

    def test_small_pieces_wait_as_large_ones(self) -> None:
        stream_id, reader = self.start(paused=True)
        pieces: list[int] = []
        reader.on_data = lambda: pieces.append(len(reader.received))
        for number in range(WINDOW // 64):
            self.peer.server.send_data(stream_id, b"%064d" % number)
        self.peer.exchange()
        reader.control.resumeProducing()
        self.assertEqual(reader.received, b"".join(b"%064d" % number for number in range(WINDOW // 64)))
        self.assertEqual(len(pieces), WINDOW // 4096)

    def test_a_reader_may_resume_while_it_reads(self) -> None:
        stream_id, reader = self.start(paused=False)
        reader.on_data = lambda: (reader.control.pauseProducing(), reader.control.resumeProducing())
        self.peer.data(stream_id, b"x" * WINDOW, end_stream=True)
        self.assertEqual((len(reader.received), reader.complete), (WINDOW, True))

    def test_what_is_unread_survives_the_connection_if_it_is_complete(self) -> None:
        stream_id, reader = self.start(paused=True)
        self.peer.data(stream_id, b"x" * 1000, end_stream=True)
        self.peer.lose(ConnectionError())
        reader.control.resumeProducing()
        self.assertEqual((len(reader.received), reader.complete), (1000, True))

    def test_what_is_unread_and_incomplete_fails_at_once(self) -> None:
        stream_id, reader = self.start(paused=True)
        self.peer.data(stream_id, b"x" * 1000)
        self.peer.lose(ConnectionError("gone"))
        self.assertEqual((reader.received, reader.complete, str(reader.end.value)), (b"", False, "gone"))
        reader.control.resumeProducing()
        self.assertEqual(reader.received, b"")

    def test_responses_that_are_given_up_leave_the_window_of_the_connection_open(self) -> None:
        """Unread data is acknowledged, and what is still on the way: 200 times 1 MiB pass a window of 128 MiB."""
        for number in range(200):
            stream_id, reader = self.start(paused=True)
            if number % 2:
                self.peer.data(stream_id, b"x" * WINDOW)
                reader.control.loseConnection()
            else:
                for _ in range(WINDOW // 16384):
                    self.peer.server.send_data(stream_id, b"x" * 16384)
                late = self.peer.server.data_to_send()
                reader.control.loseConnection()
                self.connection.dataReceived(late)
            self.peer.clock.advance(1)
            self.peer.exchange()
        self.assertFalse(self.peer.aborted)
        stream_id, reader = self.start(paused=False)
        for _ in range(4):
            self.peer.data(stream_id, b"x" * WINDOW)
        self.assertEqual(len(reader.received), 4 * WINDOW)

    def test_padding_takes_room_too(self) -> None:
        stream_id, reader = self.start(paused=False)
        for _ in range(4 * WINDOW // 400):
            self.peer.server.send_data(stream_id, b"x" * 200, pad_length=200)
            self.peer.exchange()
        self.assertGreaterEqual(self.room(stream_id), WINDOW // 2)
        self.assertEqual(len(reader.received), 200 * (4 * WINDOW // 400))

    def test_more_than_the_window_ends_the_connection(self) -> None:
        stream_id, reader = self.start(paused=True)
        peer, server = self.peer, self.peer.server
        peer.data(stream_id, b"x" * WINDOW)
        server.streams[stream_id].outbound_flow_control_window += 1000
        peer.data(stream_id, b"x")
        self.assertTrue(peer.aborted)
        self.assertFalse(reader.complete)

    def test_an_origin_that_does_not_read_gets_no_more_requests(self) -> None:
        producer: Any = self.peer.transport.producer
        producer.pauseProducing()
        self.assertEqual((self.connection.free, self.peer.states[-1]), (0, (0, 0, False)))
        producer.resumeProducing()
        self.assertEqual((self.connection.free, self.peer.states[-1]), (64, (64, 0, False)))

    def test_an_origin_that_never_reads_is_cut_off(self) -> None:
        answers = [self.peer.get() for _ in range(3)]
        producer: Any = self.peer.transport.producer
        producer.pauseProducing()
        waiting = _answer_pings(self.connection, self.peer, 5)
        self.assertTrue(self.peer.aborted)
        self.assertLess(waiting, 512 * 1024)
        self.assertEqual([type(answer.error).__name__ for answer in answers], ["Http2ResponseFailed"] * 3)

    def test_an_origin_that_reads_at_last_is_not(self) -> None:
        producer: Any = self.peer.transport.producer
        for _ in range(5):
            producer.pauseProducing()
            _answer_pings(self.connection, self.peer, 1)
            producer.resumeProducing()
        self.assertFalse(self.peer.aborted)


def _answer_pings(connection: Http2Connection, peer: Http2Peer, minutes: int) -> int:
    """Pings as often as is allowed, in *minutes*; the bytes of the answers."""
    for _ in range(minutes * 60):
        for _ in range(90):
            peer.server.ping(b"01234567")
        peer.clock.advance(1)
        connection.dataReceived(peer.server.data_to_send())
    return len(peer.transport.value())
