"""What is known of one request: a record that each stage of the work adds to, and that logs and headers show.

    RequestRecord   one per request: its id, source, format, error
        work ──> WorkRecord   one per piece of work, shared by the equal requests that wait for it: seconds by stage

The access log, `Server-Timing` and the warnings of `imgforge.web` read the same record, so that a stage has one name.
The record is passed along as an argument. Hits of the fast lane have none: the fields of their lines are kept with the
prebuilt response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from imgforge.model import is_data_url

__all__ = ["RequestRecord", "Stage", "WorkRecord", "shown_source"]

_LONGEST_SOURCE = 500


class Stage(StrEnum):
    """The stages of making a result, in the order in which they are shown."""

    FETCH = "fetch"  # fetching originals from their source, the waits for that included
    WAIT = "wait"  # waiting for an image thread
    PROCESS = "process"  # decoding, transforming and encoding on that thread


@dataclass(eq=False, slots=True, weakref_slot=True)
class WorkRecord:
    """The seconds that each stage has taken so far, and the size of the original in bytes."""

    seconds: dict[Stage, float] = field(default_factory=dict)
    bytes_in: int = 0

    def add(self, stage: Stage, seconds: float) -> None:
        """Adds *seconds* to those of *stage*."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextmanager
    def timed(self, stage: Stage, clock: Callable[[], float]) -> Iterator[None]:
        """Adds the time that the block takes to *stage*, also where it raises; *clock* gives seconds."""
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
    """What is known of one request; texts that are not known yet are ""."""

    identity: str = ""  # X-Request-ID
    source: str = ""  # the original's URL as `shown_source` has it
    format: str = ""  # of the result: webp, png, ...
    error: str = ""  # for logs: why the request failed, with the cause
    level: str = "info"  # of the request's line in the access log
    fallback: int = 0  # the status of the failure that a fallback image is sent for; 0 where none is
    work: WorkRecord = field(default_factory=WorkRecord)


def shown_source(url: str) -> str:
    """*url* for a log: without secrets (query, fragment, user and password); of a data URL the media type only."""
    if is_data_url(url):
        return url[:_LONGEST_SOURCE].partition(",")[0]
    shown = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = shown.partition("://")
    if separator:
        authority, slash, path = rest.partition("/")
        shown = scheme + separator + authority.rpartition("@")[2] + slash + path
    return shown if len(shown) <= _LONGEST_SOURCE else shown[:_LONGEST_SOURCE] + "..."
