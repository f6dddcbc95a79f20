"""Requests to a store side by side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, ensureDeferred, gatherResults

__all__ = ["in_parallel"]

T = TypeVar("T")

_AT_ONCE = 8


async def in_parallel(works: Sequence[Callable[[], Awaitable[T]]], at_once: int = _AT_ONCE) -> list[T]:
    """The results of *works*, in their order; at most *at_once* are under way. The first failure ends them all."""
    results: dict[int, T] = {}
    waiting = iter(enumerate(works))

    async def worker() -> None:
        for index, work in waiting:
            results[index] = await work()

    workers: list[Deferred[None]] = [ensureDeferred(worker()) for _ in range(min(at_once, len(works)))]
    try:
        await gatherResults(workers, consumeErrors=True)
    except BaseException as error:
        for one in workers:
            one.cancel()
        cause = getattr(error, "subFailure", None)
        if cause is not None:
            raise cause.value from None
        raise
    return [results[index] for index in sorted(results)]
