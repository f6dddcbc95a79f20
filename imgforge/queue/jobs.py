"""What a queue holds: jobs, each an image to make beforehand, and what became of them.

A job is a JSON document in every queue. Whatever comes out of a queue is checked again: files and brokers may hold
what somebody else has put there.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import msgspec

__all__ = [
    "BROWSER_ACCEPT",
    "JobFailed",
    "JobQueue",
    "QueueStatus",
    "RenderFailure",
    "RenderJob",
    "backoff",
    "is_request_id",
    "new_request_id",
    "oldest_request_id",
    "read_job",
    "read_traceparent",
    "total_of",
    "write_job",
]

# What today's browsers accept of the formats that the operator may offer: the variant that most visitors get.
BROWSER_ACCEPT = "image/avif,image/webp"

_FIRST_PAUSE = 2.0  # seconds before the second try
_LONGEST_PAUSE = 60.0
_REQUEST_ID = re.compile(r"[0-9a-f]{11}[0-9a-f]{12}-[0-9]{1,10}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_REASON_LENGTH = 500

_Text = Annotated[str, msgspec.Meta(max_length=16384)]
_Accept = Annotated[str, msgspec.Meta(max_length=1024)]
_RequestId = Annotated[str, msgspec.Meta(pattern=rf"^({_REQUEST_ID.pattern})?\Z")]


class RenderJob(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An image to make: its signed path, the Accept header of the visitors, and the request that it belongs to.

    `tries` counts how often it was begun; `reason` is why the last try failed. `request` is empty where nobody asks for
    what became of it.
    """

    path: _Text
    request: _RequestId = ""
    accept: _Accept = BROWSER_ACCEPT
    tries: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    reason: _Text = ""

    def tried(self) -> RenderJob:
        """The job, begun once more."""
        return msgspec.structs.replace(self, tries=self.tries + 1)

    def after(self, tries: int) -> RenderJob:
        """The job, begun *tries* times."""
        return msgspec.structs.replace(self, tries=tries)

    def released(self) -> RenderJob:
        """The job, as if it had not been begun the last time."""
        return msgspec.structs.replace(self, tries=max(0, self.tries - 1))

    def failed(self, reason: str) -> RenderJob:
        """The job with the *reason* of its failure, one line."""
        return msgspec.structs.replace(self, reason=" ".join(reason.split())[:_REASON_LENGTH])

    def fresh(self) -> RenderJob:
        """The job as if it had never been tried."""
        return msgspec.structs.replace(self, tries=0, reason="")


class RenderFailure(msgspec.Struct, frozen=True):
    """A job that was put aside."""

    path: str
    reason: str
    tries: int
    request: str


class QueueStatus(msgspec.Struct, frozen=True):
    """How many jobs wait (for their first or their next try), are being made, are done, and were put aside.

    `failures` has the first of those put aside.
    """

    pending: int
    running: int
    done: int
    failed: int
    failures: list[RenderFailure] = []


class JobFailed(Exception):
    """An image that could not be made; *again* where another try may fare better.

    *request_id* is that of the try in the log and in traces.
    """

    def __init__(self, reason: str, *, again: bool, request_id: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.request_id = request_id


class JobQueue(Protocol):
    """A queue of jobs. Its methods block, may be called on any thread, and raise `QueueFailed`."""

    def add(self, jobs: Sequence[RenderJob], traceparent: str = "") -> None:
        """Puts *jobs* at the end; they survive a crash once this returns.

        *traceparent* is the trace of the request that they are of, beside them: workers of any version read the jobs.
        """

    def status(self, most_failures: int = 1000) -> QueueStatus:
        """What the queue holds, with at most *most_failures* of the failures."""

    def depth(self) -> dict[str, int]:
        """How many jobs are pending, running and failed, as far as that is cheap to know."""

    def request(self, name: str) -> QueueStatus | None:
        """What became of the jobs of the request *name*; None for an unknown one."""

    def retry(self) -> int:
        """Puts the jobs that were put aside back to the end; returns how many."""

    def close(self) -> None:
        """Lets go of files and connections."""


def read_job(document: bytes | dict[str, Any]) -> RenderJob:
    """The job of a *document* out of a queue; ValueError for anything else."""
    try:
        if isinstance(document, bytes):
            return msgspec.json.decode(document, type=RenderJob)
        return msgspec.convert(document, RenderJob)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"no job: {error}") from None


def read_traceparent(found: object) -> str:
    """What W3C's Trace Context has as *found*, a text or bytes out of a queue; "" for anything else."""
    text = found.decode("latin-1") if isinstance(found, bytes) else found
    return text if isinstance(text, str) and _TRACEPARENT.fullmatch(text) else ""


def write_job(job: RenderJob) -> bytes:
    """The document of *job*."""
    return msgspec.json.encode(job)


def backoff(tries: int) -> float:
    """Seconds to wait after *tries* tries: 2, 4, 8 and so on, at most a minute."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(tries - 1, 30))


def new_request_id(total: int) -> str:
    """The name of a request for *total* images: names are in the order of time, and cannot be guessed."""
    return f"{_milliseconds(time.time())}{secrets.token_hex(6)}-{total}"


def oldest_request_id(now: float, seconds: float) -> str:
    """What the names of requests begin with that came *seconds* before *now*: older ones sort before it."""
    return _milliseconds(max(0.0, now - seconds))


def is_request_id(name: str) -> bool:
    """Whether *name* could be that of a request."""
    return _REQUEST_ID.fullmatch(name) is not None


def total_of(name: str) -> int:
    """How many images the request *name* was for."""
    return int(name.rpartition("-")[2])


def _milliseconds(seconds: float) -> str:
    return f"{int(seconds * 1000):011x}"
