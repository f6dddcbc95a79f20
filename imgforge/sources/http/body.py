"""The bodies of origins' responses: collected under a limit, or forwarded with back-pressure."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse
from zope.interface import implementer

from imgforge.errors import ImgforgeError, OriginFailed, OriginTimeout, SourceTooLarge
from imgforge.interfaces import Reserve, unlimited_reserve
from imgforge.sources.http.silence_limit import NoSilenceLimit, SilenceLimit

__all__ = ["beginning", "collect", "discard", "forward"]

# Bytes by which the reservation for a body of unknown length grows at least.
_STEP = 1024 * 1024


class _Receiver(Protocol):
    """What `_Collector` and `_Forwarder` share: `done` fires at the end; cancelling it, or a failure, aborts."""

    def __init__(self) -> None:
        self.done: Deferred[Any] = Deferred(lambda _: self.stop())

    def stop(self) -> None:
        """Abort the connection; the rest of the body is not wanted."""
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
            self.received(data)
        except ImgforgeError as error:
            self.fail(error)

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008  # twisted's signature
        if self.done.called:
            return
        # A body without a declared length ends with its connection; the decoder finds out whether it is whole.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.finished()
        elif isinstance(reason.value, ImgforgeError):  # what unpacks the body gave up
            self.fail(reason.value)
        else:
            self.fail(OriginFailed("the origin broke off before the end").caused_by(reason.getErrorMessage()))

    def received(self, data: bytes) -> None:
        raise NotImplementedError

    def finished(self) -> None:
        raise NotImplementedError


class _Collector(_Receiver):
    """Collects the bytes; while more memory is being reserved, the connection is not read from."""

    def __init__(self, limit: int | None, reserve: Reserve, expected: int, silence: SilenceLimit) -> None:
        super().__init__()
        self._silence = silence
        self._silence.late = self._late
        self._limit = limit
        self._reserve = reserve
        self._reserved = expected
        self._reserving: Deferred[None] | None = None
        self._ended = False
        self._chunks: list[bytes] = []
        self._size = 0

    def connectionMade(self) -> None:
        self._silence.start()

    def _late(self, seconds: float) -> None:
        self.fail(OriginFailed(f"the origin was silent for {seconds:g} seconds in the middle of the body"))

    def received(self, data: bytes) -> None:
        self._silence.heard()
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise SourceTooLarge(f"the source has more than {self._limit} bytes")
        self._chunks.append(data)
        if self._size > self._reserved and self._reserving is None:
            self._reserve_more()

    def _reserve_more(self) -> None:
        """Reserve a step more than the bytes so far, so that not each small chunk reserves."""
        wanted = self._size + max(_STEP, self._size // 4)
        if self._limit is not None:
            wanted = min(wanted, self._limit)
        reserving = self._reserve(wanted)
        if reserving.called:
            self._reserved = wanted
            return
        connection: Any = self.transport
        connection.pauseProducing()
        self._silence.stop()
        self._reserving = reserving.addCallbacks(self._granted, self._refused, (wanted,))

    def _granted(self, _: None, reserved: int) -> None:
        self._reserving, self._reserved = None, reserved
        if self._ended:
            self._finish()
        else:
            connection: Any = self.transport
            self._silence.start()
            connection.resumeProducing()

    def _refused(self, failure: Failure) -> None:
        if self._reserving is not None:  # else `stop` cancelled it, and the failure is another one
            self._reserving = None
            self.stop()
            self.done.errback(failure)

    def stop(self) -> None:
        self._silence.stop()
        self._chunks.clear()
        reserving, self._reserving = self._reserving, None
        if reserving is not None:
            reserving.cancel()
        super().stop()

    def finished(self) -> None:
        self._silence.stop()
        self._ended = True
        if self._reserving is None:
            self._finish()

    def _finish(self) -> None:
        body = b"".join(self._chunks)
        self._chunks.clear()  # response and collector refer to each other: they go with the next garbage collection
        self.done.callback(body)


class _Beginning(_Receiver):
    """Collects *size* bytes, or as many as come in *seconds*."""

    def __init__(self, size: int, clock: IReactorTime, seconds: float) -> None:
        super().__init__()
        self._size = size
        self._bytes = bytearray()
        self._call = clock.callLater(seconds, self._end)

    def received(self, data: bytes) -> None:
        self._bytes += data[: self._size - len(self._bytes)]
        if len(self._bytes) >= self._size:
            self._end()

    def fail(self, error: ImgforgeError) -> None:  # noqa: ARG002  # of a body that broke off, what came is good enough
        self._end()

    def _end(self) -> None:
        if not self.done.called:
            self.stop()
            self.done.callback(bytes(self._bytes))

    def stop(self) -> None:
        if self._call.active():
            self._call.cancel()
        super().stop()

    def finished(self) -> None:
        if self._call.active():
            self._call.cancel()
        self.done.callback(bytes(self._bytes))


@implementer(IPushProducer)
class _Forwarder(_Receiver):
    """Forwards bytes; the origin may be silent for *patience* seconds, not counting pauses of the consumer."""

    def __init__(self, consumer: IConsumer, clock: IReactorTime, patience: float) -> None:
        super().__init__()
        self._consumer = consumer
        self._silence = SilenceLimit(clock, patience)
        self._silence.late = self._late

    def connectionMade(self) -> None:
        self._silence.start()
        self._consumer.registerProducer(self, True)

    def received(self, data: bytes) -> None:
        self._silence.heard()
        self._consumer.write(data)

    def finished(self) -> None:
        self._release()
        self.done.callback(None)

    def stop(self) -> None:
        self._release()
        super().stop()

    def pauseProducing(self) -> None:
        self._silence.stop()
        self._origin().pauseProducing()

    def resumeProducing(self) -> None:
        if not self.done.called:
            self._silence.start()
            self._origin().resumeProducing()

    def stopProducing(self) -> None:
        self.done.cancel()

    def _origin(self) -> Any:
        return self.transport

    def _late(self, seconds: float) -> None:
        self.fail(OriginTimeout(f"the origin was silent for {seconds:g} seconds"))

    def _release(self) -> None:
        self._silence.stop()
        self._consumer.unregisterProducer()


def collect(
    response: IResponse,
    limit: int | None,
    reserve: Reserve = unlimited_reserve,
    expected: int = 0,
    silence: SilenceLimit | None = None,
) -> Deferred[bytes]:
    """The whole body, copied once; `SourceTooLarge` as soon as it passes *limit*, `OriginFailed` if cut off.

    The caller has reserved *expected* bytes; *reserve* is called for more. `OriginFailed` beyond the limit *silence*.
    """
    collector = _Collector(limit, reserve, expected, silence or NoSilenceLimit())
    response.deliverBody(collector)
    return collector.done


def beginning(response: IResponse, size: int, clock: IReactorTime, seconds: float) -> Deferred[bytes]:
    """The first *size* bytes of the body, fewer where it ends, breaks off or takes *seconds*; the rest is dropped."""
    receiver = _Beginning(size, clock, seconds)
    response.deliverBody(receiver)
    return receiver.done


def forward(response: IResponse, consumer: IConsumer, clock: IReactorTime, patience: float) -> Deferred[None]:
    """Forward the body to *consumer* under its back-pressure; `OriginTimeout` after *patience* seconds of silence."""
    forwarder = _Forwarder(consumer, clock, patience)
    response.deliverBody(forwarder)
    return forwarder.done


def discard(response: IResponse) -> None:
    """Drop a response unread, and its connection, unless no more bytes are to come."""
    unread = collect(response, 0)
    unread.addErrback(lambda _: None)
    unread.cancel()
