"""The access log: one line per answer, in the formats that log tools know."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, TextIO, TypeVar

from imgforge.observability._writer import LineWriter

__all__ = ["Access", "AccessLog"]

T = TypeVar("T")

_USUAL_SIZE = 300  # of what waits for a line, without the client's long texts


class Access(NamedTuple):
    """One answered request; `at` is seconds since the epoch, `seconds` how long it took, texts are the client's.

    A tuple, for tens of thousands a second are made.
    """

    at: float
    client: str
    method: str
    target: str
    protocol: str
    status: int
    size: int
    seconds: float
    request_id: str
    cache: str
    referrer: str
    agent: str


_IN_QUOTES = frozenset('"\\')
_IN_FIELDS = frozenset(' "\\')


@lru_cache(maxsize=256)  # addresses, images and browsers come again
def _escaped(text: str, special: frozenset[str]) -> str:
    """*text* as Apache writes it: control characters and *special* ones cannot end the field or the line."""
    if text.isprintable() and special.isdisjoint(text):
        return text
    return "".join(char if char.isprintable() and char not in special else f"\\x{ord(char):02x}" for char in text)


def _quoted(text: str) -> str:
    escaped = _escaped(text, _IN_QUOTES)
    return f'"{escaped}"' if text else '"-"'


@lru_cache(maxsize=4)
def _moment(form: str, second: int) -> str:
    return time.strftime(form, time.gmtime(second))


def _common(access: Access) -> str:
    moment = _moment("%d/%b/%Y:%H:%M:%S +0000", int(access.at))
    request = _quoted(f"{access.method} {access.target} {access.protocol}")
    client = _escaped(access.client, _IN_FIELDS) or "-"
    return f"{client} - - [{moment}] {request} {access.status} {access.size}"


def _combined(access: Access) -> str:
    return f"{_common(access)} {_quoted(access.referrer)} {_quoted(access.agent)}"


def _json(access: Access) -> str:
    return json.dumps(
        {
            "time": f"{_moment('%Y-%m-%dT%H:%M:%S', int(access.at))}.{int(access.at % 1 * 1000):03d}Z",
            "client": access.client,
            "method": access.method,
            "path": access.target,
            "status": access.status,
            "bytes": access.size,
            "duration": round(access.seconds, 6),
            "request_id": access.request_id,
            "cache": access.cache,
            "referrer": access.referrer,
            "agent": access.agent,
        }
    )


_FORMATS: dict[str, Callable[[Access], str]] = {"common": _common, "combined": _combined, "json": _json}


class AccessLog:
    """Writes answered requests to *stream*; with the format "off" it is not enabled, and callers skip the work.

    Neither a full disk nor a pipe that nobody reads costs an answer: see `LineWriter`.
    """

    def __init__(self, stream: TextIO, format_name: str) -> None:
        self._writer = LineWriter(stream)
        self._line = _FORMATS.get(format_name)
        self._taken = 0

    @property
    def enabled(self) -> bool:
        """Whether anything is written at all."""
        return self._line is not None

    def write(self, access: Access) -> None:
        """One line."""
        if self._line is not None:
            size = _USUAL_SIZE + len(access.target) + len(access.referrer) + len(access.agent)
            self._writer.put(self._line, (access,), size)

    def write_all(self, records: Sequence[T], access: Callable[[T], Access]) -> None:
        """A line for each of *records*, which *access* makes readable: both happen on the writer's thread."""
        line = self._line
        if line is not None and records:
            self._writer.put(lambda record: line(access(record)), records, 2 * _USUAL_SIZE * len(records))

    def take_dropped(self) -> int:
        """How many lines have been dropped since the last call."""
        before, self._taken = self._taken, self._writer.dropped
        return self._taken - before

    def close(self, patience: float = 1.0) -> None:
        """Write what still waits, if somebody reads it, for so many seconds at most."""
        self._writer.close(patience)
