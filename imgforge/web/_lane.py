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

Cost of a hit, of which there are tens of thousands a second: one find, one dict look-up, one split of the header lines
with a comparison for each, one join, one send.
"""

from __future__ import annotations

import hmac
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

from twisted.web.http import datetimeToString

from imgforge.cache import MemoryTier
from imgforge.observability import Access
from imgforge.web._access import REQUEST_ID
from imgforge.web._lane_headers import deciding_headers
from imgforge.web._network import FORWARDED, Clients

__all__ = ["FastLane", "Offer", "hit_access"]

_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}

RawHeaders = Iterable[tuple[bytes, Sequence[bytes]]]

# Spellings of one target that are kept for one entry: requests written differently share an entry.
_MOST_SPELLINGS = 8
_LONGEST_REQUEST = 8192


@dataclass(frozen=True, slots=True)
class Offer:
    """What the normal way says of an answer that the lane may give again: its cache key and how long it is good.

    `varies`: it holds for one Accept header only. `aging_since`: the moment that its Age counts from, 0 for none.
    """

    key: bytes
    until: float
    varies: bool
    aging_since: float = 0.0


@dataclass(slots=True)
class _Prebuilt:
    """The bytes of an answer, up to the headers that differ each time."""

    key: bytes
    until: float
    aging_since: float
    head: bytes
    body: bytes
    not_modified: bytes
    etag: bytes
    target: bytes
    cache_status: bytes


class _Hit(NamedTuple):
    """What the access log is told of an answer; small, for a quarter of a second's worth of them waits."""

    at: float
    client: str
    method: bytes
    target: bytes
    status: int
    size: int
    seconds: float
    changing: bytes  # the last headers, with the request's id at the end
    cache_status: bytes
    given: Mapping[bytes, bytes]


def hit_access(fields: tuple[Any, ...]) -> Access:
    """One of the lane's hits as the access log wants it."""
    hit = _Hit._make(fields)
    return Access(
        at=hit.at,
        client=hit.client,
        method=_METHODS[hit.method],
        target=hit.target.decode("latin-1"),
        protocol="HTTP/1.1",
        status=hit.status,
        size=hit.size,
        seconds=hit.seconds,
        request_id=hit.changing[:-4].rpartition(b" ")[2].decode("ascii"),
        cache=hit.cache_status.decode("latin-1"),
        referrer=hit.given.get(b"referer", b"").decode("latin-1"),
        agent=hit.given.get(b"user-agent", b"").decode("latin-1"),
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
        self._table: dict[tuple[bytes, bytes] | bytes, _Prebuilt] = {}
        self._varying: Counter[bytes] = Counter()  # targets whose answers vary, and how many of them there are
        self._spellings: dict[bytes, list[tuple[bytes, bytes] | bytes]] = {}
        self._identity = os.urandom(8).hex().encode("ascii")
        self._number = count()
        self._now = 0.0
        self._second = 0
        self._date = b""
        # (method, status) -> answers and the seconds that they took together; taken by the metrics.
        self.answered: dict[tuple[str, int], list[float]] = {}
        self._hits: list[tuple[Any, ...]] | None = [] if logged else None
        tier.on_drop = self._drop

    def __len__(self) -> int:
        return len(self._table)

    def offer(self, target: bytes, accept: bytes, offer: Offer, headers: RawHeaders, body: bytes) -> None:
        """Take an answer into the table: *headers* as twisted.web has them for the 200 answer to *target*."""
        if self._tier.peek(offer.key) is None:
            return
        spelling = (target, accept) if offer.varies else target
        spellings = self._spellings.setdefault(offer.key, [])
        if spelling in self._table or len(spellings) >= _MOST_SPELLINGS:
            return
        lines, kept, etag = [b"HTTP/1.1 200 OK\r\n"], [b"HTTP/1.1 304 Not Modified\r\n"], b""
        cache_status = b""
        for name, values in headers:
            if name.lower() in {b"date", b"age", b"x-request-id", b"connection"}:
                continue
            for value in values:
                line = name + b": " + value + b"\r\n"
                lines.append(line)
                if not name.lower().startswith(b"content-"):
                    kept.append(line)
            if name.lower() == b"etag":
                etag = values[0]
            elif name.lower() == b"cache-status":
                cache_status = values[0]
        spellings.append(spelling)
        self._table[spelling] = _Prebuilt(
            offer.key,
            offer.until,
            offer.aging_since,
            b"".join(lines),
            body,
            b"".join(kept),
            etag,
            target,
            cache_status,
        )
        if offer.varies:
            self._varying[target] += 1

    def answer(self, data: bytes, client: str = "", *, proxied: bool = False) -> bytes | None:
        """The bytes that answer the request *data* of *client*, or None for the normal way; *data* is all there is.

        *client* is allowed to ask, or *proxied*: a trusted proxy that asks for another one.
        """
        # One request, complete, and nothing behind it.
        if len(data) > _LONGEST_REQUEST or data.find(b"\r\n\r\n") != len(data) - 4:
            return None
        began = time.perf_counter()
        line, _, rest = data[:-4].partition(b"\r\n")
        method, _, target = line[:-9].partition(b" ")
        prebuilt = self._table.get(target)
        if prebuilt is None and target not in self._varying:
            return None
        if line[-9:] != b" HTTP/1.1" or method not in _METHODS:
            return None
        given = deciding_headers(rest)
        if given is None:
            return None
        if prebuilt is None:
            prebuilt = self._table.get((target, given.get(b"accept", b"")))
        if prebuilt is None or not self._allowed(prebuilt, given.get(b"authorization", b"")):
            return None
        if proxied:
            client = self._clients.behind(client, *(given.get(name, b"") for name in FORWARDED))
            if not self._clients.allows(client):
                return None
        none_match = given.get(b"if-none-match")
        if none_match is None:
            status, head, body = 200, prebuilt.head, prebuilt.body if method == b"GET" else b""
        elif prebuilt.etag and none_match in {prebuilt.etag, b"W/" + prebuilt.etag}:
            status, head, body = 304, prebuilt.not_modified, b""
        else:
            return None
        changing = self._changing(given.get(b"x-request-id"), prebuilt.aging_since)
        whole = b"".join((head, changing, body))
        counted = self.answered.setdefault((_METHODS[method], status), [0, 0.0])
        seconds = time.perf_counter() - began
        counted[0] += 1
        counted[1] += seconds
        if self._hits is not None:
            # The fields of a `_Hit`: making one takes longer than all the rest of this.
            told = prebuilt.target, status, len(body), seconds, changing, prebuilt.cache_status, given
            self._hits.append((self._now, client, method, *told))
        return whole

    def _allowed(self, prebuilt: _Prebuilt, token: bytes) -> bool:
        """Whether the entry is still good, and the token right; a wrong one is refused the normal way."""
        if self._token and not hmac.compare_digest(token, self._token):
            return False
        if prebuilt.until != math.inf and prebuilt.until < self._clock():
            self._drop(prebuilt.key)
            return False
        return self._tier.peek(prebuilt.key) is not None  # which also marks it as used

    def _changing(self, identity: bytes | None, aging_since: float) -> bytes:
        """The headers that are new each time, the request's id last, and the empty line."""
        self._now = time.time()
        now = int(self._now)
        if now != self._second:
            self._second = now
            self._date = b"Date: " + datetimeToString(now) + b"\r\nX-Request-Id: "
        date = self._date
        if aging_since and (age := int(self._clock() - aging_since)) > 0:
            date = b"Age: %d\r\n%s" % (age, date)
        if identity is None or not REQUEST_ID.match(identity):
            return b"%s%s%016x\r\n\r\n" % (date, self._identity, next(self._number))
        return b"%s%s\r\n\r\n" % (date, identity)

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
