"""The names with the greatest sums of a stream that has more names than there is memory for.

Space-Saving (Metwally, Agrawal and El Abbadi, 2005) in batches, in the form of Agarwal et al., "Mergeable Summaries"
(2012), by which summaries of several processes and minutes add up: of m names that are kept and a sum S of all, each
name with more than S / m is among them, and a name's sum is overestimated by less than S / m. The floor bounds the sum
of each name that is not kept; a name that comes back begins there.

datasketches has this by `frequent_strings_sketch`, but of one sum only, and with numpy in each worker.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from heapq import nlargest
from operator import itemgetter
from typing import Any

import msgspec

__all__ = ["MEASURES", "Ranking", "Totals"]

# By what names are ranked, in the order of `Totals`.
MEASURES = ("count", "time", "bytes", "errors")

# Requests, seconds, bytes sent, errors, and how many of the requests are estimated from a sample.
Totals = tuple[float, float, float, float, float]
_Row = tuple[float, float, float, float, float, float]  # by how much the sum is overestimated, then `Totals`


def _sum(first: _Row, second: _Row) -> _Row:
    """The sums, place by place; written out, as it is called thousands of times a second."""
    over, count, seconds, size, errors, estimated = second
    return (
        first[0] + over,
        first[1] + count,
        first[2] + seconds,
        first[3] + size,
        first[4] + errors,
        first[5] + estimated,
    )


class Ranking(msgspec.Struct):
    """The names with the greatest sums of the measure number *measure*; *most* are kept, twice as many for a while.

    The other totals of a name are those since it was last taken up.
    """

    measure: int
    most: int
    floor: float = 0.0
    rows: dict[str, _Row] = {}

    def add(self, batch: Mapping[str, Totals]) -> None:
        """Adds the totals of each name."""
        rows = self.rows
        for name, totals in batch.items():
            row = rows.get(name)
            if row is not None:
                rows[name] = _sum(row, (0.0, *totals))
            elif totals[self.measure] > 0:
                rows[name] = (self.floor, *totals)
        if len(rows) > 2 * self.most:
            self.truncate()

    def merge(self, other: Ranking) -> None:
        """Adds *other*, of the same measure."""
        mine, theirs = self.rows, other.rows
        merged: dict[str, _Row] = {}
        for name in mine.keys() | theirs.keys():
            first, second = mine.get(name), theirs.get(name)
            if first is None:
                first = (self.floor, 0.0, 0.0, 0.0, 0.0, 0.0)
            if second is None:
                second = (other.floor, 0.0, 0.0, 0.0, 0.0, 0.0)
            merged[name] = _sum(first, second)
        self.rows = merged
        self.floor += other.floor
        self.truncate()

    def truncate(self) -> None:
        """Drops the names with the least sums beyond *most*."""
        if len(self.rows) > self.most:
            ranked = nlargest(self.most + 1, self.rows.items(), key=self._weight)
            self.floor = max(self.floor, self._weight(ranked[-1]))
            self.rows = dict(ranked[:-1])

    def top(self, count: int, others: Collection[Ranking] = ()) -> Iterable[dict[str, Any]]:
        """The *count* names with the greatest sums, the greatest first.

        The other totals of a name are those of the one of *others* that took it up first: an error is rarely the
        first request for a name.
        """
        for name, row in nlargest(count, self.rows.items(), key=self._weight):
            found = (row, *(one.rows[name] for one in others if name in one.rows))
            fullest = max(found, key=itemgetter(1))  # by requests
            totals = [*fullest[1:]]
            totals[self.measure] = row[1 + self.measure]
            over, (requests, seconds, size, errors, estimated) = row[0], totals
            yield {
                "name": name,
                "count": round(requests),
                "seconds": round(seconds, 6),
                "bytes": round(size),
                "errors": round(errors),
                "estimated": round(estimated),
                "uncertainty": round(over, 6),
            }

    def _weight(self, item: tuple[str, _Row]) -> float:
        return item[1][0] + item[1][1 + self.measure]
