"""Coalescing over a lease: equal work under way in several processes, or on several hosts, is done once.

    take the lease ── taken ── entry there by now? ── no ──> make, put, release ──> the result
          │                          └─ yes ──> the entry
          └─ another has it ── pause ── entry there? ── outcome told? ── take the lease again ...

A holder that dies loses its lease, and the next process makes the entry. A holder that fails, or whose result is not
kept, tells the outcome with the release, so that the waiting processes do not try one after another what has just
failed. Where the tier refuses leases, each process makes its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imgforge import errors
from imgforge.errors import ImgforgeError, Overloaded
from imgforge.interfaces import ICacheTier, ILease

__all__ = ["LeasedCoalescer"]

T = TypeVar("T")

# Seconds between two attempts to take a lease; the first pause is short, for many images are made in milliseconds.
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25

_NOT_KEPT = b""


class LeasedCoalescer:
    """Coalesces by the leases of *tier*; *written* fires once no write of the tier is under way for a key."""

    log = Logger()

    def __init__(self, clock: IReactorTime, tier: ICacheTier, written: Callable[[bytes], Deferred[None]]) -> None:
        self._clock = clock
        self._tier = tier
        self._written = written

    async def do(
        self,
        key: bytes,
        find: Callable[[], Awaitable[T | None]],
        make: Callable[[], Awaitable[T]],
        kept: Callable[[T], bool],
    ) -> T:
        """The result of *make*, or of *find* once another process has made it.

        *find* gives None where there is no entry that is good enough; *kept* says of a result of *make* whether it is
        to be an entry, which a fallback image is not. An `ImgforgeError` of the process that failed to make it is
        raised here too, except `Overloaded`: that process's queue was full, not this one's.
        """
        lease = self._tier.lease(key)
        if lease is None:
            return await make()
        try:
            found, holding = await self._wait(lease, find)
        except BaseException:
            lease.release(None, succeed(None))
            raise
        if holding:
            return await self._make(key, lease, make, kept)
        lease.release(None, succeed(None))
        return await make() if found is None else found

    async def _wait(self, lease: ILease, find: Callable[[], Awaitable[T | None]]) -> tuple[T | None, bool]:
        """The result that another process has made, or None and whether *lease* is held to make it."""
        for pause in _pauses():
            try:
                taken, present, outcome = await lease.attempt()
            except CancelledError:
                raise
            except OSError:
                return None, False
            except Exception:  # a tier's mistake costs a second rendition, no answer
                self.log.failure(
                    "a lease of the {tier} cache cannot be taken: the image is made without it", tier=self._tier.name
                )
                return None, False
            if present and (found := await find()) is not None:
                return found, False
            if outcome is not None:
                if outcome != _NOT_KEPT:
                    raise _parsed_error(outcome)
                return None, False
            if taken:
                return None, True
            await deferLater(self._clock, pause)
        return None, False

    async def _make(self, key: bytes, lease: ILease, make: Callable[[], Awaitable[T]], kept: Callable[[T], bool]) -> T:
        outcome: bytes | None = None
        stored = False
        try:
            result = await make()
            stored = kept(result)
            outcome = None if stored else _NOT_KEPT
        except (CancelledError, Overloaded):
            raise
        except Exception as error:
            outcome = _error_text(error)
            raise
        else:
            return result
        finally:
            if stored:
                self._release_stored(key, lease)
            else:
                lease.release(outcome, self._written(key))

    def _release_stored(self, key: bytes, lease: ILease) -> None:
        """Release *lease* once the entry is written; where it was not, the waiting processes are told."""

        def released(size: Any) -> None:
            lease.release(_NOT_KEPT if size == 0 else None, succeed(None))

        written = self._written(key).addCallback(lambda _: self._tier.size_of(key))
        written.addErrback(lambda _: None).addCallback(released)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)


def _error_text(error: Exception) -> bytes:
    if not isinstance(error, ImgforgeError):
        error = ImgforgeError("internal error")
    return f"{type(error).__name__}\n{error.message}\n{error.cause}".encode()


def _parsed_error(text: bytes) -> ImgforgeError:
    """The error that `_error_text` wrote; an `ImgforgeError` with its message where its class is unknown."""
    name, message, cause, *_ = (*text.decode("utf-8", "replace").split("\n"), "", "")
    error_class = getattr(errors, name) if name in errors.__all__ else ImgforgeError
    message, cause = ("".join(char for char in part if char.isprintable()) for part in (message, cause))
    try:
        error: ImgforgeError = error_class(message)
    except TypeError:  # a class with more arguments
        error = ImgforgeError(message)
    return error.caused_by(cause)
