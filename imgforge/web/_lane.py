"""The fast lane: cached images answered from prebuilt bytes, in front of twisted.web.

    bytes ── one whole simple GET or HEAD? ── target in the table? ── headers all plain? ──> head + body, one write
                  │ no                            │ no                    │ no
                  └───────────────────────────────┴───────────────────────┴──> twisted.web, byte for byte

What stands in the table was answered the normal way before: signature, token and options were checked then, and the
head is what twisted.web wrote. The lane only decides what may differ between two requests for the same target: the
bearer token, the Accept header where the answer varies by it, If-None-Match, the Age, and the client that a trusted
proxy tells of. Whatever else could matter (ranges, bodies, other conditions, Connection, anything that is not plain
HTTP/1.1) goes the normal way.

An entry is in the table only while the memory tier has it, and holds the same body: the table costs some 2 kB an entry.

With an access log each answer leaves a tuple behind, which becomes a line several times a second, on another thread.

Cost of a hit, of which there are tens of thousands a second: the request is cut in two, its first line and its header
lines are looked up in a dict each, and three pieces are joined. That is 3 us beside 8 us of receiving and sending.
"""

from __future__ import annotations

import hmac
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple

from twisted.web.http import datetimeToString

from imgforge.cache import Marked, MemoryTier
from imgforge.observability import Access, as_sent
from imgforge.web._lane_headers import read_headers
from imgforge.web._network import Clients

__all__ = ["FastLane", "Offer", "hit_access"]

RawHeaders = Iterable[tuple[bytes, Sequence[bytes]]]

# Spellings of one target that are kept for one entry: requests written differently share an entry.
_MOST_SPELLINGS = 8
_LONGEST_REQUEST = 8192


@dataclass(frozen=True, slots=True)
class Offer:
    """What the normal way says of an answer that the lane may give again: its cache key and how long it is good.

    `varies`: it holds for one Accept header only. `aging_since`: the moment that its Age counts from, 0 for none.
    `source` and `format` are for the access log.
    """

    key: bytes
    until: float
    varies: bool
    aging_since: float = 0.0
    source: str = ""
    format: str = ""


class _Shown(NamedTuple):
    """What the access log says of every answer to one target."""

    target: bytes
    cache_status: bytes
    source: str
    format: str


@dataclass(frozen=True, slots=True)
class _Prebuilt:
    """The bytes of an answer, up to the headers that differ each time, and the place of its entry in the tier."""

    key: bytes
    place: Marked
    until: float
    aging_since: float
    head: bytes
    body: bytes
    not_modified: bytes
    etag: bytes
    shown: _Shown
    method: str = "GET"


class _Hit(NamedTuple):
    """What the access log is told of an answer; small, for a quarter of a second's worth of them waits."""

    at: float
    client: str
    method: str
    shown: _Shown
    status: int
    size: int
    seconds: float
    identity: bytes
    headers: Mapping[bytes, bytes]


def hit_access(fields: tuple[Any, ...]) -> Access:
    """One of the lane's hits as the access log wants it."""
    hit = _Hit._make(fields)
    return Access(
        at=hit.at,
        client=hit.client,
        method=hit.method,
        target=as_sent(hit.shown.target),
        protocol="HTTP/1.1",
        status=hit.status,
        size=hit.size,
        seconds=hit.seconds,
        request_id=hit.identity.decode("ascii"),
        cache=hit.shown.cache_status.decode("latin-1"),
        referrer=hit.headers.get(b"referer", b"").decode("latin-1"),
        agent=hit.headers.get(b"user-agent", b"").decode("latin-1"),
        source=hit.shown.source,
        format=hit.shown.format,
    )


class FastLane:
    """The table of prebuilt answers.

    *token* is the Authorization header that is needed, b"" for none; *logged*: hits are kept for an access log;
    *clients* says for whom a trusted proxy asks, and whether that one is answered.
    """

    def __init__(
        self,
        tier: MemoryTier,
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
        # By the request line up to the version, with the Accept header where the answer varies.
        self._table: dict[tuple[bytes, bytes] | bytes, _Prebuilt] = {}
        self._varying: Counter[bytes] = Counter()  # lines whose answers vary, and how many of them there are
        self._spellings: dict[bytes, list[tuple[bytes, bytes] | bytes]] = {}
        # The identity of a request that brings none: these digits are the process', the others count.
        self._identity = os.urandom(8).hex().encode("ascii")
        self._number = count()
        self._next_second = 0.0  # by time.perf_counter, which is asked anyway
        self._date = b""
        self.last = 0.0  # when the last answer was given, by the clock
        # (method, status) -> answers and the seconds that they took together; taken by the metrics.
        self.answered: dict[tuple[str, int], list[float]] = {}
        self._hits: list[tuple[Any, ...]] | None = [] if logged else None
        tier.on_drop = self._drop

    def __len__(self) -> int:
        return len(self._table)

    def offer(self, target: bytes, accept: bytes, offer: Offer, headers: RawHeaders, body: bytes) -> None:
        """Take an answer into the table: *headers* as twisted.web has them for the 200 answer to *target*."""
        place = self._tier.place(offer.key)
        if place is None:
            return
        line = b"GET " + target
        spelling = (line, accept) if offer.varies else line
        spellings = self._spellings.setdefault(offer.key, [])
        if spelling in self._table or len(spellings) >= _MOST_SPELLINGS:
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
        spellings.append(spelling)
        self._table[spelling] = _Prebuilt(
            offer.key,
            place,
            offer.until,
            offer.aging_since,
            b"".join(lines),
            body,
            b"".join(kept),
            etag,
            _Shown(target, cache_status, offer.source, offer.format),
        )
        if offer.varies:
            self._varying[line] += 1

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
        given = read_headers(rest)
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
            # The fields of a `_Hit`: making one takes longer than all the rest of this.
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
        """What answers a HEAD, or a request whose answers vary, with the header lines *rest*."""
        asked = b"GET" + line[4:] if line[:5] == b"HEAD " else line
        prebuilt = self._table.get(asked)
        if asked in self._varying and prebuilt is None:
            given = read_headers(rest)
            prebuilt = None if given is None else self._table.get((asked, given.accept))
        if prebuilt is None or asked is line:
            return prebuilt
        return replace(prebuilt, method="HEAD", body=b"")

    def _begin_second(self, began: float) -> None:
        """Write the headers that are new each time, up to the request's id."""
        now = time.time()
        self._next_second = began + int(now) + 1 - now
        self._date = b"Date: " + datetimeToString(int(now)) + b"\r\nX-Request-Id: "

    def _drop(self, key: bytes) -> None:
        for spelling in self._spellings.pop(key, ()):
            self._table.pop(spelling, None)
            if isinstance(spelling, tuple):
                self._varying[spelling[0]] -= 1
                if not self._varying[spelling[0]]:
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
