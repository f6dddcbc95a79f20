"""Has a process look again whether it may start a render: when a place becomes free elsewhere, and as time goes by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.concurrency import Bell
from imgforge.interfaces import IServerReactor
from imgforge.pipeline.render_queue import RenderQueue

__all__ = ["PlaceWatch"]

# A process that runs nothing, and sees nothing change for so many seconds, waits for one that hangs or is gone: it
# starts one render. Longer than a light render can stay light, since its becoming heavy is a change.
_PATIENCE = 0.5


@implementer(IReadDescriptor)
class PlaceWatch:
    """Calls *start* when *queue* may have a render to start, with `anyway=True` when others should be ignored."""

    def __init__(self, reactor: IServerReactor, queue: RenderQueue[Any], start: Callable[..., None]) -> None:
        self._reactor = reactor
        self._queue = queue
        self._start = start
        self._bell = None if queue.places.bell is None else Bell(queue.places.bell)
        self._listening = False
        self._ageing: IDelayedCall | None = None
        self._patience: IDelayedCall | None = None

    def update(self) -> None:
        """Watch what matters to the renders that run and wait now."""
        if self._ageing is None and self._queue.running:
            self._age()
        if self._bell is None:
            return
        waits = self._queue.waiting > 0
        if waits != self._listening:
            self._listening = waits
            (self._reactor.addReader if waits else self._reactor.removeReader)(self)
        if not waits or self._queue.running:
            self._be_patient()
        elif self._patience is None:
            self._patience = self._reactor.callLater(_PATIENCE, self._lose_patience, self._queue.places.others())

    def stop(self) -> None:
        """Watch nothing any more."""
        self._be_patient()
        if self._ageing is not None:
            self._ageing.cancel()
            self._ageing = None
        if self._listening:
            self._listening = False
            self._reactor.removeReader(self)
        if self._bell is not None:
            self._bell.close()
            self._bell = None

    def _age(self) -> None:
        """Find the renders that have become heavy, until none can become so."""
        now = self._reactor.seconds()
        due = self._queue.age(now)
        self._ageing = None if due is None else self._reactor.callLater(max(0.0, due - now), self._look_again)

    def _look_again(self) -> None:
        self._ageing = None
        self._age()
        self._start()
        self._queue.places.offer()

    def _lose_patience(self, seen: bytes) -> None:
        self._patience = None
        self._start(anyway=self._queue.places.others() == seen)

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def fileno(self) -> int:
        """The descriptor that the reactor waits for."""
        return -1 if self._bell is None else self._bell.fileno()

    def doRead(self) -> None:
        """A place may be free."""
        if self._bell is not None:
            self._bell.heard()
            self._start()

    def logPrefix(self) -> str:
        """The name in Twisted's own log lines."""
        return "places"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends."""
