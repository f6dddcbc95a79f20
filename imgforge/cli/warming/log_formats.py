"""The access logs that `imgforge warm` reads; each line tells its format by itself.

Apache's and nginx's common and combined formats and imgforge's text format, also behind the prefix of a journal; JSON
lines of imgforge, or with nginx's variables as names; W3C extended logs as CloudFront writes them, with a line #Fields;
logs of AWS load balancers (ALB and classic).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

__all__ = ["LogParser", "LoggedRequest"]


class LoggedRequest(NamedTuple):
    """A request that a log has. `target` are the bytes that the client sent, which may be an absolute URL."""

    method: str
    target: bytes
    status: int
    at: float | None  # seconds since the epoch; None where the line has no time that can be read


_QUOTED = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_COMBINED = re.compile(rb"\[(\d{1,2}/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] " + _QUOTED + rb" (\d{3})(?!\d)")
_BALANCER = re.compile(
    rb"(?:(?:https?|h2|wss?|grpcs) )?(\d{4}-\d\d-\d\dT[0-9:.]{8,20}Z) (?:\S+ ){6}(\d{3}|-) (?:\S+ ){3}" + _QUOTED
)
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"f": b"\f", b"b": b"\b"}
_REQUEST = re.compile(rb"([A-Z]{1,20}) (\S+)(?: HTTP/\d(?:\.\d)?)?")

_MONTHS = {
    month: number
    for number, month in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_COMMON_TIME = re.compile(r"(\d{1,2})/([a-z]{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)")

# The fields that CloudFront writes first, for a part of a file that has lost its head.
_USUAL_FIELDS = b"date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status"
_FIELDS = b"#Fields:"
_MOST_FIELDS = 200
# What CloudFront percent-encodes in a value; all else in a path that has percent-escapes was sent so.
_CLOUDFRONT_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_CLOUDFRONT_ENCODES = frozenset(b"<>\"#%{|}\\^~[]`'") | frozenset(range(0x7F, 0x100))


def _unescaped(text: bytes) -> bytes:
    """*text* without the escapes of Apache, nginx and imgforge: \\xhh, and a backslash before a character."""
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()) if match[1] else _letter(match[2]), text)


def _letter(letter: bytes) -> bytes:
    return _ESCAPED.get(letter, letter)


@lru_cache(maxsize=256)
def _common_time(text: bytes) -> float | None:
    """The time of Apache's format, 28/Nov/2026:14:54:40 +0000, in any locale."""
    match = _COMMON_TIME.fullmatch(text.decode("ascii").lower())
    if match is None or match[2] not in _MONTHS:
        return None
    day, _, year, *clock = match.groups()
    offset = timedelta(hours=int(match[7]), minutes=int(match[7][0] + match[8]))
    try:
        hour, minute, second = (int(number) for number in clock[:3])
        zone = timezone(offset)
        return datetime(int(year), _MONTHS[match[2]], int(day), hour, minute, second, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=256)
def _iso_time(text: str) -> float | None:
    """An ISO 8601 time, in UTC unless it says otherwise."""
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _request(text: bytes, status: bytes, at: float | None) -> LoggedRequest | None:
    """The request of a request line, *text*; None where it is none, such as the bytes of a TLS handshake."""
    match = _REQUEST.fullmatch(_unescaped(text))
    return LoggedRequest(match[1].decode("ascii"), match[2], int(status), at) if match and status.isdigit() else None


def _combined(line: bytes) -> LoggedRequest | None:
    match = _COMBINED.search(line)
    return _request(match[2], match[3], _common_time(match[1])) if match else None


def _balancer(line: bytes) -> LoggedRequest | None:
    match = _BALANCER.match(line)
    return _request(match[3], match[2], _iso_time(match[1].decode("ascii"))) if match else None


class _JsonLine(msgspec.Struct):
    """The fields of imgforge's JSON line, or nginx's variables as names."""

    method: str = ""
    path: str = ""
    status: int | str = 0
    time: str = ""
    request_method: str = ""
    request_uri: str = ""
    time_iso8601: str = ""


_DECODER = msgspec.json.Decoder(_JsonLine)


def _json(line: bytes) -> LoggedRequest | None:
    try:
        found = _DECODER.decode(line)
        status = int(found.status)
        target = (found.path or found.request_uri).encode()
    except (ValueError, RecursionError):  # msgspec's errors are among them
        return None
    time = found.time or found.time_iso8601
    method = found.method or found.request_method
    if not method or not target:
        return None
    return LoggedRequest(method, target, status, _iso_time(time) if len(time) < 64 else None)


class _Cloudfront:
    """Reads lines with tabs by the fields that the last line #Fields has named."""

    def __init__(self) -> None:
        self._columns: dict[bytes, int] = {}
        self.fields(_USUAL_FIELDS)

    def fields(self, names: bytes) -> None:
        """Takes the *names* of the fields, with spaces between."""
        self._columns = {name: index for index, name in enumerate(names.split(maxsplit=_MOST_FIELDS))}

    def __call__(self, line: bytes) -> LoggedRequest | None:
        values = line.split(b"\t", _MOST_FIELDS)

        def value(name: bytes) -> bytes:
            index = self._columns.get(name, len(values))
            return values[index] if index < len(values) else b""

        method, target, status = value(b"cs-method"), value(b"cs-uri-stem"), value(b"sc-status")
        if not (method.isalpha() and target.startswith(b"/") and status.isdigit() and len(status) == 3):
            return None
        time = b"T".join((value(b"date"), value(b"time"))).decode("ascii", "replace")
        at = _iso_time(time) if len(time) < 64 else None
        return LoggedRequest(method.decode("ascii", "replace"), _cloudfront_decoded(target), int(status), at)


def _cloudfront_decoded(path: bytes) -> bytes:
    """The *path* that was sent, where CloudFront has percent-encoded some of its characters, % among them.

    Other programs with this format log the path as it was sent: any escape that CloudFront does not write shows that.
    """
    if b"%" not in path:
        return path
    written = {int(digits, 16) if digits else None for digits in _CLOUDFRONT_ESCAPE.findall(path)}
    return unquote_to_bytes(path) if written <= _CLOUDFRONT_ENCODES else path


class LogParser:
    """Parses the lines of one log file, whatever their format; a line is no longer than its reader allows."""

    def __init__(self) -> None:
        self._cloudfront = _Cloudfront()

    def parse(self, line: bytes) -> LoggedRequest | None:
        """The request that *line* logs; None where it is no line of an access log."""
        if line.startswith(b"#"):
            if line.startswith(_FIELDS):
                self._cloudfront.fields(line.removeprefix(_FIELDS))
            return None
        return next((found for form in self._formats(line) if (found := form(line)) is not None), None)

    def _formats(self, line: bytes) -> tuple[Callable[[bytes], LoggedRequest | None], ...]:
        """The formats that *line* may have, the likely one first."""
        if line.startswith(b"{"):
            return (_json,)
        if line.count(b"\t", 0, 4096) > 4:
            return self._cloudfront, _combined
        if b'{"' in line:  # the prefix of a journal may precede it
            return _combined, _balancer, lambda text: _json(text[text.index(b'{"') :])
        return _combined, _balancer
