"""Closed-loop HTTP load: each of a few keep-alive connections sends its next request when an answer is complete.

`drive` is a client of our own (asyncio and httptools, one process) for up to some ten thousand requests per second;
`drive_wrk` runs wrk for a higher load of a single URL. Both return the same figures.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httptools

__all__ = ["Answer", "LoadResult", "drive", "drive_wrk", "fetch", "percentile"]

# Response headers whose value contains "HIT" if the answer comes from a cache.
_CACHE_HEADERS = frozenset({b"cache-status", b"x-cache-status", b"x-cache"})
_GRACE = 120.0  # seconds beyond the length of a run, after which it fails with TimeoutError


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; status 0 if there was none, with the reason as the body."""

    status: int
    content_type: str
    body: bytes


def fetch(address: tuple[str, int], path: str, timeout: float = 60.0) -> Answer:
    """Send one GET of *path* on a new connection; *timeout* is in seconds."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Answer(response.status, response.getheader("content-type", ""), response.read())
    except (OSError, http.client.HTTPException) as failure:
        return Answer(0, "", repr(failure).encode())
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Number of answers with 200, number of other outcomes, length in seconds, latency percentiles in seconds.

    `hits` counts the answers with 200 that name a cache hit in a header; it is 0 for wrk, which does not see headers.
    """

    answers: int
    failures: int
    seconds: float
    p50: float
    p95: float
    p99: float
    hits: int = 0

    @property
    def rate(self) -> float:
        """Answers with 200 per second."""
        return self.answers / self.seconds


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that *share* (0..1) of the ascending numbers do not exceed (nearest rank)."""
    if not ordered:
        return 0.0
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


@dataclass(slots=True)
class _LoadRun:
    """The state that the connections of one run share; it ends when *paths* is exhausted or *deadline* has passed."""

    paths: Iterator[str]
    deadline: float
    host: str
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    hits: int = 0
    over: bool = False

    def next_request(self) -> bytes | None:
        path = None if self.over or time.perf_counter() >= self.deadline else next(self.paths, None)
        if path is None:
            self.over = True
            return None
        return f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode("ascii")


class _Connection(asyncio.Protocol):
    """One keep-alive connection; also the callbacks of its response parser."""

    def __init__(self, run: _LoadRun, closed: asyncio.Future[None]) -> None:
        self._run = run
        self._closed = closed
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.WriteTransport
        self._sent_at: float | None = None
        self._hit = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.WriteTransport):
            raise TypeError("the transport is not a stream")
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = self._run.next_request()
        if request is None:
            self._transport.close()
            return
        self._hit = False
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in _CACHE_HEADERS and b"HIT" in value:
            self._hit = True

    def on_message_complete(self) -> None:
        if self._sent_at is None:  # a response without a request
            self._transport.abort()
            return
        if self._parser.get_status_code() == 200:
            self._run.latencies.append(time.perf_counter() - self._sent_at)
            self._run.hits += self._hit
        else:
            self._run.failures += 1
        self._sent_at = None
        if self._parser.should_keep_alive():
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, _reason: Exception | None) -> None:
        if self._sent_at is not None:
            self._run.failures += 1
        self._closed.set_result(None)


async def _client(run: _LoadRun, address: tuple[str, int]) -> None:
    """Keep one connection open until the run is over; reconnect when the server closes it."""
    loop = asyncio.get_running_loop()
    while not run.over:
        closed: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(partial(_Connection, run, closed), *address)
        await closed


async def _clients(run: _LoadRun, address: tuple[str, int], connections: int, limit: float) -> None:
    async with asyncio.timeout(limit), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_client(run, address))


def drive(
    address: tuple[str, int], paths: Iterable[str], *, connections: int, seconds: float = float("inf")
) -> LoadResult:
    """Request *paths* in order over *connections* until they end or *seconds* have passed.

    Requests that are under way at the end are waited for and counted. Raises OSError if no server listens, TimeoutError
    if answers do not come.
    """
    started = time.perf_counter()
    run = _LoadRun(iter(paths), started + seconds, f"{address[0]}:{address[1]}")
    try:
        asyncio.run(_clients(run, address, connections, seconds + _GRACE))
    except* OSError as group:
        raise group.exceptions[0] from None
    length = time.perf_counter() - started
    ordered = sorted(run.latencies)
    p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
    return LoadResult(len(ordered), run.failures, length, p50, p95, p99, run.hits)


def drive_wrk(url: str, *, connections: int, seconds: float, threads: int = 1) -> LoadResult:
    """Request *url* repeatedly with wrk for *seconds*, rounded to whole seconds."""
    script = Path(__file__).with_name("wrk_report.lua")
    duration = f"{max(1, round(seconds))}s"
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{duration}", f"-s{script}", url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(output.splitlines()[-1])
    good = figures["requests"] - figures["bad_status"]
    failures = figures["bad_status"] + figures["socket_errors"]
    latencies = (figures[name] / 1e6 for name in ("p50", "p95", "p99"))
    return LoadResult(good, failures, figures["microseconds"] / 1e6, *latencies)
