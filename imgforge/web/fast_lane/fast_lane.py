"""The fast lane: cached images answered from prebuilt bytes, in front of twisted.web.

    bytes ── one whole simple GET or HEAD? ── target in the table? ── headers all plain? ──> head + body, one write
                  │ no                            │ no                    │ no
                  └───────────────────────────────┴───────────────────────┴──> twisted.web, byte for byte

A response enters the table after twisted.web has written it. Its signature, token and options were checked then, and
its head is stored as it was written. For another request the fast lane decides only what may differ between two
requests for one target: the bearer token, the accepted formats and the client hints where the response varies by them,
If-None-Match, Age, and the client that a trusted proxy names. The query is ignored, as everywhere. Everything else that
could matter goes to twisted.web: ranges, bodies, other conditions, Connection, anything but plain HTTP/1.1.

A response stays in the table while the memory tier holds its entry, and shares the entry's body. Each spelling of the
entry's target costs some 2 kB, which the tier counts as bytes of the entry. A ninth spelling replaces the oldest.

With an access log, each hit leaves a tuple behind. Several times a second a thread writes the lines of all of them.

What was decided is kept for a second at most, by all bytes of the request (`Prepared`): equal requests within it cost a
look-up in a dict, and the last digits of a request id. Nothing is kept of a request that a trusted proxy has sent, that
has an id of its own, or that is long; and all is forgotten when a response leaves the table.

Cost of a hit, of which there are tens of thousands a second: 2 us of Python, beside 6 us to receive and send. The first
of a second takes 3 us more.
"""

from __future__ import annotations

import hmac
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from twisted.web.http import datetimeToString

from imgforge.interfaces import IMemoryTier
from imgforge.web.fast_lane.deciding_headers import DecidingHeaders, ReadHeaders, read_direct_headers, read_headers
from imgforge.web.fast_lane.hits import TargetHits
from imgforge.web.fast_lane.lane import Lane
from imgforge.web.fast_lane.prebuilt import Prebuilt, RawHeaders, prebuild
from imgforge.web.fast_lane.prepared import END_OF_GIVEN_ID, ENDS, Prepared
from imgforge.web.fast_lane.spellings import Spelling, Variants
from imgforge.web.fast_lane.target_counts import TargetCounts
from imgforge.web.http import Clients, Offer, accepted_formats

__all__ = ["FastLane", "FastLaneSettings"]

_MOST_SPELLINGS = 8  # requests that are written differently share an entry
_LONGEST_REQUEST = 8192
_LONGEST_TARGET = 2048
_MOST_KEPT = 1024  # responses that are kept for equal requests, for a second
_LONGEST_KEPT = 1024  # bytes of those requests
# A request line up to its version, if its method or its query is not the one in the table.
_REQUEST_LINE = re.compile(rb"(GET|HEAD) ([\x21-\x3e\x40-\xff]+)(?:\?[\x21-\xff]*)?\Z")


@dataclass(frozen=True, slots=True)
class FastLaneSettings:
    """Which requests are answered, and whether hits are logged."""

    token: bytes = b""  # the Authorization header that a request must have; b"": none
    clients: Clients = field(default_factory=Clients)  # the trusted proxies and the allowed clients
    logged: bool = False  # whether hits are kept for the access log
    counts_targets: bool = False  # whether hits are counted by target


class FastLane:
    """The table of prebuilt responses for entries of *tier*. *clock* returns seconds since the epoch."""

    def __init__(self, tier: IMemoryTier, settings: FastLaneSettings, clock: Callable[[], float] = time.time) -> None:
        self._tier = tier
        self._token = settings.token
        self._clock = clock
        self._clients = settings.clients
        self._read: ReadHeaders = read_direct_headers if self._clients.direct_only else read_headers
        self._table: dict[Spelling, Prebuilt] = {}
        self._varying: dict[bytes, Variants] = {}
        self._spellings: dict[bytes, list[Spelling]] = {}  # by cache key, the oldest first
        # A new request id: these digits belong to the process, the others count.
        self._id_prefix = os.urandom(8).hex().encode("ascii")
        self._number = count()
        self._second = -1.0  # the one that `_date` is of, by the clock
        self._date = b""
        self._prepared: dict[bytes, Prepared] = {}  # by whole requests
        self.last = 0.0  # the moment of the last hit, by the clock
        # (method, status) -> hits and the seconds that they took together; the metrics take them.
        self.answered: dict[tuple[str, int], list[float]] = {}
        self._hits: list[tuple[Any, ...]] | None = [] if settings.logged else None
        self._targets = TargetCounts() if settings.counts_targets else None
        tier.add_drop_observer(self._drop)

    def __len__(self) -> int:
        return len(self._table)

    def offer(self, target: bytes, accept: bytes, offer: Offer, headers: RawHeaders, body: bytes) -> None:
        """Takes a response into the table: *headers* are those that twisted.web wrote for the 200 to *target*."""
        path = target.partition(b"?")[0]
        visit_mark = self._tier.visit_mark(offer.key)
        if visit_mark is None or len(path) > _LONGEST_TARGET:
            return
        line = b"GET " + path
        spelling: Spelling = line
        variants = None
        if offer.varies or offer.hints is not None:
            variants = self._varying.get(line) or Variants(offer.varies, offer.hints is not None)
            formats = accepted_formats(accept.decode("latin-1")) if variants.by_formats else 0
            spelling = line, formats, offer.hints if variants.by_hints else None
        if spelling in self._table:
            return
        prebuilt = prebuild(offer, visit_mark, path, headers, body)
        if not self._tier.charge(offer.key, prebuilt.cost):
            return
        self._table[spelling] = prebuilt
        if variants is not None:
            self._varying[line] = variants
            variants.count += 1
        spellings = self._spellings.setdefault(offer.key, [])
        spellings.append(spelling)
        if len(spellings) > _MOST_SPELLINGS:
            self._forget(spellings.pop(0))

    def for_connection(self, is_secure: Callable[[], bool]) -> Lane:  # noqa: ARG002  # for lanes that note the scheme
        """What answers the requests of a connection, which *is_secure* if it has TLS."""
        return self

    def answer(self, data: bytes, client: str = "", proxy: str | None = None) -> tuple[bytes, bytes, bytes] | None:
        """The response to the request *data* in pieces, the body last, or None if twisted.web must answer.

        *data* is all that has arrived. *client* is the address of the connection: an allowed client, or a trusted
        *proxy*, which is None otherwise.
        """
        now = self._clock()
        prepared = self._prepared.get(data)
        if prepared is None or proxy is not None or not prepared.since <= now < prepared.until:
            prepared = self._prepare(data, proxy, now)
            if prepared is None:
                return None
        try:
            end = next(prepared.ends)
        except StopIteration:
            self._count(self._prepared.pop(data))
            return self.answer(data, client, proxy)
        self.last = now
        prepared.visit_mark.visited = True
        counted = prepared.counted
        counted[0] += 1
        seconds = self._clock() - now
        counted[1] += seconds
        if self._hits is not None:
            # The fields of a `Hit`: making one takes longer than all the rest of this.
            target, method, status, headers = prepared.logged
            logged = method, target, status, len(prepared.body), seconds, prepared.request_id + end[:-4], headers
            self._hits.append((now, prepared.client or client, *logged))
        return prepared.head, end, prepared.body

    def _prepare(self, data: bytes, proxy: str | None, now: float) -> Prepared | None:
        """The response to *data*, kept for equal requests if it is the same for all clients; None as in `answer`."""
        if len(data) > _LONGEST_REQUEST:
            return None
        line, _, rest = data.partition(b" HTTP/1.1\r\n")
        prebuilt = self._table.get(line) or self._find(line, rest)
        if prebuilt is None:
            return None
        headers = self._read(rest)
        if headers is None or (self._token and not hmac.compare_digest(headers.authorization, self._token)):
            return None  # twisted.web refuses a wrong token
        client = "" if proxy is None else self._clients.behind(proxy, *headers.forwarded)
        if proxy is not None and not self._clients.allows(client):
            return None
        if prebuilt.until < now:
            self._drop(prebuilt.key)
            return None
        response = prebuilt.response(headers.if_none_match)
        if response is None:
            return None
        prepared = self._finish(prebuilt, response, headers, now)
        prepared.client = client
        if proxy is None and not headers.request_id and len(data) <= _LONGEST_KEPT:
            if len(self._prepared) >= _MOST_KEPT:
                self._clear_prepared()
            self._count(self._prepared.get(data))
            self._prepared[data] = prepared
        elif self._targets is not None:
            self._targets.add_sampled(prepared)
        return prepared

    def _finish(
        self, prebuilt: Prebuilt, response: tuple[int, bytes, bytes], headers: DecidingHeaders, now: float
    ) -> Prepared:
        """*response* with the headers that are new each time, the request id last."""
        if not self._second <= now < self._second + 1:
            self._begin_second(now)
        until = min(self._second + 1, prebuilt.until)
        status, head, body = response
        if prebuilt.aging_since:
            age = int(now - prebuilt.aging_since)
            until = min(until, prebuilt.aging_since + age + 1)
            if age >= 1:
                head = b"%sAge: %d\r\n" % (head, age)
        given = headers.request_id
        request_id = given or b"%s%013x" % (self._id_prefix, next(self._number))
        return Prepared(
            self._second,
            until,
            b"%s%s%s" % (head, self._date, request_id),
            iter(END_OF_GIVEN_ID if given else ENDS),
            body,
            prebuilt.visit_mark,
            self.answered.setdefault((prebuilt.method, status), [0, 0.0]),
            request_id,
            (prebuilt.target, prebuilt.method, status, headers.logged),
        )

    def _find(self, line: bytes, rest: bytes) -> Prebuilt | None:
        """The response to a HEAD, a request with a query, or a target whose responses vary; *rest* has its headers."""
        if line in self._varying:
            return self._variant(line, rest)
        request_line = _REQUEST_LINE.match(line)
        if request_line is None:
            return None
        method, path = request_line.groups()
        line_of_get = b"GET " + path
        prebuilt = self._table.get(line_of_get) or self._variant(line_of_get, rest)
        if prebuilt is None:
            return None
        body = b"" if method == b"HEAD" else prebuilt.body
        target = prebuilt.target._replace(target=line[len(method) + 1 :])
        return replace(prebuilt, method=method.decode("ascii"), target=target, body=body)

    def _variant(self, line: bytes, rest: bytes) -> Prebuilt | None:
        variants = self._varying.get(line)
        headers = self._read(rest) if variants is not None else None
        if variants is None or headers is None:
            return None
        formats = headers.formats if variants.by_formats else 0
        return self._table.get((line, formats, headers.hints if variants.by_hints else None))

    def _begin_second(self, now: float) -> None:
        """Writes the headers that are new each second, up to the request id; responses with others are of no use."""
        self._second = float(int(now))  # no int: comparing one to a float takes longer
        self._date = b"Date: " + datetimeToString(int(time.time())) + b"\r\nX-Request-Id: "
        self._clear_prepared()

    def _drop(self, key: bytes) -> None:
        for spelling in self._spellings.pop(key, ()):
            self._forget(spelling)

    def _forget(self, spelling: Spelling) -> None:
        self._clear_prepared()
        prebuilt = self._table.pop(spelling)
        self._tier.charge(prebuilt.key, -prebuilt.cost)  # no matter if the tier has dropped the entry
        if isinstance(spelling, tuple):
            variants = self._varying[spelling[0]]
            variants.count -= 1
            if not variants.count:
                del self._varying[spelling[0]]

    def _clear_prepared(self) -> None:
        """Forgets the prepared responses; how often each was sent is counted now, so that a hit does not count it."""
        if self._targets is not None:
            for prepared in self._prepared.values():
                self._targets.add(prepared)
        self._prepared.clear()

    def _count(self, prepared: Prepared | None) -> None:
        if self._targets is not None and prepared is not None:
            self._targets.add(prepared)

    def take_targets(self) -> list[TargetHits]:
        """The hits by target since the last call, up to a second late; none unless targets are counted."""
        if self._targets is None:
            return []
        if not self._second <= self._clock() < self._second + 1:
            self._clear_prepared()  # they are of use no more
        return self._targets.take()

    def take_answered(self) -> dict[tuple[str, int], list[Any]]:
        """The counts since the last call."""
        taken = {}
        for key, counted in self.answered.items():
            if counted[0]:
                taken[key] = [counted[0], max(0.0, counted[1])]  # clocks are set back
                counted[:] = 0, 0.0
        return taken

    def take_hits(self) -> list[tuple[Any, ...]]:
        """The fields for `hit_access` of each hit since the last call; none unless hits are logged."""
        hits = self._hits or []
        if hits:
            self._hits = []
        return hits
