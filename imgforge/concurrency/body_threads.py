"""Where to hash and join bodies: at once those that are short, on threads of the reactor those that are long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.threads import deferToThreadPool

from imgforge.interfaces import IServerReactor

__all__ = ["run_by_size"]

T = TypeVar("T")

_SHORT = 256 * 1024  # bytes: a hash takes less than half a millisecond for them, not much longer than to wake a thread


async def run_by_size(reactor: IServerReactor, size: int, work: Callable[[], T]) -> T:
    """The outcome of *work*, which goes over *size* bytes; the reactor is not blocked where they are many."""
    if size <= _SHORT:
        return work()
    return await deferToThreadPool(reactor, reactor.getThreadPool(), work)
