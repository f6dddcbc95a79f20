"""The fast lane: cached images answered from prebuilt bytes, in front of twisted.web.

    bytes ── one whole simple GET or HEAD? ── target in the table? ── headers all plain? ──> head + body, one write
                  │ no                            │ no                    │ no
                  └───────────────────────────────┴───────────────────────┴──> twisted.web, byte for byte

What stands in the table was answered the normal way before: signature, token and options were checked then, and the
head is what twisted.web wrote. The lane only decides what may differ between two requests for the same target: the
bearer token, the formats that the client takes and its hints where the answer varies by them, If-None-Match, the Age,
and the client that a trusted proxy tells of. A query decides nothing, for it is cut off. Whatever else could matter
(ranges, bodies, other conditions, Connection, anything that is not plain HTTP/1.1) goes the normal way.

An entry is in the table only while the memory tier has it, and holds the same body: the table costs some 2 kB for each
of the spellings of an entry's target. There are a few of them: one more takes the place of the oldest.

With an access log each answer leaves a tuple behind, which becomes a line several times a second, on another thread.

Cost of a hit, of which there are tens of thousands a second: the request is cut in two, its first line and its header
lines are looked up in a dict each, and three pieces are joined. That is 3 us beside 8 us of receiving and sending.
"""

from __future__ import annotations

import hmac
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from twisted.web.http import datetimeToString

from imgforge.interfaces import IMemoryTier, VisitMark
from imgforge.model import Hints
from imgforge.web.fast_lane.headers import read_direct_headers, read_headers
from imgforge.web.fast_lane.hits import Shown, hit_access
from imgforge.web.http.forwarded import Clients
from imgforge.web.http.negotiation import accepted_formats

__all__ = ["FastLane", "Offer", "hit_access"]

RawHeaders = Iterable[tuple[bytes, Sequence[bytes]]]

# Spellings of one target that are kept for one entry: requests written differently share an entry.
_MOST_SPELLINGS = 8
_LONGEST_REQUEST = 8192
# A request line up to its version whose method or query is not the one that the table has.
_ASKED = re.compile(rb"(GET|HEAD) ([\x21-\x3e\x40-\xff]+)(?:\?[\x21-\xff]*)?\Z")


@dataclass(frozen=True, slots=True)
class Offer:
    """What the normal way says of an answer that the lane may give again: its cache key and how long it is good.

    `varies`: it holds for what one Accept header takes only. `aging_since`: the moment that its Age counts from, 0 for
    none. `hints` are the client hints that it holds for only, None where it does not vary by them. `source` and
    `format` are for the access log.
    """

    key: bytes
    until: float
    varies: bool
    aging_since: float = 0.0
    hints: Hints | None = None
    source: str = ""
    format: str = ""


# A request line, with the formats and hints where its answers vary.
_Spelling = bytes | tuple[bytes, int, Hints | None]
_EVERY_FORMAT = -1  # all bits: a mask for what `accepted_formats` finds


@dataclass(slots=True)
class _Variants:
    """How the answers to a request line vary, and how many of them are in the table."""

    formats: int
    hints: bool
    count: int = 0


@dataclass(frozen=True, slots=True)
class _Prebuilt:
    """The bytes of an answer, up to the headers that differ each time, and the place of its entry in the tier."""

    key: bytes
    place: VisitMark
    until: float
    aging_since: float
    head: bytes
    body: bytes
    not_modified: bytes
    etag: bytes
    shown: Shown
    method: str = "GET"


class FastLane:
    """The table of prebuilt answers.

    *token* is the Authorization header that is needed, b"" for none; *logged*: hits are kept for an access log;
    *clients* says for whom a trusted proxy asks, and whether that one is answered.
    """

    def __init__(
        self,
        tier: IMemoryTier,
        token: bytes,
        clock: Callable[[], float] = time.time,
        *,
        logged: bool = False,
        clients: Clients | None = None,
    ) -> None:
        self._tier = tier
        self._token = token
        self._clock = clock
        self._clients = clients or Clients()
        self._read = read_direct_headers if self._clients.direct_only else read_headers
        self._table: dict[_Spelling, _Prebuilt] = {}
        self._varying: dict[bytes, _Variants] = {}
        self._spellings: dict[bytes, list[_Spelling]] = {}  # by key, the oldest first
        # The identity of a request that brings none: these digits are the process', the others count.
        self._identity = os.urandom(8).hex().encode("ascii")
        self._number = count()
        self._next_second = 0.0  # by time.perf_counter, which is asked anyway
        self._date = b""
        self.last = 0.0  # when the last answer was given, by the clock
        # (method, status) -> answers and the seconds that they took together; taken by the metrics.
        self.answered: dict[tuple[str, int], list[float]] = {}
        self._hits: list[tuple[Any, ...]] | None = [] if logged else None
        tier.add_drop_observer(self._drop)

    def __len__(self) -> int:
        return len(self._table)

    def offer(self, target: bytes, accept: bytes, offer: Offer, headers: RawHeaders, body: bytes) -> None:
        """Take an answer into the table: *headers* as twisted.web has them for the 200 answer to *target*."""
        place = self._tier.visit_mark(offer.key)
        if place is None:
            return
        spelling: _Spelling
        spelling = line = b"GET " + target.partition(b"?")[0]
        if offer.varies or offer.hints is not None:
            mask = _EVERY_FORMAT if offer.varies else 0
            variants = self._varying.setdefault(line, _Variants(mask, offer.hints is not None))
            taken = accepted_formats(accept.decode("latin-1")) & variants.formats
            spelling = line, taken, offer.hints if variants.hints else None
        if spelling in self._table:
            return
        lines, kept, etag = [b"HTTP/1.1 200 OK\r\n"], [b"HTTP/1.1 304 Not Modified\r\n"], b""
        cache_status = b""
        for name, values in headers:
            if name.lower() in {b"date", b"age", b"x-request-id", b"connection"}:
                continue
            for value in values:
                header = name + b": " + value + b"\r\n"
                lines.append(header)
                if not name.lower().startswith(b"content-"):
                    kept.append(header)
            if name.lower() == b"etag":
                etag = values[0]
            elif name.lower() == b"cache-status":
                cache_status = values[0]
        spellings = self._spellings.setdefault(offer.key, [])
        spellings.append(spelling)
        if isinstance(spelling, tuple):
            self._varying[line].count += 1
        self._table[spelling] = _Prebuilt(
            offer.key,
            place,
            offer.until,
            offer.aging_since,
            b"".join(lines),
            body,
            b"".join(kept),
            etag,
            Shown(line[4:], cache_status, offer.source, offer.format),
        )
        if len(spellings) > _MOST_SPELLINGS:
            self._forget(spellings.pop(0))

    def answer(self, data: bytes, client: str = "", *, proxied: bool = False) -> tuple[bytes, bytes] | None:
        """Head and body that answer the request *data* of *client*, or None for the normal way; *data* is all of it.

        *client* is allowed to ask, or *proxied*: a trusted proxy that asks for another one.
        """
        began = time.perf_counter()
        if len(data) > _LONGEST_REQUEST:
            return None
        line, _, rest = data.partition(b" HTTP/1.1\r\n")
        prebuilt = self._table.get(line) or self._find(line, rest)
        if prebuilt is None:
            return None
        given = self._read(rest)
        if given is None or (self._token and not hmac.compare_digest(given.token, self._token)):
            return None  # a wrong token is refused the normal way
        if proxied:
            client = self._clients.behind(client, *given.forwarded)
            if not self._clients.allows(client):
                return None
        now = self._clock()
        if prebuilt.until < now:
            self._drop(prebuilt.key)
            return None
        if not given.none_match:
            status, head, body = 200, prebuilt.head, prebuilt.body
        elif prebuilt.etag and given.none_match in {prebuilt.etag, b"W/" + prebuilt.etag}:
            status, head, body = 304, prebuilt.not_modified, b""
        else:
            return None
        self.last = now
        prebuilt.place.visited = True
        if began >= self._next_second:
            self._begin_second(began)
        head = self._finished(head, now - prebuilt.aging_since if prebuilt.aging_since else 0.0, given.identity)
        try:
            counted = self.answered[prebuilt.method, status]
        except KeyError:
            counted = self.answered[prebuilt.method, status] = [0, 0.0]
        seconds = time.perf_counter() - began
        counted[0] += 1
        counted[1] += seconds
        if self._hits is not None:
            # The fields of a `Hit`: making one takes longer than all the rest of this.
            identity = head[head.rfind(b" ") + 1 : -4]
            told = prebuilt.shown, status, len(body), seconds, identity, given.shown
            self._hits.append((now, client, prebuilt.method, *told))
        return head, body

    def _finished(self, head: bytes, age: float, identity: bytes) -> bytes:
        """*head* with the headers that are new each time, the request's id last, and the empty line."""
        if age >= 1:
            head = b"%sAge: %d\r\n" % (head, age)
        if identity:
            return b"%s%s%s\r\n\r\n" % (head, self._date, identity)
        return b"%s%s%s%016x\r\n\r\n" % (head, self._date, self._identity, next(self._number))

    def _find(self, line: bytes, rest: bytes) -> _Prebuilt | None:
        """What answers a request with the header lines *rest* whose answers vary, a HEAD, or one with a query."""
        if line in self._varying:
            return self._variant(line, rest)
        asked = _ASKED.match(line)
        if asked is None:
            return None
        method, path = asked.groups()
        known = b"GET " + path
        prebuilt = self._table.get(known) or self._variant(known, rest)
        if prebuilt is None:
            return None
        body = b"" if method == b"HEAD" else prebuilt.body
        shown = prebuilt.shown._replace(target=line[len(method) + 1 :])
        return replace(prebuilt, method=method.decode("ascii"), shown=shown, body=body)

    def _variant(self, line: bytes, rest: bytes) -> _Prebuilt | None:
        variants = self._varying.get(line)
        given = self._read(rest) if variants is not None else None
        if variants is None or given is None:
            return None
        return self._table.get((line, given.formats & variants.formats, given.hints if variants.hints else None))

    def _begin_second(self, began: float) -> None:
        """Write the headers that are new each time, up to the request's id."""
        now = time.time()
        self._next_second = began + int(now) + 1 - now
        self._date = b"Date: " + datetimeToString(int(now)) + b"\r\nX-Request-Id: "

    def _drop(self, key: bytes) -> None:
        for spelling in self._spellings.pop(key, ()):
            self._forget(spelling)

    def _forget(self, spelling: _Spelling) -> None:
        if self._table.pop(spelling, None) is not None and isinstance(spelling, tuple):
            variants = self._varying[spelling[0]]
            variants.count -= 1
            if not variants.count:
                del self._varying[spelling[0]]

    def take_answered(self) -> dict[tuple[str, int], list[Any]]:
        """What has been answered since the last call."""
        answered, self.answered = self.answered, {}
        return answered

    def take_hits(self) -> list[tuple[Any, ...]]:
        """What `hit_access` wants of each answer since the last call; nothing unless they are logged."""
        hits = self._hits
        if not hits:
            return []
        self._hits = []
        return hits
