"""The access log: one line per answer, in the formats that log tools know."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

__all__ = ["Access", "AccessLog"]


@dataclass(frozen=True, slots=True)
class Access:
    """One answered request; `at` is seconds since the epoch, `seconds` how long it took, texts are the client's."""

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


def _escaped(text: str, special: str) -> str:
    """*text* as Apache writes it: control characters and *special* ones cannot end the field or the line."""
    return "".join(char if char.isprintable() and char not in special else f"\\x{ord(char):02x}" for char in text)


def _quoted(text: str) -> str:
    escaped = _escaped(text, '"\\')
    return f'"{escaped}"' if text else '"-"'


def _common(access: Access) -> str:
    moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(access.at))
    request = _quoted(f"{access.method} {access.target} {access.protocol}")
    client = _escaped(access.client, ' "\\') or "-"
    return f"{client} - - [{moment}] {request} {access.status} {access.size}"


def _combined(access: Access) -> str:
    return f"{_common(access)} {_quoted(access.referrer)} {_quoted(access.agent)}"


def _json(access: Access) -> str:
    return json.dumps(
        {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(access.at)),
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
    """Writes answered requests to *stream*; with the format "off" it is not enabled, and callers skip the work."""

    def __init__(self, stream: TextIO, format_name: str) -> None:
        self._stream = stream
        self._line = _FORMATS.get(format_name)

    @property
    def enabled(self) -> bool:
        """Whether anything is written at all."""
        return self._line is not None

    def write(self, access: Access) -> None:
        """One line; a log that cannot be written (a full disk, a pipe that nobody reads) costs no answer."""
        if self._line is not None:
            with suppress(OSError):
                self._stream.write(self._line(access) + "\n")
                self._stream.flush()
