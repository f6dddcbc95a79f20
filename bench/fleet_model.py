"""What a fleet needs, by formula: the hit ratio of a cache under Zipf's law, and the nodes for a rate of requests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Capacity", "Work", "capacity", "hit_ratio", "zipf_shares"]


def zipf_shares(renditions: int, exponent: float) -> NDArray[np.float64]:
    """The share of the requests that each rendition has, from the most popular on."""
    weights = np.arange(1, renditions + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())


def hit_ratio(shares: NDArray[np.float64], entries: int) -> float:
    """The hit ratio of a least-recently-used cache of *entries* entries under independent requests with *shares*.

    Che's approximation (Che, Tung and Wang, 2002): an entry stays for the same number t of requests, whichever it is,
    where the expected number of entries, the sum of 1 - exp(-share * t), is the cache's size.
    """
    if entries >= len(shares):
        return 1.0
    low, high = 0.0, float(entries)
    while (1 - np.exp(-shares * high)).sum() < entries:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if (1 - np.exp(-shares * middle)).sum() < entries:
            low = middle
        else:
            high = middle
    return float((shares * (1 - np.exp(-shares * high))).sum())


@dataclass(frozen=True, slots=True)
class Work:
    """Requests a second, and CPU seconds for a hit and for a rendition (which a miss makes)."""

    rate: float
    cpu_hit: float
    cpu_rendition: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """CPUs that are busy on average, the nodes that keep their utilisation below the limit, originals a second."""

    cpus: float
    nodes: int
    origin_rate: float


def capacity(work: Work, hits: float, cores: int, utilisation: float, spare: int = 1) -> Capacity:
    """What *work* needs with the hit ratio *hits* on nodes of *cores* CPUs.

    *utilisation* is the share of a node's CPUs that may be busy; *spare* nodes may be away and the rest suffices.
    """
    misses = work.rate * (1 - hits)
    cpus = work.rate * hits * work.cpu_hit + misses * work.cpu_rendition
    return Capacity(cpus, max(1, math.ceil(cpus / (cores * utilisation))) + spare, misses)
