"""What the requests of a process add up to, minute by minute: the present one, and the five before it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from imgforge.observability import CLIENT_GONE, RequestRecord, options_text
from imgforge.service.telemetry.top.ranking import MEASURES, Ranking, Totals
from imgforge.web import TargetHits

__all__ = ["TABLES", "WINDOW", "Minute", "TopTables", "merged"]

TABLES = ("sources", "origins", "options", "formats")
WINDOW = 5  # finished minutes that are kept
_MOST_WAITING = 2000  # names that wait to be ranked
_MOST_TARGETS = 2000  # whose options are known when the fast lane answers them
_LONGEST_TARGET = 1000  # bytes
_NONE: Totals = (0.0, 0.0, 0.0, 0.0, 0.0)


class Minute(msgspec.Struct):
    """The rankings of one minute since the epoch, by table and measure, and the totals of all requests."""

    minute: int
    totals: Totals
    tables: dict[str, dict[str, Ranking]]

    @classmethod
    def empty(cls, minute: int, most: int) -> Minute:
        """A minute without requests, with *most* names in each ranking."""
        tables = {
            table: {name: Ranking(number, most, 0.0, {}) for number, name in enumerate(MEASURES)} for table in TABLES
        }
        return cls(minute, _NONE, tables)

    def truncate(self) -> None:
        """Drops the names beyond those that are to be kept."""
        for rankings in self.tables.values():
            for ranking in rankings.values():
                ranking.truncate()

    def merge(self, other: Minute) -> None:
        """Adds what *other* has counted."""
        self.totals = _sum(self.totals, other.totals)
        for table, rankings in self.tables.items():
            for name, ranking in rankings.items():
                added = other.tables.get(table, {}).get(name)
                if added is not None and added.measure == ranking.measure:
                    ranking.merge(added)


def _utf8(name: str) -> str:
    """*name* without surrogates, which JSON has not."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode("utf-8")


def _sum(first: Totals, second: Totals) -> Totals:
    return tuple(map(sum, zip(first, second, strict=True)))  # type: ignore[return-value]


def merged(minutes: Iterable[Minute], most: int) -> Minute:
    """One `Minute` with all that *minutes* have counted."""
    whole = Minute.empty(0, most)
    for one in minutes:
        whole.merge(one)
    return whole


class TopTables:
    """Counts requests of images, in *most* names for each ranking. *clock* returns seconds since the epoch.

    Requests are added up by name, which is quick; `fold`, which is called each second, ranks the sums.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._minute = Minute.empty(self._now(), most)
        self._finished: deque[Minute] = deque(maxlen=WINDOW)
        self._waiting: dict[str, dict[str, list[float]]] = {table: {} for table in TABLES}
        self._totals = [0.0] * len(_NONE)
        self._options: OrderedDict[bytes, str] = OrderedDict()  # by target without its query

    def note(self, record: RequestRecord) -> None:
        """Counts a request that has ended, if it asked for an image or its facts.

        Jobs of a queue are none, and those that look into the caches only: their 504 is no error of a source.
        """
        if record.image is None or record.job is not None or record.only_cached:
            return
        failed = record.fallback or (record.status >= 400 and record.status != CLIENT_GONE)
        options = options_text(record.image) or "-"
        target = record.target.partition(b"?")[0]
        if len(target) <= _LONGEST_TARGET:
            self._options[target] = options
            self._options.move_to_end(target)
            if len(self._options) > _MOST_TARGETS:
                self._options.popitem(last=False)
        totals = (1.0, max(0.0, record.duration), float(record.size), 1.0 if failed else 0.0, 0.0)
        self._add(record.source, options, record.format, totals)

    def note_hits(self, hits: Iterable[TargetHits]) -> None:
        """Counts what the fast lane has answered; the time that it takes is not worth a row."""
        for one in hits:
            options = self._options.get(one.target.partition(b"?")[0], "-")
            estimated = float(one.hits) if one.sampled else 0.0
            self._add(one.source, options, one.format, (float(one.hits), 0.0, float(one.size), 0.0, estimated))

    def _add(self, source: str, options: str, result_format: str, totals: Totals) -> None:
        source = _utf8(source)
        names = (source or "-", _origin(source) or "-", _utf8(options), result_format or "-")
        for table, name in zip(TABLES, names, strict=True):
            waiting = self._waiting[table]
            sums = waiting.get(name)
            if sums is None:
                waiting[name] = list(totals)
            else:
                for number, value in enumerate(totals):
                    sums[number] += value
        for number, value in enumerate(totals):
            self._totals[number] += value
        if len(self._waiting["sources"]) >= _MOST_WAITING:
            self.fold()

    def fold(self) -> None:
        """Ranks what was counted since the last call, in the minute of that; begins another one when that is over."""
        self._rank()
        now = self._now()
        if now != self._minute.minute:
            self._minute.truncate()
            self._finished.append(self._minute)
            self._minute = Minute.empty(now, self._most)

    def _rank(self) -> None:
        if not self._totals[0]:
            return
        minute = self._minute
        minute.totals = _sum(minute.totals, tuple(self._totals))  # type: ignore[arg-type]
        for table, rankings in minute.tables.items():
            batch: dict[str, Any] = {name: tuple(sums) for name, sums in self._waiting[table].items()}
            for ranking in rankings.values():
                ranking.add(batch)
            self._waiting[table] = {}
        self._totals = [0.0] * len(_NONE)

    def _now(self) -> int:
        return int(self._clock() // 60)

    @property
    def present(self) -> Minute:
        """The present minute, as far as it is ranked."""
        return self._minute

    @property
    def finished(self) -> Iterable[Minute]:
        """The minutes before it, the last one last."""
        return tuple(self._finished)


def _origin(source: str) -> str:
    scheme, separator, rest = source.partition("://")
    return scheme + separator + rest.partition("/")[0]
