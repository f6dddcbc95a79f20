"""Credentials of a store, access keys or tokens: loaded once for all requests, renewed before their end, replaced.

Credentials that are valid are handed out at once; the next ones are loaded in the background well before these end. So
an authentication service that fails or hangs delays those requests only for which there are no valid credentials.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imgforge.concurrency import Coalescer
from imgforge.errors import ImgforgeError, NoCredentials, OriginTimeout
from imgforge.sources.stores.setting_names import of_the_cache

__all__ = ["CredentialsError", "CredentialsKeeper", "CredentialsLate", "CredentialsRefused", "Loaded"]

T = TypeVar("T")

_EARLY = 900.0  # seconds before the end of credentials that they are renewed; half their lifetime where that is less
_LAST = 10.0  # seconds before their end in which they are not sent any more; a hundredth of it where that is less
_LEAST_LIFETIME = 1.0  # seconds; what is valid for less has expired
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # seconds after loads that failed in a row, the last for all further
_REFUSED_PAUSE = 10.0  # seconds at the least after a load that the service refused
_REPLACEMENT_PAUSE = 10.0  # seconds from one load for rejected credentials to the next
_FAILED_LINE = "this server cannot authenticate with the object store"
_LATE_LINE = "the store's authentication service does not answer"


class CredentialsError(Exception):
    """There are no credentials. The message is a line for the operator without secrets: logs show its beginning."""


class CredentialsLate(CredentialsError):
    """The authentication service does not answer in time."""


class CredentialsRefused(CredentialsError):
    """The authentication service refuses the operator's secret, and may lock the account if it gets it too often."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """What a load has brought; *seconds* is how long it is valid."""

    credentials: T = field(repr=False)
    seconds: float = math.inf


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    credentials: T = field(repr=False)
    renewed_at: float  # seconds of the reactor's clock
    ends_at: float


class CredentialsKeeper(Generic[T]):
    """Keeps the credentials that *load* brings for the store *scheme*; *close* ends what *load* needs.

    They are for sources, or *for_cache*, whose settings have other names.
    *load* raises `CredentialsError` where there are none. Equal credentials are the same ones.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        scheme: str,
        load: Callable[[], Awaitable[Loaded[T]]],
        close: Callable[[], Deferred[None]],
        for_cache: bool = False,
    ) -> None:
        self._clock = clock
        self._scheme = scheme
        self._load = load
        self._close = close
        self._needed_by = "reads and writes of the cache" if for_cache else f"{scheme}:// sources"
        self._line: Callable[[str], str] = of_the_cache if for_cache else str
        self._loads: Coalescer[None, None] = Coalescer()
        self._kept: _Kept[T] | None = None
        self._failures = 0  # in a row
        self._failure = CredentialsError("the credentials have expired")  # the last one
        self._load_from = -math.inf  # when the next load may begin
        self._replace_from = -math.inf  # when the next load for rejected credentials may begin

    def start(self) -> None:
        """Begin a load, so that its failure is logged before a request meets it."""
        self._loaded()

    def close(self) -> Deferred[None]:
        """End what loads need."""
        return self._close()

    async def get(self) -> T:
        """Valid credentials. Waits only while there are none.

        `NoCredentials` where none can be had, `OriginTimeout` where the authentication service is silent.
        """
        kept = self._valid()
        if kept is None:
            await self._loaded()
            kept = self._valid()
            if kept is None:
                raise self._error()
        elif self._clock.seconds() >= kept.renewed_at:
            self._loaded()
        return kept.credentials

    async def replace(self, rejected: T) -> bool:
        """Whether there are other credentials than those that the store *rejected*; loads them if need be.

        Where the store rejects the new ones as well, their age is not the cause: the next load has to wait.
        """
        if self._has_others(rejected):
            return True
        if not len(self._loads):
            now = self._clock.seconds()
            if now < max(self._replace_from, self._load_from):
                return False
            self._replace_from = now + _REPLACEMENT_PAUSE
        await self._loaded()
        return self._has_others(rejected)

    def _has_others(self, rejected: T) -> bool:
        kept = self._valid()
        return kept is not None and kept.credentials != rejected

    def _valid(self) -> _Kept[T] | None:
        kept = self._kept
        return kept if kept is not None and self._clock.seconds() < kept.ends_at else None

    def _loaded(self) -> Deferred[None]:
        """Fires after the load under way, or a new one; at once where it is too early for that."""
        if not len(self._loads):
            if self._clock.seconds() < self._load_from:
                return succeed(None)
            begun = self._loads.do(None, lambda: ensureDeferred(self._run()))
            if begun.called:
                return begun
        # `begun` is a waiter of our own: the load goes on when all requests that wait for it are cancelled.
        return self._loads.do(None, lambda: ensureDeferred(self._run()))

    async def _run(self) -> None:
        try:
            self._keep(await self._load())
        except CredentialsError as error:
            self._failed(error)
        except Exception as error:  # whatever a vendor's library, or a program that it was told to run, brings
            self._failed(CredentialsError(f"{type(error).__name__}: {error}"))

    def _keep(self, loaded: Loaded[T]) -> None:
        lifetime, now = loaded.seconds, self._clock.seconds()
        if lifetime < _LEAST_LIFETIME:
            raise CredentialsError("the credentials that were found have expired")
        ends_at = now + lifetime
        self._kept = _Kept(
            loaded.credentials, ends_at - min(_EARLY, lifetime / 2), ends_at - min(_LAST, lifetime / 100)
        )
        if self._failures:
            self.log.info("{scheme}: there are credentials again", scheme=self._scheme)
        self._failures = 0

    def _failed(self, error: CredentialsError) -> None:
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        if isinstance(error, CredentialsRefused):
            pause = max(pause, _REFUSED_PAUSE)
        self._failures += 1
        self._load_from = self._clock.seconds() + pause
        self._failure = error.with_traceback(None)
        valid = self._valid() is not None
        self.log.warn(
            "{scheme}: cannot get credentials: {cause}; {state}, and the next try is in {pause:g} s",
            scheme=self._scheme,
            cause=self._error().cause,
            state="the present ones are valid still" if valid else f"{self._needed_by} fail",
            pause=pause,
        )

    def _error(self) -> ImgforgeError:
        """The last failure, as each request gets it."""
        cause = self._line(str(self._failure))
        if isinstance(self._failure, CredentialsLate):
            return OriginTimeout(_LATE_LINE).caused_by(cause)
        return NoCredentials(_FAILED_LINE).caused_by(cause)
