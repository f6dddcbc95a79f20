"""What is known of one request: a record that each step of the work adds to, and that logs and headers show.

    RequestRecord   one per request, or job of a queue: its id, source, format, status, error
        work ──> WorkRecord   one per piece of work, shared by the equal requests that wait for it: its steps

The access log, `Server-Timing`, the warnings of `imgforge.web` and all telemetry (`request_observers`) read the same
record, so that a step has one name. The record is passed along as an argument. Hits of the fast lane have none: the
fields of their lines are kept with the prebuilt response.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from imgforge.model import ImageRequest, InfoRequest, is_data_url

__all__ = [
    "CLIENT_GONE",
    "PRERENDER",
    "QueuedJob",
    "RequestRecord",
    "Stage",
    "Step",
    "WorkRecord",
    "logged_target",
    "shown_source",
    "without_user_info",
]

CLIENT_GONE = 499  # nginx's status of a request whose client left; of a job that was given back to its queue, too
PRERENDER = "prerender"  # in place of a route: nobody has asked for the image yet

_LONGEST_SOURCE = 500
_LONGEST_TARGET = 500  # characters in a log line
_QUERY = re.compile(r"\?|%3f", re.IGNORECASE)
# User and password of a URL, encoded or not.
_USER_INFO = re.compile(rb"((?::|%3a)(?:/|%2f){2})(?:(?!%2f)[^/])*(?:@|%40)", re.IGNORECASE)
_MOST_STEPS = 100  # of a work: retries and hedges of many watermarks


class Stage(StrEnum):
    """The stages of making a result, in the order in which they are shown."""

    FETCH = "fetch"  # fetching originals from their source, the waits for that included
    WAIT = "wait"  # waiting for an image thread
    PROCESS = "process"  # decoding, transforming and encoding on that thread


class Step(NamedTuple):
    """One thing that was done for a result: a `Stage`, or a part of one. The times are seconds since the epoch."""

    name: str
    began: float
    ended: float
    attributes: Mapping[str, str | float | bool]
    error: BaseException | None = None  # why it failed, without the traceback


@dataclass(eq=False, slots=True, weakref_slot=True)
class WorkRecord:
    """The steps so far, the seconds that each stage has taken, and the size of the original in bytes.

    `propagated` are the headers by which an origin's trace joins that of the request which began the work.
    """

    steps: list[Step] = field(default_factory=list)  # in the order in which they ended
    seconds: dict[Stage, float] = field(default_factory=dict)
    bytes_in: int = 0
    propagated: tuple[tuple[str, str], ...] = ()

    def add(
        self,
        name: Stage | str,
        began: float,
        ended: float,
        error: BaseException | None = None,
        **attributes: str | float | bool,
    ) -> None:
        """Adds a step; steps beyond a hundred are not kept, but their seconds count."""
        if isinstance(name, Stage):
            self.seconds[name] = self.seconds.get(name, 0.0) + ended - began
        if len(self.steps) < _MOST_STEPS:
            self.steps.append(Step(name, began, ended, attributes, None if error is None else _bare(error)))

    @contextmanager
    def timed(
        self, name: Stage | str, clock: Callable[[], float], **attributes: str | float | bool
    ) -> Iterator[dict[str, str | float | bool]]:
        """Adds the block as a step, also where it raises; *clock* gives seconds since the epoch.

        The block may add to the attributes of the step, which it gets.
        """
        began = clock()
        try:
            yield attributes
        except BaseException as error:
            self.add(name, began, clock(), error, **attributes)
            raise
        self.add(name, began, clock(), None, **attributes)

    def timings(self) -> tuple[tuple[Stage, float], ...]:
        """The stages that there were, in order, and their seconds."""
        return tuple((stage, self.seconds[stage]) for stage in Stage if stage in self.seconds)


class QueuedJob(NamedTuple):
    """The job of a queue that a record is of: the request that queued it, and how often it was begun, this time too.

    `traceparent` is the trace of that request, as W3C's Trace Context has it; "" where there is none.
    """

    request: str
    tries: int
    traceparent: str = ""


@dataclass(eq=False, slots=True)
class RequestRecord:
    """What is known of one request; texts that are not known yet are "", and numbers 0.

    A job that makes an image beforehand has one too, with `PRERENDER` for its route and the status that GET would have.
    """

    identity: str = ""  # X-Request-ID
    method: str = ""
    target: bytes = b""  # as it was sent
    route: str = ""  # the name of its route in the metrics
    client: str = ""  # address
    began: float = 0.0  # seconds since the epoch
    scheme: str = "http"  # of the connection: https under TLS, whatever a proxy before it has
    image: ImageRequest | InfoRequest | None = None  # what the target asks for, once it is parsed
    source: str = ""  # the original's URL as `shown_source` has it
    format: str = ""  # of the result: webp, png, ...
    error: str = ""  # for logs: why the request failed, with the cause
    failure: BaseException | None = None  # the exception that it failed with
    level: str = "info"  # of the request's line in the access log
    only_cached: bool = False  # nothing is made for it (Cache-Control: only-if-cached), as for `imgforge explain`
    fallback: int = 0  # the status of the failure that a fallback image is sent for; 0 where none is
    work: WorkRecord = field(default_factory=WorkRecord)
    before: tuple[Step, ...] = ()  # steps before the work that it waits for: look-ups in caches
    trace: Any = None  # the tracer's own; None where there is no tracer
    trace_id: str = ""  # in hexadecimal; "" where the request is not traced
    propagated: tuple[tuple[str, str], ...] = ()  # see `WorkRecord`; of a request that queues jobs, theirs
    job: QueuedJob | None = None  # None for a request
    # Known once the answer is complete, or the client gone:
    ended: float = 0.0
    status: int = 0
    size: int = 0  # bytes of the body that were sent
    cache: str = ""  # Cache-Status
    referrer: str = ""
    agent: str = ""  # User-Agent

    def join(self, work: WorkRecord) -> WorkRecord:
        """Waits for *work*, which other requests may share; returns it."""
        self.before, self.work = (*self.before, *self.work.steps), work
        if not work.steps and not work.propagated:
            work.propagated = self.propagated
        return work

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps that the request waited for; those of shared work may have begun before the request."""
        return (*self.before, *self.work.steps)

    @property
    def duration(self) -> float:
        """Seconds from the request's head to the end of its answer."""
        return self.ended - self.began


def _bare(error: BaseException) -> BaseException:
    """*error* without its traceback, whose frames would keep this record and the bytes of originals alive."""
    kind = type(error)
    try:
        bare = kind.__new__(kind, *error.args)
        bare.__dict__.update(vars(error))
    except Exception:  # a plugin's may be made in other ways
        return Exception(kind.__name__)
    return bare


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


def logged_target(target: bytes | str) -> str:
    """*target*, or the path of a job, for a log line: without its source's query, user and password."""
    if isinstance(target, str):
        target = target.encode("utf-8", "backslashreplace")
    text = without_user_info(target).decode("utf-8", "backslashreplace")
    path, *query = _QUERY.split(text, maxsplit=1)
    logged = path[:_LONGEST_TARGET]
    return logged + "..." if query or len(path) > _LONGEST_TARGET else logged


def without_user_info(target: bytes) -> bytes:
    """*target* with `***` for users and passwords of the URLs in it."""
    return _USER_INFO.sub(rb"\1***@", target)
