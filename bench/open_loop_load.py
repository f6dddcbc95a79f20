"""Open-loop load: requests arrive at a fixed rate, whatever the server answers, as those of many clients do.

Latencies count from the moment at which a request was due. A server that makes its clients wait therefore cannot slow
the load down and look good (*coordinated omission*).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

__all__ = ["RequestStream", "send_load"]

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TIMEOUT = 60.0  # seconds for one request and its answer

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class RequestStream:
    """Requests for *paths* at *rate* per second; `latencies` are seconds by status, with 0 for no answer.

    With *resends* a request on an idle connection that the server closes is sent again, on a new one; `resent` counts.
    """

    rate: float
    paths: Iterator[str]
    latencies: dict[int, list[float]] = field(default_factory=dict)
    resends: bool = False
    resent: int = 0

    def add_latency(self, status: int, seconds: float) -> None:
        """Record the latency of one answer."""
        self.latencies.setdefault(status, []).append(seconds)


async def _get(connection: _Connection, path: str) -> int:
    """Request *path*, read the whole answer, and return its status."""
    reader, writer = connection
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode("ascii"))
    head = await reader.readuntil(b"\r\n\r\n")
    length = _CONTENT_LENGTH.search(head)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head[9:12])


async def _send_one(
    address: tuple[str, int], idle: list[_Connection], stream: RequestStream, path: str, due: float
) -> None:
    """Send one request, on an idle connection if there is one, and record its latency since *due*."""
    status, connection = 0, None
    try:
        async with asyncio.timeout(_TIMEOUT):
            reused = bool(idle)
            connection = idle.pop() if idle else await asyncio.open_connection(*address)
            try:
                status = await _get(connection, path)
            except (OSError, EOFError):
                if not (reused and stream.resends):
                    raise
                connection[1].close()
                stream.resent += 1
                connection = await asyncio.open_connection(*address)
                status = await _get(connection, path)
        idle.append(connection)
    except (OSError, EOFError, TimeoutError):
        if connection is not None:
            connection[1].close()
    stream.add_latency(status, time.perf_counter() - due)


async def _send_stream(
    address: tuple[str, int], stream: RequestStream, seconds: float, idle: list[_Connection]
) -> None:
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in count():
            due = began + number / stream.rate
            if due >= began + seconds:
                return
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(_send_one(address, idle, stream, next(stream.paths), due))


async def _send_streams(address: tuple[str, int], streams: Sequence[RequestStream], seconds: float) -> None:
    idle: list[_Connection] = []
    async with asyncio.TaskGroup() as group:
        for stream in streams:
            group.create_task(_send_stream(address, stream, seconds, idle))
    for _, writer in idle:
        writer.close()


def send_load(address: tuple[str, int], streams: Sequence[RequestStream], seconds: float) -> None:
    """Send all *streams* together for *seconds*, then wait for the requests that are under way."""
    asyncio.run(_send_streams(address, streams, seconds))
