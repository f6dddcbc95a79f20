"""The part of each process in the limits that the settings give for all processes together."""

from __future__ import annotations

import math

from imgforge.config import Settings

__all__ = ["clients_per_process", "queue_per_process", "threads_per_process"]


def threads_per_process(settings: Settings, processes: int, cpus: int) -> int:
    """The number of image threads of each process: IMGFORGE_WORKERS in all of them together, 0 is two per CPU."""
    return max(1, math.ceil((settings.workers or 2 * cpus) / processes))


def clients_per_process(settings: Settings, processes: int) -> int:
    """The number of connections that each process accepts; 0 is unlimited."""
    return math.ceil(settings.max_clients / processes)


def queue_per_process(settings: Settings, processes: int) -> int:
    """The number of requests that may wait for an image thread of each process; 0 is unlimited."""
    return math.ceil(settings.requests_queue_size / processes)
