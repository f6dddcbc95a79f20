"""A response of an origin: its head, and its body on the way to one protocol, under back-pressure."""

from __future__ import annotations

from typing import Any
from typing import Protocol as Shape

from twisted.internet.interfaces import IProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IClientRequest, IResponse
from zope.interface import implementer

__all__ = ["BodyControl", "OriginResponse"]


class BodyControl(Shape):
    """What a connection lets the reader of a body do."""

    def pause_body(self) -> None:
        """Send no more bytes until `resume_body`."""

    def resume_body(self) -> None:
        """Send bytes again."""

    def abandon_body(self) -> None:
        """Give up the rest of the response."""


@implementer(IPushProducer, ITransport)
class _BodyTransport:
    """The transport of the protocol that reads the body."""

    disconnecting = False
    paused = False

    def __init__(self, control: BodyControl) -> None:
        self._control = control

    def pauseProducing(self) -> None:
        self.paused = True
        self._control.pause_body()

    def resumeProducing(self) -> None:
        self.paused = False
        self._control.resume_body()

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        self.disconnecting = True
        self._control.abandon_body()

    abortConnection = loseConnection

    def write(self, data: bytes) -> None:
        raise NotImplementedError("a response cannot be written to")

    def writeSequence(self, data: Any) -> None:
        raise NotImplementedError("a response cannot be written to")

    def getPeer(self) -> Any:
        raise NotImplementedError

    def getHost(self) -> Any:
        raise NotImplementedError


@implementer(IResponse)
class OriginResponse:
    """See `IResponse`. Until `deliverBody` the connection is paused; few bytes that came with the head are kept.

    It is paused where nobody reads the body once the request's callbacks have run.
    """

    request: IClientRequest | None = None
    previousResponse: IResponse | None = None

    def __init__(
        self, version: tuple[bytes, int, int], code: int, headers: Headers, length: int | None, control: BodyControl
    ) -> None:
        self.version = version
        self.code = code
        self.phrase = b""
        self.headers = headers
        self.length: Any = UNKNOWN_LENGTH if length is None else length
        self._control = control
        self._reader: IProtocol | None = None
        self._early: list[bytes] = []
        self._end: Failure | None = None
        self._ended = False

    @property
    def has_reader(self) -> bool:
        """Whether the body goes to a protocol already."""
        return self._reader is not None

    def deliverBody(self, protocol: IProtocol) -> None:
        """See `IResponse`."""
        self._reader = protocol
        transport = _BodyTransport(self._control)
        protocol.makeConnection(transport)
        early, self._early = self._early, []
        for data in early:
            protocol.dataReceived(data)
        if self._end is not None:
            self._finish(self._end)
        elif not transport.paused:  # by the protocol, as soon as it was connected
            self._control.resume_body()

    def setPreviousResponse(self, response: IResponse) -> None:
        """See `IResponse`."""
        self.previousResponse = response

    def data_received(self, data: bytes) -> None:
        """The connection has read bytes of the body."""
        if self._reader is None:
            self._early.append(data)
        elif not self._ended:
            self._reader.dataReceived(data)

    def body_ended(self, reason: Failure | None = None) -> None:
        """The body is complete, or has ended for *reason*."""
        self._end = reason or Failure(ResponseDone())
        if self._reader is not None:
            self._finish(self._end)

    def _finish(self, reason: Failure) -> None:
        if not self._ended and self._reader is not None:
            self._ended = True
            self._reader.connectionLost(reason)
