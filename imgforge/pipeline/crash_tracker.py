"""What the pipeline reports of its work to a memory that outlives the process, and learns of earlier crashes.

With several processes that memory is the shared table of `imgforge.service`; a process alone has none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from imgforge.errors import Quarantined

__all__ = ["CrashTracker", "NullCrashTracker", "Quarantine"]


class CrashTracker(Protocol):
    """Tells which sources were being decoded when a worker process died. Called on the reactor's thread only."""

    def is_quarantined(self, source: str) -> bool:
        """Whether *source* crashed a process not long ago."""

    def is_suspect(self, source: str) -> bool:
        """Whether a process died while it worked on *source* and on others."""

    def working(self, source: str) -> AbstractContextManager[None]:
        """Record, until the end of the block, that a thread works on *source*; the end clears it of suspicion."""


class NullCrashTracker:
    """Tracks nothing: no source is suspect or quarantined."""

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
    """Refuses the sources that *tracker* has in quarantine; each refusal is reported to *on_refusal* by its reason."""

    def __init__(
        self, tracker: CrashTracker | None = None, on_refusal: Callable[[str], None] = lambda _reason: None
    ) -> None:
        self._tracker = tracker or NullCrashTracker()
        self._on_refusal = on_refusal

    def check(self, source: str) -> None:
        """Raise `Quarantined` if *source* is in quarantine."""
        if self._tracker.is_quarantined(source):
            self._on_refusal("quarantine")
            raise Quarantined("the source crashed a process of this server and is in quarantine for a while")

    def is_suspect(self, source: str) -> bool:
        """Whether *source* is a suspect: only one suspect is worked on at a time."""
        return self._tracker.is_suspect(source)

    def working(self, source: str) -> AbstractContextManager[None]:
        """Record, until the end of the block, that a thread works on *source*.

        Raises `Quarantined` as `check` does: a process may have died while *source* waited for a thread.
        """
        self.check(source)
        return self._tracker.working(source)
