"""Nodes with a cache each behind a load balancer, request by request: which of them finds what it is asked for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoundedHash", "FleetResult", "LruCache", "RoundRobin", "requests", "simulate"]

# Points of a node on the ring: its share of the paths is then within some per cent of the others'.
_POINTS = 1000


class LruCache:
    """At most *capacity* entries; the least recently used goes first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: dict[int, None] = {}

    def ask(self, key: int) -> bool:
        """Whether *key* was there; it is there now."""
        entries = self._entries
        if key in entries:
            del entries[key]
            entries[key] = None
            return True
        entries[key] = None
        if len(entries) > self._capacity:
            del entries[next(iter(entries))]
        return False


@dataclass
class FleetResult:
    """Shares (0..1) of the requests after the warm-up.

    `own`: found in the node's own cache; `shared`: found in the shared tier only; `busiest`: the share of the busiest
    node, times the number of nodes (1 is perfect balance). `windows` are the hit ratios of equal parts of the trace.
    """

    own: float = 0.0
    shared: float = 0.0
    busiest: float = 1.0
    windows: list[float] = field(default_factory=list)

    @property
    def hits(self) -> float:
        """The share that needs no rendition."""
        return self.own + self.shared


def requests(shares: NDArray[np.float64], number: int, seed: int) -> list[int]:
    """*number* requests for renditions with *shares*, the same for the same *seed*; renditions are random numbers."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(shares))  # so that a neighbour in popularity is no neighbour on the ring
    ranks = np.searchsorted(np.cumsum(shares), rng.random(number) * (1 - 1e-12), side="right")
    return [int(key) for key in order[np.minimum(ranks, len(shares) - 1)]]


class RoundRobin:
    """Every request to the next node."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._last = -1

    def choose(self, _key: int) -> int:
        """The node for the next request."""
        self._last = (self._last + 1) % self._nodes
        return self._last

    def rendering(self, node: int) -> None:
        """The last request is a miss, and keeps *node* busy."""


class BoundedHash:
    """Consistent hashing by rendition; a node with more than *factor* times the average load passes requests on.

    As HAProxy does it with `hash-type consistent` and `hash-balance-factor` (Mirrokni, Thorup and Zadimoghaddam, 2016).
    Load is the number of renditions that a node has under way, each for as long as *duration* requests take to arrive;
    a hit is over at once. Nodes that are *away* have no points on the ring.
    """

    def __init__(
        self, nodes: int, renditions: int, factor: float, duration: int, away: frozenset[int] = frozenset()
    ) -> None:
        present = [node for node in range(nodes) if node not in away]
        self._first, self._ring = _ring(present, renditions)
        self._factor = factor / len(present)
        self._duration = duration
        self._under_way = [0] * nodes
        self._ends: deque[tuple[int, int]] = deque()
        self._number = 0
        self.passed_on = 0

    def choose(self, key: int) -> int:
        """The node for the next request, which is for *key*."""
        self._number += 1
        ends, under_way, ring = self._ends, self._under_way, self._ring
        while ends and ends[0][0] <= self._number:
            under_way[ends.popleft()[1]] -= 1
        limit = math.ceil(self._factor * (len(ends) + 1))
        position = self._first[key]
        node = ring[position]
        if under_way[node] >= limit:
            self.passed_on += 1
            while under_way[node] >= limit:
                position = position + 1 if position + 1 < len(ring) else 0
                node = ring[position]
        return node

    def rendering(self, node: int) -> None:
        """The last request is a miss, and keeps *node* busy."""
        self._under_way[node] += 1
        self._ends.append((self._number + self._duration, node))


def _ring(nodes: Sequence[int], renditions: int) -> tuple[list[int], list[int]]:
    """The position on the ring of each rendition, and the node at each position.

    A node's points depend on its number alone, so that the others keep theirs when it leaves.
    """
    points = np.concatenate([np.random.default_rng(1000 + node).random(_POINTS) for node in nodes])
    owners = np.repeat(np.asarray(nodes), _POINTS)
    order = np.argsort(points)
    places = np.random.default_rng(7).random(renditions)
    positions = np.searchsorted(points[order], places) % len(points)
    return positions.tolist(), owners[order].tolist()


def simulate(
    keys: Sequence[int],
    caches: Sequence[LruCache],
    balancer: RoundRobin | BoundedHash,
    *,
    shared: LruCache | None = None,
    warm_up: float = 0.0,
    windows: int = 100,
) -> FleetResult:
    """Ask *caches*, one a node, for *keys* in their order; the first *warm_up* (0..1) of them do not count."""
    asks = [cache.ask for cache in caches]
    ask_shared: Callable[[int], bool] = shared.ask if shared is not None else lambda _key: False
    start, width = int(len(keys) * warm_up), max(1, len(keys) // windows)
    own = found_shared = in_window = 0
    by_node = [0] * len(caches)
    result = FleetResult()
    choose, rendering = balancer.choose, balancer.rendering
    for number, key in enumerate(keys, 1):
        node = choose(key)
        hit = asks[node](key)
        hit_shared = not hit and ask_shared(key)
        if hit or hit_shared:
            in_window += 1
        else:
            rendering(node)
        if number > start:
            own += hit
            found_shared += hit_shared
            by_node[node] += 1
        if number % width == 0:
            result.windows.append(in_window / width)
            in_window = 0
    counted = len(keys) - start
    result.own, result.shared = own / counted, found_shared / counted
    result.busiest = max(by_node) / counted * len(caches)
    return result
