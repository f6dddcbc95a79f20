"""Load that comes at a rate of its own, whatever the server answers, as that of many clients does.

Latencies count from the moment that a request was due, so that a server which makes its clients wait cannot slow the
load down and look good (*coordinated omission*).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

__all__ = ["RequestStream", "send_load"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PATIENCE = 60.0  # seconds after which an answer is given up

_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class RequestStream:
    """So many requests a second for *paths*; `latencies` are the seconds of its answers by status, 0 for none."""

    rate: float
    paths: Iterator[str]
    latencies: dict[int, list[float]] = field(default_factory=dict)

    def answered(self, status: int, seconds: float) -> None:
        """One more answer."""
        self.latencies.setdefault(status, []).append(seconds)


async def _ask(stream: _Stream, path: str) -> int:
    """The status of the answer, all of which has been read."""
    reader, writer = stream
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode("ascii"))
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head[9:12])


async def _one(address: tuple[str, int], idle: list[_Stream], flow: RequestStream, path: str, due: float) -> None:
    status, stream = 0, None
    try:
        async with asyncio.timeout(_PATIENCE):
            stream = idle.pop() if idle else await asyncio.open_connection(*address)
            status = await _ask(stream, path)
        idle.append(stream)
    except (OSError, EOFError, TimeoutError):
        if stream is not None:
            stream[1].close()
    flow.answered(status, time.perf_counter() - due)


async def _flow(address: tuple[str, int], flow: RequestStream, seconds: float, idle: list[_Stream]) -> None:
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in count():
            due = began + number / flow.rate
            if due >= began + seconds:
                return
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(_one(address, idle, flow, next(flow.paths), due))


async def _flows(address: tuple[str, int], flows: Sequence[RequestStream], seconds: float) -> None:
    idle: list[_Stream] = []
    async with asyncio.TaskGroup() as group:
        for flow in flows:
            group.create_task(_flow(address, flow, seconds, idle))
    for _, writer in idle:
        writer.close()


def send_load(address: tuple[str, int], flows: Sequence[RequestStream], seconds: float) -> None:
    """Send all *flows* for so many *seconds*, and wait for what is under way."""
    asyncio.run(_flows(address, flows, seconds))
