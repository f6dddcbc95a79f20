"""The baseline: libvips alone, in a given number of processes, without HTTP and without options to parse.

Each process does the work that no image server can avoid: read the file, shrink it on load, resize, encode.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyvips

from bench.alternating_rounds import Contender, RoundSample
from bench.load import LoadResult, percentile
from bench.workloads import Workload

__all__ = ["baseline_seconds", "libvips_contender"]

# One thread per process, and an allocator that keeps large buffers instead of returning them after each image.
_ENVIRONMENT = {
    "VIPS_CONCURRENCY": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}
_SAVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpg": ("jpegsave_buffer", {"Q": 80, "optimize_coding": True}),
    "webp": ("webpsave_buffer", {"Q": 79, "effort": 4}),
    "png": ("pngsave_buffer", {"filter": "all"}),
    "avif": ("heifsave_buffer", {"Q": 63, "effort": 1, "compression": "av1", "subsample_mode": "on"}),
}
_SAVERS["jpeg"] = _SAVERS["jpg"]
_BATCH = 20  # renditions for a process at a time


def _render(path: str, workload: Workload) -> None:
    crop = {"crop": "centre"} if workload.resizing_type == "fill" else {}
    image = pyvips.Image.thumbnail(path, workload.box, height=workload.box, size="down", **crop)
    _encode(image, workload.format)


def _encode(image: pyvips.Image, extension: str) -> None:
    saver, options = _SAVERS[extension]
    getattr(image, saver)(keep="none", **options)


def _render_all(renditions: Sequence[tuple[str, int, str]]) -> None:
    pyvips.cache_set_max(0)
    for path, width, extension in renditions:
        _encode(pyvips.Image.thumbnail(path, width, height=10_000_000, size="down"), extension)


def baseline_seconds(renditions: Sequence[tuple[str, int, str]], processes: int) -> float:
    """Return the seconds that *processes* take for renditions (path, width, extension): no server can be faster."""
    batches = [renditions[first : first + _BATCH] for first in range(0, len(renditions), _BATCH)]
    with _pool(processes) as pool:
        list(pool.map(_render_all, [renditions[:1]] * processes))  # so that the processes have started
        began = time.perf_counter()
        list(pool.map(_render_all, batches))
        return time.perf_counter() - began


def _render_for(path: str, workload: Workload, seconds: float) -> tuple[list[float], float]:
    """Return the latencies of the images made within *seconds*, and the CPU seconds that they took."""
    pyvips.cache_set_max(0)  # otherwise the second image comes from the operation cache of libvips
    started, used = time.perf_counter(), time.process_time()
    latencies: list[float] = []
    while True:
        begun = time.perf_counter()
        if begun - started >= seconds:
            return latencies, time.process_time() - used
        _render(path, workload)
        latencies.append(time.perf_counter() - begun)


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Start new processes with `_ENVIRONMENT`, which libvips and the C library read only at their start."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def libvips_contender(photos: Path, workload: Workload, processes: int, seconds: float) -> Iterator[Contender]:
    """Yield the contender "libvips xN": *workload* on *photos* in N *processes*, with rounds of *seconds*."""
    path = str(photos / workload.source)
    with _pool(processes) as pool:

        def measure() -> RoundSample:
            started = time.perf_counter()
            futures = [pool.submit(_render_for, path, workload, seconds) for _ in range(processes)]
            results = [future.result() for future in futures]
            length = time.perf_counter() - started
            ordered = sorted(latency for latencies, _ in results for latency in latencies)
            p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
            return RoundSample(LoadResult(len(ordered), 0, length, p50, p95, p99), sum(cpu for _, cpu in results))

        warm_up = [pool.submit(_render_for, path, workload, 0.2) for _ in range(processes)]
        for future in warm_up:
            future.result()
        yield Contender(f"libvips x{processes}", measure)
