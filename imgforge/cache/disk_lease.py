"""The leases of a directory of entries, as the cache takes them: `leases` on threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.cache.leases import Lease, LeaseFile, outcome_text
from imgforge.concurrency import FileThreads, Stalled
from imgforge.interfaces import ILease, LeaseAttempt

__all__ = ["DiskLease", "DiskLeases"]

# Seconds without leases after the medium has refused a lock.
_REST = 60.0


class DiskLeases:
    """Leases of the file in *root*, taken and released on *threads*."""

    log = Logger()

    def __init__(self, clock: IReactorTime, threads: FileThreads, root: str) -> None:
        self._clock = clock
        self._threads = threads
        self._file = LeaseFile(root)
        self._unusable_until = float("-inf")

    def lease(self, key: bytes, present: Callable[[], bool]) -> DiskLease | None:
        """The lease of *key*; *present* tells cheaply, on a thread, whether there is an entry under it."""
        if self._clock.seconds() < self._unusable_until:
            return None
        return DiskLease(self._file, self._threads, key, present, self._refused)

    def close(self) -> None:
        """Release all leases."""
        self._threads.run_even_if_stalled(self._file.close).addErrback(lambda _: None)

    def _refused(self, failure: Failure) -> NoReturn:
        """Take no leases for a while, unless the medium is only slow, of which the look-up has warned already."""
        error = failure.value
        if isinstance(error, OSError) and not isinstance(error, Stalled):
            self._unusable_until = self._clock.seconds() + _REST
            self.log.warn(
                "the disk cache takes no locks ({error}): several processes may make the same image at once. Check "
                "whether the file system of IMGFORGE_CACHE_DISK_PATH supports locks",
                error=error,
            )
        failure.raiseException()


@implementer(ILease)
class DiskLease:
    """The lease of *key* in *file*; *refused* is called with what the medium fails with, and raises it again."""

    def __init__(
        self,
        file: LeaseFile,
        threads: FileThreads,
        key: bytes,
        present: Callable[[], bool],
        refused: Callable[[Failure], NoReturn],
    ) -> None:
        self._file = file
        self._threads = threads
        self._key = key
        self._present = present
        self._refused = refused
        self._lease = Lease(file, key)
        self._before: bytes | None = None

    def attempt(self) -> Deferred[LeaseAttempt]:
        """See `ILease`; OSError where the medium refuses, `Stalled` where it does not answer."""

        def look() -> tuple[bytes, bool, bytes, bool]:
            # Before and after: an outcome written between a refusal and the first look must not be missed.
            return self._file.outcome(self._key), self._lease.take(), self._file.outcome(self._key), self._present()

        return self._threads.run_with_timeout(look).addCallbacks(self._looked, self._refused)

    def _looked(self, found: tuple[bytes, bool, bytes, bool]) -> LeaseAttempt:
        first, taken, now, present = found
        self._before = first if self._before is None else self._before
        return LeaseAttempt(taken, present, outcome_text(now, self._key) if now != self._before else None)

    def release(self, outcome: bytes | None, written: Deferred[Any]) -> None:
        """See `ILease`."""
        if not self._lease.end():
            return

        def release() -> None:
            try:
                if outcome is not None:
                    self._file.write_outcome(self._key, outcome)
            finally:
                self._lease.release()

        def ended(_: object) -> None:
            self._threads.run_even_if_stalled(release).addErrback(lambda _: None)

        written.addBoth(ended)
