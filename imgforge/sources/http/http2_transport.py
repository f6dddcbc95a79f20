"""The transport of an HTTP/2 connection: bounds what waits for an origin that does not read, and closes in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from imgforge.sources.http.http2_frames import Http2Error

__all__ = ["Http2Transport"]

_MOST_UNSENT = 256 * 1024  # bytes, written after the transport's own buffer was full
_CLOSE_TIMEOUT = 5.0


@implementer(IPushProducer)
class Http2Transport:
    """Writes to *transport*; *changed* is called when its buffer gets `full`, and when that has been sent."""

    def __init__(self, transport: Any, clock: IReactorTime, changed: Callable[[], None]) -> None:
        self.full = False
        self._transport = transport
        self._clock = clock
        self._changed = changed
        self._unsent = 0
        self._timer: IDelayedCall | None = None
        transport.registerProducer(self, True)

    @property
    def origin(self) -> str:
        """The address of the origin, for logs."""
        peer = self._transport.getPeer()
        return f"{getattr(peer, 'host', peer)}:{getattr(peer, 'port', '')}"

    def write(self, data: bytes) -> None:
        """Send *data*; `Http2Error` where too much waits already."""
        self._transport.write(data)
        if self.full:
            self._unsent += len(data)
            if self._unsent > _MOST_UNSENT:
                raise Http2Error("the origin does not read what it is sent")

    def close(self) -> None:
        """Close when all is sent. Under TLS that waits for the origin's answer: abort after 5 seconds."""
        self._transport.unregisterProducer()
        self._transport.loseConnection()
        self._timer = self._clock.callLater(_CLOSE_TIMEOUT, self._close_late)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abortConnection()

    def lost(self) -> None:
        """The transport is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_late(self) -> None:
        self._timer = None
        self.abort()

    def pauseProducing(self) -> None:
        """See `IPushProducer`."""
        self.full = True
        self._changed()

    def resumeProducing(self) -> None:
        """See `IPushProducer`."""
        self.full = False
        self._unsent = 0
        self._changed()

    def stopProducing(self) -> None:
        """See `IPushProducer`: the connection hears of it too."""
