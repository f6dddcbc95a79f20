"""A fast lane that notes some of its hits, for traces, at no cost for the others.

No hit counts towards the next noted one: how many follow until then is drawn for each prepared response, and its ends
(`Prepared.ends`) are an iterator that stops there to note. A prepared response that is given up takes its count along,
which changes nothing: the draw has no memory. Only responses to requests of trusted proxies, or with ids of their own,
which are prepared for one hit each, are counted down one by one.

A prepared response is the same over TLS and without it. Connections over TLS have a lane of their own before this one,
which tells it so: those without pay nothing for the scheme of a noted hit.

A request that its client has sampled (`traceparent`) goes to twisted.web, where its trace is continued; one whose
client has decided against that is not noted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from imgforge.interfaces import IMemoryTier
from imgforge.web.fast_lane.deciding_headers import DecidingHeaders
from imgforge.web.fast_lane.fast_lane import FastLane, FastLaneSettings
from imgforge.web.fast_lane.hits import Hit, LoggedTarget
from imgforge.web.fast_lane.lane import Lane
from imgforge.web.fast_lane.prepared import Prepared

__all__ = ["HitSampling", "SampledFastLane"]

# W3C Trace Context; the last digit is odd where the client has sampled the request.
_TRACEPARENT = re.compile(
    rb"(?:\A|\n)traceparent:[ \t]*[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]([0-9a-f])", re.IGNORECASE
)
_ODD = frozenset(b"13579bdfBDF")


class _Noted(NamedTuple):
    """What is noted of a hit, of the fields of a `Prepared`: which would otherwise have an iterator that has it."""

    logged: tuple[LoggedTarget, str, int, Mapping[bytes, bytes]]
    request_id: bytes
    size: int
    counted: list[float]

    def at(self, now: float, end: bytes, client: str = "") -> Hit:
        """The hit that takes *end*; its seconds are the mean of those like it, as it is not over."""
        target, method, status, headers = self.logged
        count, seconds = self.counted
        mean = max(0.0, seconds) / count if count else 0.0
        return Hit(now, client, method, target, status, self.size, mean, self.request_id + end[:-4], headers)


@dataclass(frozen=True, slots=True)
class HitSampling:
    """Which hits are noted, and by whom."""

    gaps: Iterator[int]  # endless; n: the nth hit from now on is noted
    # Gets the hit, without the address of a client that no proxy names, and its scheme: https over TLS, or http.
    note: Callable[[Hit, str], None]
    parents: bool = True  # whether clients decide too


class SampledFastLane(FastLane):
    """A `FastLane` that notes hits by *sampling*."""

    def __init__(
        self,
        tier: IMemoryTier,
        settings: FastLaneSettings,
        clock: Callable[[], float] = time.time,
        *,
        sampling: HitSampling,
    ) -> None:
        super().__init__(tier, settings, clock)
        self._gaps = sampling.gaps
        self._note = sampling.note
        self._scheme = "http"
        self._until = next(self._gaps)  # of the hits that are prepared one by one
        if sampling.parents:
            read = self._read

            def read_unless_sampled(lines: bytes) -> DecidingHeaders | None:
                return None if _parent(lines) in _ODD else read(lines)

            self._read = read_unless_sampled

    def for_connection(self, is_secure: Callable[[], bool]) -> Lane:
        """See `FastLane`."""
        return _LaneOverTLS(self) if is_secure() else self

    def answer_over_tls(self, data: bytes, client: str, proxy: str | None) -> tuple[bytes, bytes, bytes] | None:
        """As `answer`, for a request that came over TLS."""
        self._scheme = "https"
        try:
            return self.answer(data, client, proxy)
        finally:
            self._scheme = "http"

    def _prepare(self, data: bytes, proxy: str | None, now: float) -> Prepared | None:
        prepared = super()._prepare(data, proxy, now)
        if prepared is None:
            return None
        if self._prepared.get(data) is prepared:
            if _parent(data) < 0:
                hit = _Noted(prepared.logged, prepared.request_id, len(prepared.body), prepared.counted)
                prepared.ends = chain.from_iterable(self._ends(prepared.ends, hit))
            return prepared
        self._until -= 1
        if not self._until:
            self._until = next(self._gaps)
            if _parent(data) < 0:
                end = next(prepared.ends)
                hit = _Noted(prepared.logged, prepared.request_id, len(prepared.body), prepared.counted)
                self._note(hit.at(now, end, prepared.client), self._scheme)
                prepared.ends = iter((end,))
        return prepared

    def _ends(self, ends: Iterator[bytes], hit: _Noted) -> Iterator[Iterable[bytes]]:
        for gap in self._gaps:
            yield islice(ends, gap - 1)
            end = next(ends, None)
            if end is None:
                return
            self._note(hit.at(self._clock(), end), self._scheme)
            yield (end,)


class _LaneOverTLS:
    """The lane of a connection over TLS."""

    def __init__(self, lane: SampledFastLane) -> None:
        self._lane = lane

    @property
    def last(self) -> float:
        """See `Lane`."""
        return self._lane.last

    def answer(self, data: bytes, client: str = "", proxy: str | None = None) -> tuple[bytes, bytes, bytes] | None:
        """See `Lane`."""
        return self._lane.answer_over_tls(data, client, proxy)


def _parent(lines: bytes) -> int:
    """The last character of a `traceparent`; -1 without one."""
    if b"race" not in lines and b"RACE" not in lines:  # the search takes longer
        return -1
    found = _TRACEPARENT.search(lines)
    return found[1][0] if found is not None else -1
