"""Asks a server for many paths: so many at once, at most so many a second, until all are done or given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from imgforge.cli.server_client import ServerClient, reason
from imgforge.cli.warming.tally import Tally

__all__ = ["Replay", "ReplaySettings"]

_TIMEOUT = 60.0  # seconds from the look-up of the host to the last byte of the image
_BUSY = frozenset({429, 503})
_MOST_TRIES = 5  # of a path that a busy server refuses
_LONGEST_PAUSE = 30.0  # seconds, whatever Retry-After says
_MOST_SILENT = 20  # paths in a row without any response, after which the rest is given up
_UNREACHABLE = (ConnectError, ConnectTimeout, DNSLookupError)


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """How much is asked of the server, and what each request has besides its path."""

    concurrency: int = 4  # requests at once, over as many connections
    rate: float = 0.0  # requests a second, 0 without limit
    timeout: float = _TIMEOUT
    headers: Mapping[str, str] = field(default_factory=dict)


class _Pace:
    """Lets one request begin every 1/*rate* seconds, none while the server wants a pause."""

    def __init__(self, clock: IReactorTime, rate: float) -> None:
        self._clock = clock
        self._interval = 1 / rate if rate else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Waits for the turn of the caller."""
        now = self._clock.seconds()
        turn = max(now, self._next)
        self._next = turn + self._interval
        if turn > now:
            await deferLater(self._clock, turn - now)

    def pause(self, seconds: float) -> None:
        """Begins no request for *seconds*."""
        self._next = max(self._next, self._clock.seconds() + seconds)


class Replay:
    """Sends a GET for each of *paths*, which are (path to ask for, path to report) pairs.

    *done* is called with the path to report after each image. A path that a busy server refuses (429, 503) is tried
    again after the pause that it asks for, during which no other request begins.
    """

    def __init__(
        self,
        client: ServerClient,
        clock: IReactorTime,
        paths: Iterator[tuple[bytes, bytes]],
        settings: ReplaySettings,
        done: Callable[[bytes], object],
    ) -> None:
        self.tally = Tally()
        self.trouble = ""  # why the rest was given up
        self._client = client
        self._clock = clock
        self._paths = paths
        self._settings = settings
        self._done = done
        self._pace = _Pace(clock, settings.rate)
        self._ended = False
        self._silent = 0  # paths in a row without a response
        self._workers: list[Deferred[None]] = []

    async def run(self) -> None:
        """Returns when all paths are done, given up or interrupted; raises what *paths* or *done* raise."""
        self._workers = [Deferred.fromCoroutine(self._work()) for _ in range(self._settings.concurrency)]
        try:
            await gatherResults(self._workers, consumeErrors=True)
        except FirstError as error:
            self.interrupt()
            error.subFailure.raiseException()
        self._client.close()

    def interrupt(self) -> None:
        """Gives up the requests under way and those to come."""
        self._ended = True
        for worker in self._workers:
            worker.cancel()

    async def _work(self) -> None:
        while not self._ended:
            path, reported = next(self._paths, (b"", b""))
            if not path:
                return
            try:
                if await self._make(path):
                    self._done(reported)
            except CancelledError:
                return

    async def _make(self, path: bytes) -> bool:
        """Asks for *path*; whether its image came."""
        for _ in range(_MOST_TRIES):
            await self._pace.turn()
            response, size = await self._ask(path)
            if response is None or response.code not in _BUSY:
                break
            self.tally.retries += 1
            self._pace.pause(_pause_of(response))
        else:
            self.tally.retries -= 1
        if response is None:
            return False
        if response.code != 200:
            self.tally.failed(str(response.code))
            return False
        self.tally.succeeded(_header(response, b"cache-status"), size)
        return True

    async def _ask(self, path: bytes) -> tuple[IResponse | None, int]:
        """The response, and the size of its body; no response where there is none."""
        size = 0

        def count(data: bytes) -> None:
            nonlocal size
            size += len(data)

        asking = Deferred.fromCoroutine(self._client.request("GET", path, self._settings.headers, count))
        timed_out = False

        def time_out() -> None:
            nonlocal timed_out
            timed_out = True
            asking.cancel()

        limit: Any = self._clock.callLater(self._settings.timeout, time_out)
        try:
            response = await asking
        except (CancelledError, Exception) as error:
            # Each layer below has errors of its own for a request that is cancelled while it connects, sends or reads.
            if self._ended:
                raise CancelledError from None
            kind = "timeout" if timed_out else "unreachable" if isinstance(error, _UNREACHABLE) else "broken"
            self._unanswered(kind, "it takes too long" if timed_out else reason(Failure()))
        else:
            self._silent = 0
            return response, size
        finally:
            if limit.active():
                limit.cancel()
        return None, 0

    def _unanswered(self, kind: str, why: str) -> None:
        self.tally.failed(kind)
        self._silent += 1
        if self._silent >= _MOST_SILENT and not self._ended:
            self._ended = True
            self.trouble = f"{self._silent} requests in a row had no answer: {why}"


def _header(response: IResponse, name: bytes) -> str:
    headers: Any = response.headers
    values: list[bytes] = headers.getRawHeaders(name, [])
    return b",".join(values).decode("latin-1")


def _pause_of(response: IResponse) -> float:
    """The seconds of Retry-After, at least one."""
    text = _header(response, b"retry-after").strip()
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1
    return min(max(float(seconds), 1.0), _LONGEST_PAUSE)
