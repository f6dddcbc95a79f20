"""Coalescing over a lease: equal work under way in several processes, or on several hosts of a share, is done once.

    take the lease ── taken ── entry there by now? ── no ──> make, put, release ──> the result
          │                          └─ yes ──> the entry
          └─ another process has it ── pause ── entry there? ── outcome written? ── take the lease again ...

A holder that dies loses its lease, and the next process makes the entry. A holder that fails, or whose result is not
kept, writes the outcome to the lease file, so that the waiting processes do not try one after another what has just
failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imgforge import errors
from imgforge.cache.leases import Lease, LeaseFile, outcome_text
from imgforge.concurrency import FileThreads, Stalled
from imgforge.errors import ImgforgeError, Overloaded

__all__ = ["LeasedCoalescer"]

T = TypeVar("T")

# Seconds between two attempts to take a lease; the first pause is short, for many images are made in milliseconds.
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25
# Seconds without coalescing after the medium has refused a lock.
_REST = 60.0

_NOT_KEPT = b""


class RunInOrder(Protocol):
    """Runs work on a thread after the work that was asked for earlier under the same key."""

    def __call__(self, key: bytes, work: Callable[[], Any], *, even_if_stalled: bool = ...) -> Deferred[Any]: ...


class LeasedCoalescer:
    """Takes leases of *file* on *threads*; *run_in_order* releases them after the entry has been written."""

    log = Logger()

    def __init__(self, clock: IReactorTime, threads: FileThreads, file: LeaseFile, run_in_order: RunInOrder) -> None:
        self._clock = clock
        self._threads = threads
        self._file = file
        self._run_in_order = run_in_order
        self._unusable_until = float("-inf")

    async def do(
        self,
        key: bytes,
        present: Callable[[], bool],
        find: Callable[[], Awaitable[T | None]],
        make: Callable[[], Awaitable[T]],
        kept: Callable[[T], bool],
    ) -> T:
        """The result of *make*, or of *find* once another process has made it.

        *present* tells cheaply, on a thread, whether there is an entry; *kept* says of a result of *make* whether it is
        to be an entry, which a fallback image is not. An `ImgforgeError` of the process that failed to make it is
        raised here too, except `Overloaded`: that process's queue was full, not this one's.
        """
        lease = Lease(self._file, key)
        write_outcome: Callable[[], None] | None = None  # on a thread, before the lease is released
        making = False
        try:
            found = await self._wait(key, lease, present, find)
            if found is not None:
                return found
            making = True
            result = await make()
            write_outcome = (
                partial(self._write_not_kept_unless, present, key)
                if kept(result)
                else partial(self._file.write_outcome, key, _NOT_KEPT)
            )
        except (CancelledError, Overloaded):
            raise
        except Exception as error:
            if making:  # an outcome of another process is not written again: processes that come later would read it
                write_outcome = partial(self._file.write_outcome, key, _error_text(error))
            raise
        else:
            return result
        finally:
            self._end(key, lease, write_outcome)

    def close(self) -> None:
        """Release all leases."""
        self._threads.run_even_if_stalled(self._file.close).addErrback(lambda _: None)

    async def _wait(
        self, key: bytes, lease: Lease, present: Callable[[], bool], find: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        """The result that another process has made; None where this one is to make it, with the lease or without."""
        if self._clock.seconds() < self._unusable_until:
            return None

        def attempt() -> tuple[bytes, bool, bytes, bool]:
            # Before and after: an outcome written between a refusal and the first look must not be missed.
            return self._file.outcome(key), lease.take(), self._file.outcome(key), present()

        before = None
        for pause in _pauses():
            try:
                first, taken, now, has_entry = await self._threads.run_with_timeout(attempt)
            except OSError as error:
                self._refused(error)
                return None
            before = first if before is None else before
            if has_entry and (found := await find()) is not None:
                return found
            if now != before and (text := outcome_text(now, key)) is not None:
                if text != _NOT_KEPT:
                    raise _parsed_error(text)
                self._end(key, lease)
                return None
            if taken:
                return None
            await deferLater(self._clock, pause)
        return None

    def _write_not_kept_unless(self, present: Callable[[], bool], key: bytes) -> None:
        """Tell waiting processes that there is no entry, where it could not be written."""
        if not present():
            self._file.write_outcome(key, _NOT_KEPT)

    def _end(self, key: bytes, lease: Lease, write_outcome: Callable[[], None] | None = None) -> None:
        if not lease.end():
            return

        def release() -> None:
            try:
                if write_outcome is not None:
                    write_outcome()
            finally:
                lease.release()

        self._run_in_order(key, release, even_if_stalled=True).addErrback(lambda _: None)

    def _refused(self, error: OSError) -> None:
        """Stop coalescing for a while, unless the medium is only slow, of which the look-up has warned already."""
        if not isinstance(error, Stalled):
            self._unusable_until = self._clock.seconds() + _REST
            self.log.warn(
                "the disk cache takes no locks ({error}): several processes may make the same image at once. Check "
                "whether the file system of IMGFORGE_CACHE_DISK_PATH supports locks",
                error=error,
            )


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
