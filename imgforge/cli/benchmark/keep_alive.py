"""A connection that is kept: one request after another, by h11, with little work for each."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

import h11
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

__all__ = ["KeptConnection", "Reply"]

_LONGEST_REASON = 300  # bytes of an error's body


class Reply(NamedTuple):
    """A complete response: its status, the length and checksum of its body, the beginning of it, and whether its
    headers name a cache hit."""

    status: int
    length: int
    checksum: int
    beginning: bytes
    hit: bool


class KeptConnection(Protocol):
    """Sends the request that `ask` gets and fires its Deferred with the `Reply`; one at a time."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._waiting: Deferred[Reply] | None = None
        self._begin()
        self.usable = True  # whether another request may be sent
        self.lost = False  # whether the server or the network has closed it
        self.answered = False  # whether any byte of an answer to the last request has come

    def _begin(self) -> None:
        self._status = self._length = self._checksum = 0
        self._beginning = b""
        self._hit = False

    def ask(self, request: h11.Request) -> Deferred[Reply]:
        """The response to *request*; cancelling it closes the connection."""
        self._begin()
        self.answered = False
        self._waiting = Deferred(lambda _: self._abort())
        waiting = self._waiting
        data = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        self.transport.write(data)  # type: ignore[union-attr]  # it is connected
        return waiting

    def _abort(self) -> None:
        self.usable = False
        self._waiting = None
        self.transport.abortConnection()  # type: ignore[union-attr]  # TCP's and TLS's have it

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol`."""
        self.answered = True
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Data):
                    self._length += len(event.data)
                    self._checksum = crc32(event.data, self._checksum)
                    if self._status != 200 and len(self._beginning) < _LONGEST_REASON:
                        self._beginning += bytes(event.data[:_LONGEST_REASON])
                elif isinstance(event, h11.Response):
                    self._status = event.status_code
                    self._hit = any(
                        name == b"cache-status" and b"hit" in value.lower() for name, value in event.headers
                    )
                elif isinstance(event, h11.EndOfMessage):
                    self._finish()
                elif not isinstance(event, h11.InformationalResponse):  # NEED_DATA, PAUSED or ConnectionClosed
                    return
        except h11.ProtocolError as error:
            self._fail(Failure(error))

    def _finish(self) -> None:
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(Reply(self._status, self._length, self._checksum, self._beginning, self._hit))

    def close(self) -> None:
        """Close the connection."""
        self.usable = False
        if self.transport is not None:
            self.transport.loseConnection()

    def _fail(self, reason: Failure) -> None:
        self.close()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`; a body without a length ends with its connection."""
        self.lost = self._waiting is not None
        if self.lost:
            self._receive(b"")
        self._fail(Failure(ConnectionLost()) if reason.check(type(connectionDone.value)) else reason)
