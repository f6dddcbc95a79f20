"""Sends what threads read to a consumer, under its back-pressure."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from imgforge.errors import OriginFailed

__all__ = ["ThreadProducer"]

_CHUNK = 256 * 1024


@implementer(IPushProducer)
class ThreadProducer:
    """Reads chunks with *read(start, size)* and writes them to *consumer*; reads no more while that is paused."""

    def __init__(self, read: Callable[[int, int], Deferred[bytes]], consumer: IConsumer) -> None:
        self._read = read
        self._consumer = consumer
        self._reading: Deferred[bytes] | None = None
        self._paused: Deferred[None] | None = None
        self._stopped = False

    async def run(self, start: int, end: int) -> None:
        """Send the bytes from *start* to *end*; `OriginFailed` if there are fewer.

        `CancelledError` if the consumer stops it; the read under way is then not waited for.
        """
        self._consumer.registerProducer(self, True)
        try:
            while start < end:
                self._reading = self._read(start, min(_CHUNK, end - start))
                data = await self._reading
                if self._paused is not None:
                    await self._paused
                if self._stopped:
                    raise CancelledError
                if not data:
                    raise OriginFailed("the source became shorter while it was read")
                self._consumer.write(data)
                start += len(data)
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
        if self._reading is not None:
            self._reading.cancel()
        self.resumeProducing()
