"""The work that `instructions.py` counts: hits and images of a server, and images of the engine alone."""

from __future__ import annotations

import itertools
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.callgrind import Callgrind, CallgrindFailed, CountedProcess
from bench.load import drive
from bench.servers import free_port, imgforge_server, running_process
from bench.workloads import SMALL_WORKLOADS, Workload, image_path

__all__ = ["ENGINE_NAMES", "SERVER_NAMES", "Work", "engine_works", "server_works"]

_HIT = "hit"
_IMAGES = [f"image: {workload.title}" for workload in SMALL_WORKLOADS]
SERVER_NAMES = [_HIT, *_IMAGES]
ENGINE_NAMES = [f"engine: {workload.title}" for workload in SMALL_WORKLOADS]

_SEED = {"PYTHONHASHSEED": "0"}
_SETTINGS = {
    "IMGFORGE_PROCESSES": "1",
    "IMGFORGE_WORKERS": "2",
    "IMGFORGE_CACHE_TYPE": "memory",
    "IMGFORGE_SOURCE_CACHE_TYPE": "",
}
_HITS = 300  # hits that are counted for each image that is: a hit takes some three hundredth of its instructions
_START = 180.0  # seconds that a start under valgrind may take


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work: *do* does it a number of times, *weight* times as often as other work."""

    name: str
    do: Callable[[int], None]
    weight: int = 1


@contextmanager
def server_works(
    callgrind: Callgrind, pictures: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[CountedProcess, list[Work]]]:
    """Run imgforge, and yield it with hits and images, which are asked for over one connection.

    *environment* has more variables for it.
    """
    cachebusters = itertools.count(1_000_000)

    def path(workload: Workload, number: int) -> str:
        return image_path(f"{workload.options}/cb:{number}", f"local:///{workload.source}", workload.format)

    settings = _SETTINGS | _SEED | dict(environment or {})
    with imgforge_server(pictures, settings, launcher=callgrind.launcher, listen_timeout=_START) as server:

        def send(paths: Iterable[str]) -> None:
            if drive(server.address, paths, connections=1).failures:
                raise CallgrindFailed("imgforge answered with an error under callgrind")

        def hits(times: int) -> None:
            send(itertools.repeat(path(SMALL_WORKLOADS[0], 0), times))

        def images(workload: Workload) -> Callable[[int], None]:
            return lambda times: send(path(workload, number) for number in itertools.islice(cachebusters, times))

        works = [Work(name, images(workload)) for name, workload in zip(_IMAGES, SMALL_WORKLOADS, strict=True)]
        yield callgrind.begin(server.pid or 0), [Work(_HIT, hits, _HITS), *works]


@contextmanager
def engine_works(callgrind: Callgrind, pictures: Path) -> Iterator[tuple[CountedProcess, list[Work]]]:
    """Run `engine_rounds.py`, and yield it with the images that it makes."""
    port = free_port()
    program = Path(__file__).with_name("engine_rounds.py")
    command = (*callgrind.launcher, sys.executable, str(program), str(port), str(pictures))
    with (
        running_process(command, port, settings=_SEED, listen_timeout=_START) as pid,
        socket.create_connection(("127.0.0.1", port)) as connection,
        connection.makefile("rw") as stream,
    ):

        def images(number: int) -> Callable[[int], None]:
            def do(times: int) -> None:
                stream.write(f"{number} {times}\n")
                stream.flush()
                if stream.readline() != "done\n":
                    raise CallgrindFailed("the engine failed under callgrind")

            return do

        yield callgrind.begin(pid), [Work(name, images(number)) for number, name in enumerate(ENGINE_NAMES)]
