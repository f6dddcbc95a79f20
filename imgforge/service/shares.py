"""The limits of renders and connections, and the part of each process in them."""

from __future__ import annotations

import math

from imgforge.config import Settings

__all__ = [
    "IDLE_CONNECTIONS",
    "clients_per_process",
    "longest_wait",
    "origin_connections_kept",
    "queue_per_process",
    "threads_per_process",
]

IDLE_CONNECTIONS = 100  # to all origins of the web, and of each store, that a process keeps at most


def threads_per_process(settings: Settings, processes: int, cpus: int) -> int:
    """The number of image threads of each process: IMGFORGE_WORKERS in all of them together, 0 is two per CPU."""
    return max(1, math.ceil((settings.workers or 2 * cpus) / processes))


def clients_per_process(settings: Settings, processes: int) -> int:
    """The number of connections that each process accepts; 0 is unlimited."""
    return math.ceil(settings.max_clients / processes)


def origin_connections_kept(settings: Settings) -> int:
    """The most idle connections to origins and stores that each process keeps."""
    if not settings.client_keep_alive_timeout:
        return 0
    stores = (settings.use_s3, settings.use_gcs, settings.use_abs, settings.use_swift)
    return IDLE_CONNECTIONS * (1 + sum(stores))


def queue_per_process(settings: Settings, processes: int) -> int:
    """The number of requests that may wait for an image thread of each process; 0 is unlimited."""
    return math.ceil(settings.requests_queue_size / processes)


def longest_wait(settings: Settings) -> float:
    """The seconds for which a request may be expected to wait for an image thread: the rest is for the image."""
    return 0.8 * settings.timeout
