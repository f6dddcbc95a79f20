"""The load: each connection sends its next request once the answer to the one before is complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, TypeVar
from urllib.parse import quote

import h11
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import connectProtocol
from twisted.python.failure import Failure

from imgforge.cli.benchmark.keep_alive import KeptConnection, Reply
from imgforge.cli.benchmark.measurement import Measurement
from imgforge.cli.server_client import endpoint_of, reason
from imgforge.cli.server_connection import ServerAddress, address_of_url, path_at

__all__ = ["Load", "Target", "Unanswered"]

T = TypeVar("T")

_MOST_KINDS = 50  # of errors: some quote what a server sends
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class Unanswered(Exception):
    """A URL that is not answered as it should be before the measurement; the message is one line."""


@dataclass(slots=True)
class Target:
    """A URL, the request for it, and the body that it has; `ServerUnreachable` unless it is an http or https URL."""

    url: str
    address: ServerAddress
    request: h11.Request
    expected: Reply | None = None
    measured: Measurement = field(default_factory=Measurement)

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str]) -> Target:
        """The target of *url*, with further *headers*; its path is sent as it is written."""
        address = address_of_url(url)
        # Host, as all headers of a benchmark, may be given by the operator.
        sent = {"Host": address.authority, "User-Agent": "imgforge-bench", "Accept-Encoding": "identity", **headers}
        target = quote(path_at(url, url), safe=_PRINTABLE)
        return cls(url, address, h11.Request(method="GET", target=target, headers=list(sent.items())))


class Load:
    """Sends requests for *targets* in turn over *connections*; each may take *timeout* seconds."""

    def __init__(self, reactor: Any, targets: Sequence[Target], connections: int, timeout: float) -> None:
        self._reactor = reactor
        self._targets = targets
        self._timeout = timeout
        self._workers = [_Worker(reactor, timeout) for _ in range(connections)]
        self._interrupted = False
        self.done = 0  # requests of the measurement
        self.seconds = 0.0  # that the measurement took

    def interrupt(self) -> None:
        """End with the requests under way."""
        self._interrupted = True

    async def warm_up(self, requests: int) -> None:
        """Ask for each target once, then *requests* times for all in turn.

        The first answer of each target is the one that all others are compared with; `Unanswered` if it is no 200.
        """
        for target in self._targets:
            try:
                reply = await self._workers[0].ask(target)
            except Exception as error:
                raise Unanswered(f"{target.url}: {_line(error)}") from error
            if reply.status != 200:
                text = reply.beginning.decode("utf-8", "replace").strip()
                raise Unanswered(f"{target.url}: {reply.status} {' '.join(text.split())}".rstrip())
            target.expected = reply
        await self._run(requests, measured=False)

    async def measure(self, requests: int) -> None:
        """Send so many *requests* for all targets in turn."""
        began = self._reactor.seconds()
        try:
            await self._run(requests, measured=True)
        finally:
            self.seconds = self._reactor.seconds() - began

    async def _run(self, requests: int, *, measured: bool) -> None:
        targets = islice(cycle(self._targets), requests)
        await gatherResults(
            [Deferred.fromCoroutine(self._work(worker, targets, measured)) for worker in self._workers],
            consumeErrors=True,
        )

    async def _work(self, worker: _Worker, targets: Iterator[Target], measured: bool) -> None:
        for target in targets:
            if self._interrupted:
                return
            began = self._reactor.seconds()
            error, reply = "", None
            try:
                reply = await worker.ask(target)
            except Exception as failure:  # the server's, or the network's
                error = _line(failure)
            if not measured:
                continue
            self.done += 1
            _note(target, reply, error, self._reactor.seconds() - began)

    def close(self) -> None:
        """Close all connections."""
        for worker in self._workers:
            worker.close()


def _note(target: Target, reply: Reply | None, error: str, seconds: float) -> None:
    measured, expected = target.measured, target.expected
    if reply is None:
        kind = error if error in measured.errors or len(measured.errors) < _MOST_KINDS else "other"
        measured.errors[kind] += 1
    elif reply.status != 200:
        measured.errors[f"status {reply.status}"] += 1
    elif expected is not None and (reply.length, reply.checksum) != (expected.length, expected.checksum):
        measured.errors["another body than the first"] += 1
    else:
        measured.latencies.append(seconds)
        measured.bytes += reply.length
        measured.hits += reply.hit


class _Worker:
    """Keeps a connection to each server that it asks."""

    def __init__(self, reactor: Any, timeout: float) -> None:
        self._reactor = reactor
        self._timeout = timeout
        self._connections: dict[ServerAddress, KeptConnection] = {}

    async def ask(self, target: Target) -> Reply:
        """The answer; a kept connection that the server closes meanwhile is replaced once."""
        kept = self._connections.get(target.address)
        if kept is not None and kept.usable:
            try:
                return await self._within_timeout(kept.ask(target.request))
            except Exception:
                if kept.answered or not kept.lost:
                    raise
        connecting = connectProtocol(endpoint_of(self._reactor, target.address), KeptConnection())
        fresh: KeptConnection = await self._within_timeout(connecting)
        self._connections[target.address] = fresh
        return await self._within_timeout(fresh.ask(target.request))

    def _within_timeout(self, waiting: Deferred[T]) -> Deferred[T]:
        return waiting.addTimeout(self._timeout, self._reactor)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


def _line(error: Exception) -> str:
    return reason(Failure(error))
