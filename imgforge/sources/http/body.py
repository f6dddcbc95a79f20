"""The bodies of origins' answers: collected under a limit, or passed on with back-pressure."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse
from zope.interface import implementer

from imgforge.errors import ImgforgeError, OriginFailed, OriginTimeout, SourceTooLarge
from imgforge.interfaces import Reserve, unlimited_reserve
from imgforge.sources.http.encoding import Inflater

__all__ = ["collect", "discard", "forward"]

# What one read of a compressed body may become: the reactor waits for it.
_BURST = 16 * 1024 * 1024
# By how much a body of unknown length grows at least.
_STEP = 1024 * 1024


class _Receiver(Protocol):
    """What both ways share: `done` fires at the end; cancelling it, or a failure, cuts the connection."""

    def __init__(self, inflater: Inflater | None) -> None:
        self._inflater = inflater
        self.done: Deferred[Any] = Deferred(lambda _: self.stop())

    def stop(self) -> None:
        """Drop the connection: what still comes is not wanted."""
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()

    def fail(self, error: ImgforgeError) -> None:
        if not self.done.called:
            self.stop()
            self.done.errback(error)

    def dataReceived(self, data: bytes) -> None:
        if self.done.called:
            return
        try:
            self.received(data if self._inflater is None else self._inflater.unpack(data, self.room()))
        except ImgforgeError as error:
            self.fail(error)

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008  # twisted's signature
        if self.done.called:
            return
        # A body without a declared length ends with its connection; whether it is whole, the decoder will tell.
        if not reason.check(ResponseDone, PotentialDataLoss):
            self.fail(OriginFailed("the origin broke off before the end").caused_by(reason.getErrorMessage()))
            return
        try:
            if self._inflater is not None:
                self._inflater.finish()
        except ImgforgeError as error:
            self.fail(error)
        else:
            self.finished()

    def room(self) -> int:
        """How many bytes may still come."""
        return _BURST

    def received(self, data: bytes) -> None:
        raise NotImplementedError

    def finished(self) -> None:
        raise NotImplementedError


class _Collector(_Receiver):
    """Keeps the bytes; where there is no room for more, the connection is not read from until there is."""

    def __init__(self, inflater: Inflater | None, limit: int | None, room: Reserve, expected: int) -> None:
        super().__init__(inflater)
        self._limit = limit
        self._room = room
        self._granted = 0 if inflater is not None else expected
        self._growing: Deferred[None] | None = None
        self._ended = False
        self._chunks: list[bytes] = []
        self._size = 0

    def room(self) -> int:
        return super().room() if self._limit is None else min(super().room(), self._limit - self._size)

    def received(self, data: bytes) -> None:
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise SourceTooLarge(f"the source has more than {self._limit} bytes")
        self._chunks.append(data)
        if self._size > self._granted and self._growing is None:
            self._grow()

    def _grow(self) -> None:
        """Ask for a step more than there is, so that small pieces do not each ask."""
        wanted = self._size + max(_STEP, self._size // 4)
        if self._limit is not None:
            wanted = min(wanted, self._limit)
        growing = self._room(wanted)
        if growing.called:
            self._granted = wanted
            return
        connection: Any = self.transport
        connection.pauseProducing()
        self._growing = growing.addCallbacks(self._grown, self._refused, (wanted,))

    def _grown(self, _: None, granted: int) -> None:
        self._growing, self._granted = None, granted
        if self._ended:
            self._finish()
        else:
            connection: Any = self.transport
            connection.resumeProducing()

    def _refused(self, failure: Failure) -> None:
        if self._growing is not None:  # else it was this that gave up, and says why itself
            self._growing = None
            self.stop()
            self.done.errback(failure)

    def stop(self) -> None:
        self._chunks.clear()
        growing, self._growing = self._growing, None
        if growing is not None:
            growing.cancel()
        super().stop()

    def finished(self) -> None:
        self._ended = True
        if self._growing is None:
            self._finish()

    def _finish(self) -> None:
        self.done.callback(b"".join(self._chunks))


@implementer(IPushProducer)
class _Forwarder(_Receiver):
    """Passes bytes on; the origin may be silent for *patience* seconds, not counting those when the consumer is."""

    def __init__(self, inflater: Inflater | None, consumer: IConsumer, clock: IReactorTime, patience: float) -> None:
        super().__init__(inflater)
        self._consumer = consumer
        self._clock = clock
        self._patience = patience
        self._waiting: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._wait()
        self._consumer.registerProducer(self, True)

    def received(self, data: bytes) -> None:
        if self._waiting is not None:
            self._waiting.reset(self._patience)
        self._consumer.write(data)

    def finished(self) -> None:
        self._release()
        self.done.callback(None)

    def stop(self) -> None:
        self._release()
        super().stop()

    def pauseProducing(self) -> None:
        self._rest()
        self._origin().pauseProducing()

    def resumeProducing(self) -> None:
        self._rest()
        if not self.done.called:
            self._wait()
            self._origin().resumeProducing()

    def stopProducing(self) -> None:
        self.done.cancel()

    def _origin(self) -> Any:
        return self.transport

    def _wait(self) -> None:
        late = OriginTimeout(f"the origin was silent for {self._patience:g} seconds")
        self._waiting = self._clock.callLater(self._patience, self.fail, late)

    def _rest(self) -> None:
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        self._waiting = None

    def _release(self) -> None:
        self._rest()
        self._consumer.unregisterProducer()


def collect(
    response: IResponse,
    inflater: Inflater | None,
    limit: int | None,
    room: Reserve = unlimited_reserve,
    expected: int = 0,
) -> Deferred[bytes]:
    """The whole body, unpacked, copied once; `SourceTooLarge` as soon as it passes *limit*, `OriginFailed` if cut.

    There is room for *expected* bytes as they come; *room* is asked for more.
    """
    collector = _Collector(inflater, limit, room, expected)
    response.deliverBody(collector)
    return collector.done


def forward(
    response: IResponse, inflater: Inflater | None, consumer: IConsumer, clock: IReactorTime, patience: float
) -> Deferred[None]:
    """Pass the body on to *consumer*, as fast as it takes it; `OriginTimeout` after *patience* seconds of silence."""
    forwarder = _Forwarder(inflater, consumer, clock, patience)
    response.deliverBody(forwarder)
    return forwarder.done


def discard(response: IResponse) -> None:
    """Drop an answer unread; its connection with it, unless nothing more is to come."""
    unread = collect(response, None, 0)
    unread.addErrback(lambda _: None)
    unread.cancel()
