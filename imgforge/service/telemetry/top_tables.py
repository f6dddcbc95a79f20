"""`/debug/top`: which sources, origins, options and formats take most time, bytes, errors and requests (JSON).

request ends ── TopTables.note ──┐
fast lane's hits ─ note_hits ────┴── fold, each second ── a file a minute ──> the process that is asked
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from twisted.internet.defer import DeferredLock
from twisted.internet.threads import deferToThreadPool
from twisted.web.http import parse_qs
from twisted.web.server import Request
from zope.interface import implementer

from imgforge.config import Settings
from imgforge.errors import BadRequest
from imgforge.interfaces import IServerReactor
from imgforge.observability import IRequestObserver, Metrics, RequestRecord
from imgforge.service.lifecycle import PeriodicCall
from imgforge.service.telemetry import Telemetry
from imgforge.service.telemetry.top import MEASURES, TABLES, WINDOW, Minute, SharedMinutes, TopTables, merged
from imgforge.web import Answer, BearerGate, Route

__all__ = ["make"]

_FOLD_INTERVAL = 1.0
_WRITE_INTERVAL = 2  # folds
_MOST_WAITING = 10  # calls that wait for the disk
_ROWS = 20
_encode = msgspec.json.encode


@implementer(IRequestObserver)
class TopObserver:
    """Counts requests in *tables*."""

    def __init__(self, tables: TopTables) -> None:
        self._tables = tables

    def begun(self, record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        """See `IRequestObserver`."""

    def ended(self, record: RequestRecord) -> None:
        """See `IRequestObserver`."""
        self._tables.note(record)


class TopFiles:
    """Writes *tables* to *shared* files, if there are other processes that read them."""

    def __init__(self, reactor: IServerReactor, tables: TopTables, shared: SharedMinutes | None) -> None:
        self._reactor = reactor
        self._tables = tables
        self._shared = shared
        self._turn = DeferredLock()
        self._folds = 0
        self._minute = tables.present.minute  # whose file is being written
        self._written = 0.0  # requests of the present minute that are in its file

    def fold(self) -> None:
        """Ranks what was counted; writes the present minute each two seconds if it has changed, and a finished one."""
        self._tables.fold()
        if self._shared is None:
            return
        self._folds += 1
        present = self._tables.present
        if present.minute != self._minute:  # others fold as well: who asks for the tables may have begun the minute
            for last in self._tables.finished:
                if last.minute >= self._minute and last.totals[0]:
                    self._in_thread(self._shared.write, last.minute, _encode(last))
            self._in_thread(self._shared.remove_old, time.time() - 60 * (WINDOW + 2))
            self._minute, self._written = present.minute, 0.0
        if self._folds % _WRITE_INTERVAL == 0 and present.totals[0] != self._written:
            self._written = present.totals[0]
            present.truncate()
            self._in_thread(self._shared.write, present.minute, _encode(present))

    def _in_thread(self, call: Callable[..., None], *arguments: Any) -> None:
        """One call after the other: of two documents of a minute the later one stays. A disk that hangs costs some."""
        if len(self._turn.waiting) < _MOST_WAITING:
            self._turn.run(deferToThreadPool, self._reactor, self._reactor.getThreadPool(), call, *arguments)


class TopEndpoint:
    """`GET /debug/top?by=time&rows=20&minutes=5`, for those who have the bearer token."""

    def __init__(
        self, reactor: IServerReactor, gate: BearerGate, tables: TopTables, shared: SharedMinutes | None, most: int
    ) -> None:
        self._reactor = reactor
        self._gate = gate
        self._tables = tables
        self._shared = shared
        self._most = most

    async def __call__(self, request: Request) -> Answer:
        """JSON with a list of rows for each table. `BadToken` without the token, `BadRequest` for other arguments."""
        self._gate.check(request.getHeader(b"authorization"))
        by, rows, minutes = _asked(parse_qs(request.uri.partition(b"?")[2]), self._most)
        self._tables.fold()
        least = self._tables.present.minute - minutes
        # Bytes: the thread may not read what goes on changing.
        own = [_encode(one) for one in (*self._tables.finished, self._tables.present) if one.minute >= least]
        document = await deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), self._document, own, least, by, rows
        )
        headers = [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")]
        return Answer(200, headers, document)

    def _document(self, own: list[bytes], least: int, by: str, rows: int) -> bytes:
        found = [msgspec.json.decode(one, type=Minute) for one in own]
        processes = {"own"}
        for pid, one in self._shared.read_others(least) if self._shared is not None else ():
            found.append(one)
            processes.add(pid)
        whole = merged(found, self._most)
        count, seconds, size, errors, estimated = whole.totals
        document = {
            "by": by,
            "since": 60 * min((one.minute for one in found), default=least),
            "processes": len(processes),
            "totals": {
                "count": round(count),
                "seconds": round(seconds, 6),
                "bytes": round(size),
                "errors": round(errors),
                "estimated": round(estimated),
            },
            "tables": {
                table: list(whole.tables[table][by].top(rows, whole.tables[table].values())) for table in TABLES
            },
        }
        return _encode(document) + b"\n"


def _asked(arguments: Mapping[bytes, list[bytes]], most: int) -> tuple[str, int, int]:
    """The measure, the number of rows and the number of minutes before the present one."""
    by = arguments.get(b"by", [b"time"])[-1].decode("latin-1")
    if by not in MEASURES:
        raise BadRequest(f"by must be one of {', '.join(MEASURES)}")
    return by, _number(arguments, b"rows", _ROWS, most), _number(arguments, b"minutes", WINDOW, WINDOW)


def _number(arguments: Mapping[bytes, list[bytes]], name: bytes, default: int, most: int) -> int:
    text = arguments.get(name, [b"%d" % min(default, most)])[-1]
    if not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise BadRequest(f"{name.decode('ascii')} must be a number from 1 to {most}")
    return int(text)


def make(reactor: IServerReactor, settings: Settings, metrics: Metrics) -> Telemetry:
    """The observer, what writes its tables, and the route."""
    tables = TopTables(settings.top_entries, reactor.seconds)
    shared = SharedMinutes(metrics.directory, os.getpid()) if metrics.directory else None
    files = TopFiles(reactor, tables, shared)
    gate = BearerGate(settings.top_secret)
    endpoint = TopEndpoint(reactor, gate, tables, shared, settings.top_entries)
    return Telemetry(
        observers=(TopObserver(tables),),
        services=(PeriodicCall(reactor, _FOLD_INTERVAL, files.fold, "the top tables are not updated"),),
        routes=(Route(b"/debug/top", "/debug/top", endpoint),),
        hit_observers=(tables.note_hits,),
    )
