"""Tokens of stores that take them as `Authorization: Bearer`: loaded in a thread, shared, renewed before they expire.

Vendors' libraries load tokens, and block while they do: a token endpoint may hang. One load at a time runs in a thread
of its own. While a token is valid it is handed out at once, also when the load of the next one fails or hangs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.concurrency import FileThreads
from imgforge.errors import OriginFailed
from imgforge.interfaces import IServerReactor

__all__ = ["BearerTokens", "NoToken", "Token"]

_EARLY = 300.0  # seconds before its end that a token is renewed, if it is valid for much longer
_SHARE_OF_LIFE = 0.75  # after which it is renewed otherwise
_LAST_SECONDS = 10.0  # in which a token is not sent any more: it might expire on its way
_PAUSE = 2.0  # seconds after a failed load without another
_RENEWALS = 30.0  # seconds from one renewal of a refused token to the next
_LONGEST_CLOSE = 1.0  # seconds


class NoToken(Exception):
    """Says why there is no token, the cause that most likely matters first: logs show its beginning."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    value: str
    expires: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class _Held:
    token: Token
    renew_at: float  # times are in seconds since the epoch
    last_use: float


class BearerTokens:
    """The tokens of *store*, a name for logs. *load* blocks until it has one; its exceptions say why there is none."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, store: str, load: Callable[[], Token]) -> None:
        self._reactor = reactor
        self._store = store
        self._load = load
        self._held: _Held | None = None
        self._waiting: list[Deferred[str]] = []
        self._loading = False
        self._failure: OriginFailed | None = None  # that of the last load, until `_again_at`
        self._again_at = 0.0
        self._no_renewal_before = 0.0
        self._threads = FileThreads(reactor, 1, _LONGEST_CLOSE, "imgforge-tokens")
        self._threads.start()

    def start(self) -> None:
        """Load the first token; a failure is logged as a warning."""
        self._begin()

    def close(self) -> Deferred[None]:
        """End the thread; one that a silent endpoint blocks is left behind."""
        return ensureDeferred(self._threads.stop(_LONGEST_CLOSE))

    async def current(self) -> str:
        """A valid token; `OriginFailed` where none can be had."""
        now = self._reactor.seconds()
        held = self._held
        if held is not None and now < held.last_use:
            if now >= held.renew_at and now >= self._again_at:
                self._begin()
            return held.token.value
        return await self._next()

    async def renew(self, refused: str) -> bool:
        """Whether there is another token than *refused*, which the store did not take; loads one if need be."""
        held = self._held
        if held is not None and held.token.value == refused:
            now = self._reactor.seconds()
            if now < self._no_renewal_before:
                return False  # the store refused the one before as well: its age is not the cause
            self._no_renewal_before = now + _RENEWALS
            self._held = None
        return await self.current() != refused

    async def _next(self) -> str:
        if not self._loading and self._failure is not None and self._reactor.seconds() < self._again_at:
            raise OriginFailed(self._failure.message).caused_by(self._failure.cause)
        waiter: Deferred[str] = Deferred(lambda waiter: self._waiting.remove(waiter))
        self._waiting.append(waiter)
        self._begin()
        return await waiter

    def _begin(self) -> None:
        """Begin to load, unless a load is under way. It goes on when nobody waits for it any more."""
        if not self._loading:
            self._loading = True
            self._threads.run(self._load).addCallbacks(self._loaded, self._failed)

    def _loaded(self, token: Token) -> None:
        now = self._reactor.seconds()
        life = token.expires - now
        renew_at = max(now + _SHARE_OF_LIFE * life, token.expires - _EARLY)
        self._held = _Held(token, renew_at, max(renew_at, token.expires - _LAST_SECONDS))
        self._loading, self._failure = False, None
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(token.value)

    def _failed(self, failure: Failure) -> None:
        now = self._reactor.seconds()
        cause = str(failure.value) or type(failure.value).__name__
        error = OriginFailed("this server cannot authenticate with the object store").caused_by(cause)
        self._loading, self._failure, self._again_at = False, error, now + _PAUSE
        valid = self._held.last_use - now if self._held else 0.0
        if valid > 0:
            message = "the token for {store} cannot be renewed, and is valid for another {valid:.0f} s: {cause}"
        else:
            message = "there is no token for {store}, so that requests to it fail: {cause}"
        self.log.warn(message, store=self._store, cause=error.cause, valid=valid)
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.errback(OriginFailed(error.message).caused_by(error.cause))
