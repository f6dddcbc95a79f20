"""What the pipeline says of its work to who may outlive the process, and what it is told of earlier deaths.

With several processes that is the shared memory of `imgforge.service`; a process alone has nobody who could tell.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from imgforge.errors import Quarantined

__all__ = ["CrashTracker", "NullCrashTracker", "Quarantine"]


class CrashTracker(Protocol):
    """Knows sources by what processes died of. Called on the reactor's thread only."""

    def is_quarantined(self, source: str) -> bool:
        """Whether a process died of *source* not long ago."""

    def is_suspect(self, source: str) -> bool:
        """Whether a process died while it worked on *source*, and on others."""

    def working(self, source: str) -> AbstractContextManager[None]:
        """Write down that a thread works on *source*, until the end of the block: if that comes, it is no suspect."""


class NullCrashTracker:
    """Knows of no deaths."""

    def is_quarantined(self, source: str) -> bool:  # noqa: ARG002
        """See `CrashTracker`."""
        return False

    def is_suspect(self, source: str) -> bool:  # noqa: ARG002
        """See `CrashTracker`."""
        return False

    def working(self, source: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """See `CrashTracker`."""
        return nullcontext()


class Quarantine:
    """Refuses the sources that *witness* tells of; *refused* is told why each time."""

    def __init__(
        self, witness: CrashTracker | None = None, refused: Callable[[str], None] = lambda _reason: None
    ) -> None:
        self._witness = witness or NullCrashTracker()
        self._refused = refused

    def check(self, source: str) -> None:
        """Raise `Quarantined` for what is not to be touched now."""
        if self._witness.is_quarantined(source):
            self._refused("quarantine")
            raise Quarantined("the source has ended a process of this server and is not read for a while")

    def is_suspect(self, source: str) -> bool:
        """Whether *source* may be worked on while no other such source is only."""
        return self._witness.is_suspect(source)

    def working(self, source: str) -> AbstractContextManager[None]:
        """For as long as a thread works on *source*; raises as `check` does, for it may have waited since."""
        self.check(source)
        return self._witness.working(source)
