"""The bodies of origins' answers: collected under a limit, or passed on with back-pressure."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse

from imgforge.errors import ImgforgeError, OriginFailed, SourceTooLarge

__all__ = ["collect", "forward"]


class _Receiver(Protocol):
    """What both ways share: `done` fires at the end; cancelling it, or a failure, cuts the connection."""

    def __init__(self) -> None:
        self.done: Deferred[Any] = Deferred(lambda _: self.cut())

    def cut(self) -> None:
        """Drop the connection; what still comes is not wanted."""
        transport: Any = self.transport
        if transport is not None:
            getattr(transport, "abortConnection", transport.loseConnection)()

    def fail(self, error: ImgforgeError) -> None:
        if not self.done.called:
            self.done.errback(error)
        self.cut()

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008  # twisted's signature
        if self.done.called:
            return
        # A body without a declared length ends with its connection; whether it is whole, the decoder will tell.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.finished()
        else:
            self.done.errback(OriginFailed("the origin broke off before the end"))

    def finished(self) -> None:
        raise NotImplementedError


class _Collector(_Receiver):
    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            self._chunks.clear()
            self.fail(SourceTooLarge(f"the source has more than {self._limit} bytes"))
        elif not self.done.called:
            self._chunks.append(data)

    def finished(self) -> None:
        self.done.callback(b"".join(self._chunks))


class _Forwarder(_Receiver):
    def __init__(self, consumer: IConsumer) -> None:
        super().__init__()
        self._consumer = consumer

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._consumer.registerProducer(transport, True)

    def dataReceived(self, data: bytes) -> None:
        self._consumer.write(data)

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008
        self._consumer.unregisterProducer()
        super().connectionLost(reason)

    def finished(self) -> None:
        self.done.callback(None)


def collect(response: IResponse, limit: int | None) -> Deferred[bytes]:
    """The whole body, copied once; `SourceTooLarge` as soon as it passes *limit*, `OriginFailed` if it breaks off."""
    collector = _Collector(limit)
    response.deliverBody(collector)
    return collector.done


def forward(response: IResponse, consumer: IConsumer) -> Deferred[None]:
    """Pass the body on to *consumer*, as fast as it takes it."""
    forwarder = _Forwarder(consumer)
    response.deliverBody(forwarder)
    return forwarder.done
