"""The access log: one line per answer, in the formats that log tools know."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import NamedTuple, TextIO, TypeVar

from imgforge.observability.line_writer import LineWriter
from imgforge.observability.request_record import Stage

__all__ = ["Access", "AccessLog", "as_sent"]

T = TypeVar("T")

_USUAL_SIZE = 300  # of what waits for a line, without the client's long texts


def as_sent(target: bytes) -> str:
    """*target* as text, undecoded; bytes that are no UTF-8 become surrogates, which each format writes in its way."""
    return target.decode("utf-8", "surrogateescape")


class Access(NamedTuple):
    """One answered request; `at` is seconds since the epoch, `seconds` how long it took, texts are the client's.

    `cache` is the answer's Cache-Status; from `level` on see `RequestRecord`. A tuple, for tens of thousands a second
    are made.
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
    level: str = "info"
    source: str = ""
    format: str = ""
    error: str = ""
    fallback: int = 0
    bytes_in: int = 0
    timings: tuple[tuple[Stage, float], ...] = ()


_DETAIL = re.compile(r'detail="?([^";]*)')  # of Cache-Status: HIT memory, MISS, ...
_IN_QUOTES = frozenset('"\\')
_IN_FIELDS = frozenset(' "\\')


@lru_cache(maxsize=256)  # addresses, images and browsers come again
def _escaped(text: str, special: frozenset[str]) -> str:
    """*text* as Apache writes it: control characters and *special* ones cannot end the field or the line."""
    if text.isprintable() and special.isdisjoint(text):
        return text
    return "".join(char if char.isprintable() and char not in special else _bytes_of(char) for char in text)


def _bytes_of(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


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


@lru_cache(maxsize=64)
def _cache_state(cache_status: str) -> str:
    detail = _DETAIL.search(cache_status)
    return detail[1] if detail else ""


def _combined(access: Access) -> str:
    """The usual fields first, for programs that know those only."""
    usual = f"{_common(access)} {_quoted(access.referrer)} {_quoted(access.agent)}"
    return f"{usual} {access.seconds:.6f} {_quoted(_cache_state(access.cache))} {_quoted(access.request_id)}"


def _stages(access: Access) -> str:
    seconds = dict(access.timings)
    return "".join(
        f', "{stage}_ms": {seconds[stage] * 1e3:.3f}' if stage in seconds else f', "{stage}_ms": null'
        for stage in Stage
    )


_NO_STAGES = "".join(f', "{stage}_ms": null' for stage in Stage)


def _readable(target: str) -> str:
    """*target* without the surrogates that stand for bytes which are no UTF-8."""
    if target.isascii():
        return target
    return target.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _json(access: Access) -> str:
    """One object. Put together here, for `json.dumps` of the whole takes three times as long: most lines are hits."""
    text = encode_basestring_ascii
    moment = f"{_moment('%Y-%m-%dT%H:%M:%S', int(access.at))}.{int(access.at % 1 * 1000):03d}Z"
    stages = _stages(access) if access.timings else _NO_STAGES
    return (
        f'{{"time": "{moment}", "level": "{access.level}", "client": {text(access.client)}'
        f', "method": {text(access.method)}, "path": {text(_readable(access.target))}, "status": {access.status}'
        f', "bytes": {access.size}, "bytes_in": {access.bytes_in}, "duration": {access.seconds:.6f}{stages}'
        f', "request_id": {text(access.request_id)}, "cache": {text(access.cache)}, "source": {text(access.source)}'
        f', "format": {text(access.format)}, "error": {text(access.error)}, "fallback": {access.fallback or "null"}'
        f', "referrer": {text(access.referrer)}, "agent": {text(access.agent)}}}'
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
