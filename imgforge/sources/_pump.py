"""Sending what a thread reads to a consumer that sets the pace."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from imgforge.errors import OriginFailed

__all__ = ["Pump"]

_CHUNK = 256 * 1024


@implementer(IPushProducer)
class Pump:
    """Reads with *read(size)*, a piece at a time, and writes to *consumer*; reads nothing while that is full."""

    def __init__(self, read: Callable[[int], Deferred[bytes]], consumer: IConsumer) -> None:
        self._read = read
        self._consumer = consumer
        self._paused: Deferred[None] | None = None
        self._stopped = False

    async def run(self, length: int) -> None:
        """Send *length* bytes; `OriginFailed` if there are fewer, CancelledError if the consumer wants no more."""
        self._consumer.registerProducer(self, True)
        try:
            while length:
                data = await self._read(min(_CHUNK, length))
                if self._paused is not None:
                    await self._paused
                if self._stopped:
                    raise CancelledError
                if not data:
                    raise OriginFailed("the source became shorter while it was read")
                self._consumer.write(data)
                length -= len(data)
        finally:
            self._consumer.unregisterProducer()

    def pauseProducing(self) -> None:
        """See `IPushProducer`."""
        if self._paused is None:
            self._paused = Deferred()

    def resumeProducing(self) -> None:
        """See `IPushProducer`."""
        paused, self._paused = self._paused, None
        if paused is not None:
            paused.callback(None)

    def stopProducing(self) -> None:
        """See `IProducer`."""
        self._stopped = True
        self.resumeProducing()
