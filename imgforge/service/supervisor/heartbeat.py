"""The worker's end of the pipe to its supervisor: heartbeats, or why the worker cannot start."""

from __future__ import annotations

import json
import os
import traceback
from contextlib import suppress

__all__ = ["FAILED", "HEARTBEAT_INTERVAL", "report_failure", "send_heartbeat"]

HEARTBEAT_INTERVAL = 1.0  # seconds
FAILED = b"!"  # the report of a failed start begins with it
_HEARTBEAT = b"."
# Characters of an error and of its traceback, so that both go into a pipe at once, whatever they are in JSON.
_LONGEST_ERROR, _LONGEST_TRACEBACK = 500, 8000


def send_heartbeat(descriptor: int) -> None:
    """Tell the supervisor that this worker's reactor turns."""
    with suppress(OSError):  # a supervisor that is gone ends its workers in another way
        os.write(descriptor, _HEARTBEAT)


def report_failure(descriptor: int, error: BaseException) -> None:
    """Tell the supervisor that this worker cannot start, and why."""
    line = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_ERROR]
    trace = "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]
    with suppress(OSError):
        os.write(descriptor, FAILED + json.dumps([line, trace]).encode() + b"\n")
