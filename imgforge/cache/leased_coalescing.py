"""Equal work under way in several processes, or on several hosts of a share, is done once.

    take the lease ── ours ─── made meanwhile? ── no ──> make, put, give back ──> the result
          │                          └─ yes ──> what is in the cache
          └─ another's ── pause ── in the cache? ── the work ended otherwise? ── take again ...

A holder that dies loses its lease, and the next one makes the entry. One that fails, or whose result is not kept,
leaves word of it, so that those who waited do not try one after another what has just failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imgforge import errors
from imgforge.cache.leases import Lease, LeaseFile, outcome_text
from imgforge.concurrency import FileThreads, IDiskReactor, Stalled
from imgforge.errors import ImgforgeError, Overloaded

__all__ = ["LeasedCoalescer"]

T = TypeVar("T")

# Seconds between two looks at a lease of somebody else; the first is short, for many images are made in no time.
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25
# Seconds for which nothing is shared after the medium has refused a lock.
_REST = 60.0

_NOT_KEPT = b""


class InTurn(Protocol):
    """Runs work on a thread after what was asked for the same key before."""

    def __call__(self, key: bytes, work: Callable[[], Any], *, even_if_stalled: bool = ...) -> Deferred[Any]: ...


class LeasedCoalescer:
    """Leases of *file*, held on *threads*; *in_turn* orders giving back behind the writing of the entry."""

    log = Logger()

    def __init__(self, clock: IDiskReactor, threads: FileThreads, file: LeaseFile, in_turn: InTurn) -> None:
        self._clock = clock
        self._threads = threads
        self._file = file
        self._in_turn = in_turn
        self._unusable_until = float("-inf")

    async def do(
        self,
        key: bytes,
        present: Callable[[], bool],
        find: Callable[[], Awaitable[T | None]],
        make: Callable[[], Awaitable[T]],
        kept: Callable[[T], bool],
    ) -> T:
        """What *make* returns, or what *find* does once somebody else has made it.

        *present* tells cheaply, on a thread, whether there is an entry; *kept* says of what was made whether it is to
        be one: what stood in for it is not. An `ImgforgeError` of whoever made it is raised
        here too, but for a full queue, which is its own.
        """
        lease = Lease(self._file, key)
        last_word: Callable[[], None] | None = None  # on a thread, before the lease is given back
        making = False
        try:
            found = await self._wait(key, lease, present, find)
            if found is not None:
                return found
            making = True
            made = await make()
            last_word = (
                partial(self._tell_unless, present, key) if kept(made) else partial(self._file.tell, key, _NOT_KEPT)
            )
        except (CancelledError, Overloaded):
            raise
        except Exception as error:
            if making:  # what another one has told is not told again: those who come later would hear of it
                last_word = partial(self._file.tell, key, _error_text(error))
            raise
        else:
            return made
        finally:
            self._end(key, lease, last_word)

    def close(self) -> None:
        """Give everything back."""
        self._threads.run_even_if_stalled(self._file.close).addErrback(lambda _: None)

    async def _wait(
        self, key: bytes, lease: Lease, present: Callable[[], bool], find: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        """What somebody else has made; None where it is up to us, with the lease or without."""
        if self._clock.seconds() < self._unusable_until:
            return None

        def attempt() -> tuple[bytes, bool, bytes, bool]:
            # Before and after: what is told between a refusal and the first look must not be missed.
            return self._file.outcome(key), lease.take(), self._file.outcome(key), present()

        before = None
        for pause in _pauses():
            try:
                first, taken, now, worth_while = await self._threads.run_with_timeout(attempt)
            except OSError as error:
                self._refused(error)
                return None
            before = first if before is None else before
            if worth_while and (found := await find()) is not None:
                return found
            if now != before and (text := outcome_text(now, key)) is not None:
                if text != _NOT_KEPT:
                    raise _told_error(text)
                self._end(key, lease)
                return None
            if taken:
                return None
            await deferLater(self._clock, pause)
        return None

    def _tell_unless(self, present: Callable[[], bool], key: bytes) -> None:
        """What could not be kept cannot be waited for."""
        if not present():
            self._file.tell(key, _NOT_KEPT)

    def _end(self, key: bytes, lease: Lease, last_word: Callable[[], None] | None = None) -> None:
        if not lease.end():
            return

        def give_back() -> None:
            try:
                if last_word is not None:
                    last_word()
            finally:
                lease.give_back()

        self._in_turn(key, give_back, even_if_stalled=True).addErrback(lambda _: None)

    def _refused(self, error: OSError) -> None:
        """Without locks every process makes its own; a medium that is late has been reported by the look-up."""
        if not isinstance(error, Stalled):
            self._unusable_until = self._clock.seconds() + _REST
            self.log.warn(
                "the disk cache takes no locks ({what}): several processes may make the same image at once", what=error
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


def _told_error(text: bytes) -> ImgforgeError:
    """The error that `_error_text` wrote down; of an unknown kind at least the message."""
    name, message, cause, *_ = (*text.decode("utf-8", "replace").split("\n"), "", "")
    kind = getattr(errors, name) if name in errors.__all__ else ImgforgeError
    message, cause = ("".join(char for char in part if char.isprintable()) for part in (message, cause))
    try:
        told: ImgforgeError = kind(message)
    except TypeError:  # a kind that needs to know more
        told = ImgforgeError(message)
    return told.caused_by(cause)
