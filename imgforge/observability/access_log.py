"""The access log: one line per response, in the formats that log tools know."""

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

_USUAL_SIZE = 300  # bytes of a record that waits to be written, without the client's long texts


def as_sent(target: bytes) -> str:
    """*target* as text, still percent-encoded; bytes that are not UTF-8 become surrogates (`surrogateescape`)."""
    return target.decode("utf-8", "surrogateescape")


class Access(NamedTuple):
    """One request and its response. A tuple, as tens of thousands are made in a second.

    `client` to `protocol`, `referrer` and `agent` are texts of the client, unescaped; unknown texts are "".
    """

    at: float  # seconds since the epoch, when the response was complete
    client: str  # the client's IP address; "" over a unix socket without a proxy
    method: str
    target: str  # the request target as it was sent, see `as_sent`
    protocol: str  # HTTP/1.0 or HTTP/1.1
    status: int  # of the response, 100 to 599
    size: int  # bytes of the response's body
    seconds: float  # from the request's head to the end of the response
    request_id: str  # X-Request-ID
    cache: str  # Cache-Status of the response (RFC 9211)
    referrer: str
    agent: str  # User-Agent
    level: str = "info"  # of the line: info, warn or error
    source: str = ""  # the original's URL without its secrets, see `shown_source`
    format: str = ""  # of the result: webp, png, ...
    error: str = ""  # why the request failed, with the cause
    fallback: int = 0  # the status of the failure that a fallback image was sent for; 0 where none was
    bytes_in: int = 0  # bytes of the original, 0 where none was fetched
    timings: tuple[tuple[Stage, float], ...] = ()  # the stages that there were, in order, and their seconds


_DETAIL = re.compile(r'detail="?([^";]*)')  # of Cache-Status: HIT memory, MISS, ...
_IN_QUOTES = frozenset('"\\')
_IN_FIELDS = frozenset(' "\\')


@lru_cache(maxsize=256)  # addresses, images and browsers come again
def _escaped(text: str, special: frozenset[str]) -> str:
    """*text* as Apache's log has it: control and *special* characters as \\xhh, so that none ends the field or line."""
    if text.isprintable() and special.isdisjoint(text):
        return text
    return "".join(char if char.isprintable() and char not in special else _bytes_of(char) for char in text)


def _bytes_of(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def _quoted(text: str) -> str:
    escaped = _escaped(text, _IN_QUOTES)
    return f'"{escaped}"' if text else '"-"'


@lru_cache(maxsize=4)
def _formatted_time(form: str, second: int) -> str:
    return time.strftime(form, time.gmtime(second))


def _common(access: Access) -> str:
    time_text = _formatted_time("%d/%b/%Y:%H:%M:%S +0000", int(access.at))
    request = _quoted(f"{access.method} {access.target} {access.protocol}")
    client = _escaped(access.client, _IN_FIELDS) or "-"
    return f"{client} - - [{time_text}] {request} {access.status} {access.size}"


@lru_cache(maxsize=64)
def _cache_state(cache_status: str) -> str:
    detail = _DETAIL.search(cache_status)
    return detail[1] if detail else ""


def _combined(access: Access) -> str:
    """Apache's combined format, then seconds, state of the cache and request id."""
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
    """*target* with \\xhh for each surrogate, which stands for a byte that is not UTF-8."""
    if target.isascii():
        return target
    return target.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _json(access: Access) -> str:
    """One JSON object. `json.dumps` of the whole would take three times as long, and most lines are hits."""
    text = encode_basestring_ascii
    time_text = f"{_formatted_time('%Y-%m-%dT%H:%M:%S', int(access.at))}.{int(access.at % 1 * 1000):03d}Z"
    stages = _stages(access) if access.timings else _NO_STAGES
    return (
        f'{{"time": "{time_text}", "level": "{access.level}", "client": {text(access.client)}'
        f', "method": {text(access.method)}, "path": {text(_readable(access.target))}, "status": {access.status}'
        f', "bytes": {access.size}, "bytes_in": {access.bytes_in}, "duration": {access.seconds:.6f}{stages}'
        f', "request_id": {text(access.request_id)}, "cache": {text(access.cache)}, "source": {text(access.source)}'
        f', "format": {text(access.format)}, "error": {text(access.error)}, "fallback": {access.fallback or "null"}'
        f', "referrer": {text(access.referrer)}, "agent": {text(access.agent)}}}'
    )


_FORMATS: dict[str, Callable[[Access], str]] = {"common": _common, "combined": _combined, "json": _json}


def _passed_on(line: Callable[[Access], str], also: Callable[[str, str], None]) -> Callable[[Access], str]:
    def passed_on(access: Access) -> str:
        text = line(access)
        also(access.level, text)
        return text

    return passed_on


class AccessLog:
    """Writes a line for each response to *stream*: common, combined or json; with "off" it is not `enabled`.

    Neither a full disk nor a pipe whose reader has stopped delays a response: see `LineWriter`. *also* gets the level
    and the text of each line, on the writer's thread.
    """

    def __init__(self, stream: TextIO, format_name: str, also: Callable[[str, str], None] | None = None) -> None:
        self._writer = LineWriter(stream)
        line = _FORMATS.get(format_name)
        self._line = line if line is None or also is None else _passed_on(line, also)
        self._dropped_before = 0

    @property
    def enabled(self) -> bool:
        """Whether lines are written; callers then skip the work."""
        return self._line is not None

    def write(self, access: Access) -> None:
        """Writes one line."""
        if self._line is not None:
            size = _USUAL_SIZE + len(access.target) + len(access.referrer) + len(access.agent)
            self._writer.put(self._line, (access,), size)

    def write_all(self, records: Sequence[T], access: Callable[[T], Access]) -> None:
        """Writes a line for each of *records*; *access* turns one into an `Access` on the writer's thread."""
        line = self._line
        if line is not None and records:
            self._writer.put(lambda record: line(access(record)), records, 2 * _USUAL_SIZE * len(records))

    def take_dropped(self) -> int:
        """The number of lines that have been dropped since the last call."""
        before, self._dropped_before = self._dropped_before, self._writer.dropped
        return self._dropped_before - before

    def close(self, patience: float = 1.0) -> None:
        """Writes the lines that still wait, for *patience* seconds at most."""
        self._writer.close(patience)
