"""Origins that flood a connection over HTTP/2 with frames that bring nothing."""

from __future__ import annotations

from typing import Any

from hyperframe.frame import (
    AltSvcFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from imgforge.sources.http.http2_frames import FrameBudget
from tests.support.http2_hostile import FLOOD, HostileCase, unknown
from tests.support.http2_origin import Reader


class FloodTests(HostileCase):
    """Each kind of frame that brings nothing: as many as are allowed pass, one more does not."""

    def assert_bounded(self, frame: Frame | bytes, cost: int = 1) -> None:
        # The server has sent its SETTINGS, and acknowledged ours.
        allowed = (FrameBudget.BURST + FrameBudget.REQUEST - 2 * FrameBudget.SETTINGS) // cost
        self.assert_survives(lambda: self.flood(frame, allowed))
        self.setUp()
        self.assert_aborted(lambda: self.flood(frame, FLOOD // cost + 1), "flood")

    def test_ping(self) -> None:
        self.assert_bounded(PingFrame(0, opaque_data=b"01234567"))

    def test_answers_to_no_ping(self) -> None:
        self.assert_bounded(PingFrame(0, opaque_data=b"01234567", flags=["ACK"]))

    def test_settings(self) -> None:
        self.assert_bounded(SettingsFrame(0, settings={4: 65535}), cost=10)

    def test_window_update(self) -> None:
        self.assert_bounded(WindowUpdateFrame(0, window_increment=1))

    def test_window_update_of_a_stream(self) -> None:
        self.assert_bounded(WindowUpdateFrame(1, window_increment=1))

    def test_priority(self) -> None:
        self.assert_bounded(PriorityFrame(1, depends_on=3))

    def test_unknown_frames(self) -> None:
        self.assert_bounded(unknown(10))

    def test_alternative_services(self) -> None:
        self.assert_bounded(AltSvcFrame(0, origin=b"https://other.example", field=b"h2=':443'"))

    def test_empty_data(self) -> None:
        self.assert_bounded(DataFrame(1))

    def test_data_of_padding(self) -> None:
        self.assert_bounded(DataFrame(1, pad_length=200, flags=["PADDED"]))

    def test_data_of_a_byte(self) -> None:
        self.assert_bounded(DataFrame(1, data=b"x"))

    def test_resets_of_streams_that_are_over(self) -> None:
        self.peer.get()
        self.peer.respond(1)
        self.flood(RstStreamFrame(1, error_code=2))
        self.assertTrue(self.peer.aborted)

    def test_what_comes_slowly_is_no_flood(self) -> None:
        def slowly() -> None:
            for _ in range(100):
                self.peer.clock.advance(1)
                self.flood(PingFrame(0, opaque_data=b"01234567"), FrameBudget.PER_SECOND)

        self.assert_survives(slowly)

    def test_a_rest_does_not_save_up_for_a_flood(self) -> None:
        self.peer.clock.advance(3600)
        self.assert_aborted(lambda: self.flood(PingFrame(0, opaque_data=b"01234567")), "flood")

    def test_a_body_in_small_pieces_is_no_flood(self) -> None:
        def pieces() -> None:
            for _ in range(5 * FLOOD):
                self.peer.server.send_data(1, b"x" * 64)
            self.peer.exchange()

        self.assert_survives(pieces)

    def test_an_origin_that_resets_whatever_it_is_asked(self) -> None:
        """Rapid reset, by the server."""
        for number in range(FLOOD):
            self.peer.get()
            self.peer.raw(RstStreamFrame(2 * number + 1, error_code=2))
            if self.peer.aborted:
                break
        self.assertTrue(self.peer.aborted)
        self.assertLess(number, 150)

    def test_an_origin_that_answers_may_reset(self) -> None:
        for number in range(FLOOD):
            self.peer.get()
            self.peer.head(2 * number + 1)
            self.peer.server.reset_stream(2 * number + 1, 2)
            self.peer.exchange()
        self.assertFalse(self.peer.aborted)

    def test_data_without_end_of_a_response_that_was_given_up(self) -> None:
        answer: Any = self.peer.get()
        self.peer.head(1)
        answer.reader.control.loseConnection()
        self.flood(DataFrame(1, data=b"x" * 10_000), FLOOD + FrameBudget.GIVEN_UP)
        self.assertTrue(self.peer.aborted)

    def test_all_data_on_the_way_to_responses_that_were_given_up(self) -> None:
        """64 readers leave at once, while 1 MiB in small frames is on the way to each."""
        readers = [Reader(paused=True) for _ in range(64)]
        for reader in readers:
            self.peer.get(reader=reader)
            self.peer.head(max(self.peer.requests))
        for stream_id in self.peer.requests:
            for _ in range(128):
                self.peer.server.send_data(stream_id, b"x" * 8192)
        late = self.peer.server.data_to_send()
        for reader in readers:
            control: Any = reader.control
            control.loseConnection()
        self.connection.dataReceived(late)
        self.assertFalse(self.peer.aborted)

    def test_headers_without_end_of_a_response_that_was_given_up(self) -> None:
        self.peer.get().deferred.cancel()
        self.flood(HeadersFrame(1, data=self.peer.block((b":status", b"200")), flags=["END_HEADERS"]))
        self.assertTrue(self.peer.aborted)
