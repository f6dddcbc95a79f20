"""Loads that block: vendors' libraries, which wait for metadata services and token endpoints without a reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred

from imgforge.concurrency import FileThreads, Stalled
from imgforge.interfaces import IServerReactor
from imgforge.sources.stores.credentials_keeper import CredentialsError, CredentialsKeeper, Loaded

__all__ = ["keeper_on_threads"]

T = TypeVar("T")

_THREADS = 4
_LONGEST_LOAD = 60.0  # seconds; a thread that takes longer is left behind, and another is tried later
_CLOSE_TIMEOUT = 1.0  # seconds


def keeper_on_threads(
    reactor: IServerReactor, scheme: str, load: Callable[[], Loaded[T]], for_cache: bool = False
) -> CredentialsKeeper[T]:
    """A keeper of what *load* brings, which is called on daemon threads of the keeper's own and may block."""
    threads = _LoaderThreads(reactor, scheme, load)
    return CredentialsKeeper(reactor, scheme, threads.load, threads.close, for_cache)


class _LoaderThreads(Generic[T]):
    def __init__(self, reactor: IServerReactor, scheme: str, load: Callable[[], Loaded[T]]) -> None:
        self._load = load
        self._threads = FileThreads(reactor, _THREADS, _LONGEST_LOAD, f"imgforge-{scheme}")
        self._threads.start()

    async def load(self) -> Loaded[T]:
        try:
            return await self._threads.run_with_timeout(self._load)
        except Stalled:
            raise CredentialsError(f"no answer within {_LONGEST_LOAD:g} s") from None

    def close(self) -> Deferred[None]:
        """End the threads; one that a silent service blocks is left behind."""
        return ensureDeferred(self._threads.stop(_CLOSE_TIMEOUT))
