"""Credentials for S3, by botocore: environment, shared files and profiles, web identity, ECS, IMDSv2, assumed roles.

botocore blocks while it asks a metadata service or STS, so it runs on threads of its own. What it has found is kept
frozen; temporary credentials are asked for anew well before they expire, while the old ones still serve. So a service
that hangs delays those requests only that have no valid credentials at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.logger import Logger

from imgforge.concurrency import Coalescer, FileThreads, Stalled
from imgforge.errors import OriginFailed
from imgforge.interfaces import IServerReactor
from imgforge.sources.stores.s3_signature import Credentials

__all__ = ["CredentialsError", "CredentialsKeeper", "LoadedCredentials"]

_THREADS = 4
_LONGEST_LOAD = 60.0  # seconds; a thread that takes longer is left behind, and another is tried later
_EARLY = 900.0  # seconds before they expire that credentials are asked for anew; half their time where that is less
_LEAST_PAUSE = 5.0  # seconds between two loads
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # seconds after loads that failed in a row, the last for all further
_CLOSE_TIMEOUT = 1.0  # seconds
_LONGEST_CAUSE = 300
_CLIENTS_LINE = "this server cannot authenticate with the object store"


class CredentialsError(Exception):
    """There are no credentials; the message is a line for the operator, without secrets."""


@dataclass(frozen=True, slots=True)
class LoadedCredentials:
    """What a load has brought; *seconds* is how long they are valid, None for ever."""

    credentials: Credentials
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    credentials: Credentials
    expires: float | None  # seconds of the reactor's clock
    refresh_at: float | None


class CredentialsKeeper:
    """Keeps the credentials that *load* brings, which is called on threads of their own and may block.

    *load* raises `CredentialsError` where there are none.
    """

    log = Logger()

    def __init__(self, reactor: IServerReactor, load: Callable[[], LoadedCredentials]) -> None:
        self._reactor = reactor
        self._load = load
        self._threads = FileThreads(reactor, _THREADS, _LONGEST_LOAD, "imgforge-s3")
        self._threads.start()
        self._loads: Coalescer[None, None] = Coalescer()
        self._kept: _Kept | None = None
        self._failures = 0
        self._cause = ""  # of the last failure
        self._not_before = 0.0  # when the next load may begin

    def start(self) -> None:
        """Begin a load, so that its failure is logged before a request meets it."""
        self._loaded()

    def close(self) -> Deferred[None]:
        """End the threads; one that a silent service blocks is left behind."""
        return ensureDeferred(self._threads.stop(_CLOSE_TIMEOUT))

    async def get(self) -> Credentials:
        """Valid credentials; `OriginFailed` where there are none. Waits only while none are known."""
        kept, now = self._valid(), self._reactor.seconds()
        if kept is None:
            await self._loaded()
            kept = self._valid()
            if kept is None:
                raise OriginFailed(_CLIENTS_LINE).caused_by(self._cause)
        elif kept.refresh_at is not None and now >= max(kept.refresh_at, self._not_before):
            self._loaded()
        return kept.credentials

    async def replace(self, access_key: str, token: str) -> bool:
        """Whether there are other credentials than those with *access_key* and *token*, which the store rejected."""
        if not self._has_others(access_key, token):
            await self._loaded()
        return self._has_others(access_key, token)

    def _has_others(self, access_key: str, token: str) -> bool:
        kept = self._valid()
        return kept is not None and (kept.credentials.access_key, kept.credentials.token) != (access_key, token)

    def _valid(self) -> _Kept | None:
        kept = self._kept
        expired = kept is not None and kept.expires is not None and self._reactor.seconds() >= kept.expires
        return None if expired else kept

    def _loaded(self) -> Deferred[None]:
        """Fires after the load under way, or a new one; at once where it is too early for that."""
        if not len(self._loads):
            if self._reactor.seconds() < self._not_before:
                return succeed(None)
            begun = self._loads.do(None, lambda: ensureDeferred(self._run()))
            if begun.called:
                return begun
        # `begun` is a waiter of our own: the load goes on when all requests that wait for it are cancelled.
        return self._loads.do(None, lambda: ensureDeferred(self._run()))

    async def _run(self) -> None:
        try:
            self._keep(await self._threads.run_with_timeout(self._load))
        except Stalled:
            self._failed(f"no answer within {_LONGEST_LOAD:g} s")
        except CredentialsError as error:
            self._failed(str(error))
        except Exception as error:  # whatever botocore, or a program that it was told to run, brings
            self._failed(f"{type(error).__name__}: {error}")

    def _keep(self, loaded: LoadedCredentials) -> None:
        if loaded.seconds is not None and loaded.seconds <= 0:
            raise CredentialsError("the credentials that were found have expired")
        now = self._reactor.seconds()
        if self._failures:
            self.log.info("s3: there are credentials again")
        self._failures = 0
        self._cause = "the credentials have expired, and it is too early to ask for others"
        self._not_before = now + _LEAST_PAUSE
        if loaded.seconds is None:
            self._kept = _Kept(loaded.credentials, None, None)
        else:
            early = min(_EARLY, loaded.seconds / 2)
            self._kept = _Kept(loaded.credentials, now + loaded.seconds, now + loaded.seconds - early)

    def _failed(self, cause: str) -> None:
        pause = _PAUSES[self._failures]
        self._failures = min(self._failures + 1, len(_PAUSES) - 1)
        self._not_before = self._reactor.seconds() + pause
        self._cause = " ".join(cause.split())[:_LONGEST_CAUSE]
        state = "the present ones are valid still" if self._valid() is not None else "s3:// sources fail with 502"
        self.log.warn(
            "s3: cannot get credentials: {cause}; {state}, and the next try is in {pause:g} s",
            cause=self._cause,
            state=state,
            pause=pause,
        )
