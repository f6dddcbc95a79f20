"""What is known of one request: the record that whoever works on it adds to, and of which logs and headers are views.

    RequestRecord   one per request: its id, source, format, error
        work ──> WorkRecord   one per piece of work, shared by the equal requests that wait for it: seconds by stage

The access log, `Server-Timing` and the warnings of `imgforge.web` read the same record, so that a stage has one name.
It is passed along as an argument. Hits of the fast lane have no record: what their lines say is kept with the prebuilt
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["RequestRecord", "Stage", "WorkRecord", "shown_source"]

_LONGEST_SOURCE = 500


class Stage(StrEnum):
    """The stages of making a result, in the order in which they are shown."""

    FETCH = "fetch"  # originals, from wherever they come, and what waits for them
    WAIT = "wait"  # for an image thread
    PROCESS = "process"  # on that thread


@dataclass(eq=False, slots=True, weakref_slot=True)
class WorkRecord:
    """The seconds that each stage has taken so far, and the bytes of the original."""

    seconds: dict[Stage, float] = field(default_factory=dict)
    bytes_in: int = 0

    def add(self, stage: Stage, seconds: float) -> None:
        """*stage* took so many seconds (more)."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextmanager
    def timed(self, stage: Stage, clock: Callable[[], float]) -> Iterator[None]:
        """Count the time of the block as *stage*, however it ends."""
        began = clock()
        try:
            yield
        finally:
            self.add(stage, clock() - began)

    def timings(self) -> tuple[tuple[Stage, float], ...]:
        """The stages that there were, in order, and their seconds."""
        return tuple((stage, self.seconds[stage]) for stage in Stage if stage in self.seconds)


@dataclass(eq=False, slots=True)
class RequestRecord:
    """`source` is as `shown_source` has it; `error` is for logs, with its cause; `level` is that of a log line.

    `fallback` is the status of the failure that a fallback image stands in for, 0 where none does.
    """

    identity: str = ""
    source: str = ""
    format: str = ""
    error: str = ""
    level: str = "info"
    fallback: int = 0
    work: WorkRecord = field(default_factory=WorkRecord)


def shown_source(url: str) -> str:
    """*url* for a log: without what may open it to others (query, user and password), and of a data URL the type."""
    if url[:5].lower() == "data:":
        return url[:_LONGEST_SOURCE].partition(",")[0]
    shown = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = shown.partition("://")
    if separator:
        authority, slash, path = rest.partition("/")
        shown = scheme + separator + authority.rpartition("@")[2] + slash + path
    return shown if len(shown) <= _LONGEST_SOURCE else shown[:_LONGEST_SOURCE] + "..."
