"""How a fleet's hit ratio grows with its nodes: simulated for each way of spreading requests, and by formula.

    python bench/fleet.py                            10 million requests, 1 to 64 nodes
    python bench/fleet.py --requests 1000000 --nodes 1,4,16 --plot fleet.svg
    python bench/fleet.py --rate 5000 --cpu-rendition 5.6 --cores 4      what that traffic needs

Renditions are popular by Zipf's law. All nodes together have a cache of the same size, whatever their number:

    one       one cache of that size, the best that there is
    spread    each node has its part of it, requests go to the nodes in turn
    hash      the same, by consistent hashing of the path with bounded load, as etc/haproxy does it
    shared    as spread, with a shared tier of that size behind them

A node is loaded by the renditions that it has under way, which are few: a tight bound of the load passes many requests
on to nodes that have not cached what they ask for.

The plot has the hit ratio over the nodes, and over time where a node of eight is lost, comes back empty, and a ninth is
added.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.fleet_model import Work, capacity, hit_ratio, zipf_shares
from bench.fleet_simulation import BoundedHash, LruCache, RoundRobin, requests, simulate
from bench.output import add_json_argument, markdown_table, print_progress, write_json
from bench.svg_plot import Panel, plot

__all__ = ["main"]

_WARM_UP = 0.3
_CHANGING = 8  # nodes of the fleet that loses one and gets another
_CHANGES = (1 / 2, 2 / 3, 5 / 6)  # of the trace
_WINDOWS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """The hit ratios (0..1) of a fleet of `nodes`.

    By hash, the `busiest` node has that many times the average of the requests, and the share `passed_on` went to a
    node that is not theirs. Beside a shared tier, `own` is what the nodes find in their own caches.
    """

    nodes: int
    one: float
    spread: float
    hash: float
    busiest: float
    passed_on: float
    shared: float
    own: float


@dataclass(frozen=True, slots=True)
class _Trace:
    """What all fleets are asked for, the entries of their caches together, and the bound of their load."""

    keys: Sequence[int]
    renditions: int
    total: int
    factor: float
    under_way: float
    misses: float

    def caches(self, nodes: int) -> list[LruCache]:
        return [LruCache(max(1, self.total // nodes)) for _ in range(nodes)]

    def hash(self, nodes: int, away: frozenset[int] = frozenset()) -> BoundedHash:
        duration = int(self.under_way * nodes / self.misses)
        return BoundedHash(nodes, self.renditions, self.factor, duration, away)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000_000, help="length of the trace (default: 10000000)")
    parser.add_argument("--renditions", type=int, default=1_000_000, help="number of renditions (default: 1000000)")
    parser.add_argument("--exponent", type=float, default=0.9, help="exponent of Zipf's law (default: 0.9)")
    parser.add_argument("--cached", type=float, default=0.1, help="share of the renditions that fit (default: 0.1)")
    parser.add_argument("--nodes", default="1,2,4,8,16,32,64", help="numbers of nodes (default: 1,2,4,8,16,32,64)")
    parser.add_argument("--factor", type=float, default=3, help="bound of the load, of the average (default: 3)")
    parser.add_argument("--under-way", type=float, default=2, help="renditions at a time of a node (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the trace (default: 1)")
    parser.add_argument("--rate", type=float, default=1000, help="requests a second to plan for (default: 1000)")
    parser.add_argument("--cpu-hit", type=float, default=0.01, help="CPU milliseconds of a hit (default: 0.01)")
    parser.add_argument("--cpu-rendition", type=float, default=12, help="CPU ms of a rendition (default: 12)")
    parser.add_argument("--cores", type=int, default=4, help="CPUs of a node (default: 4)")
    parser.add_argument("--busy", type=float, default=0.6, help="share of the CPUs that may be busy (default: 0.6)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the plot as SVG")
    add_json_argument(parser)
    return parser


def _row(trace: _Trace, nodes: int, one: float) -> Row:
    hashing = trace.hash(nodes)
    by_hash = simulate(trace.keys, trace.caches(nodes), hashing, warm_up=_WARM_UP)
    spread = simulate(trace.keys, trace.caches(nodes), RoundRobin(nodes), warm_up=_WARM_UP)
    tier = LruCache(trace.total)
    shared = simulate(trace.keys, trace.caches(nodes), RoundRobin(nodes), shared=tier, warm_up=_WARM_UP)
    print_progress(f"{nodes} nodes: {by_hash.hits:.4f}")
    passed_on = hashing.passed_on / len(trace.keys)
    return Row(nodes, one, spread.hits, by_hash.hits, by_hash.busiest, passed_on, shared.hits, shared.own)


def _changes(trace: _Trace) -> list[float]:
    """The hit ratio over time of a fleet that loses a node after a half, gets it back empty, and gets a ninth one."""
    caches, part, length = trace.caches(_CHANGING), trace.total // _CHANGING, len(trace.keys)
    ends = [int(length * share) for share in (*_CHANGES, 1)]
    ratios: list[float] = []
    for number, (first, last) in enumerate(pairwise((0, *ends))):
        if number == 2:
            caches[0] = LruCache(part)
        if number == 3:
            caches.append(LruCache(part))
        hashing = trace.hash(len(caches), frozenset({0}) if number == 1 else frozenset())
        windows = max(1, _WINDOWS * (last - first) // length)
        ratios += simulate(trace.keys[first:last], caches, hashing, windows=windows).windows
    return ratios


def _drawing(rows: Sequence[Row], changes: Sequence[float]) -> str:
    """Two plots, one below the other: over the nodes, and over time."""
    names = ("one", "hash", "shared", "spread")
    curves = {name: [getattr(row, name) for row in rows] for name in names}
    over_nodes = plot([row.nodes for row in rows], [Panel("hit ratio of all nodes", curves)], unit="nodes")
    time = [100 * (number + 1) / len(changes) for number in range(len(changes))]
    title = "a node of 8 is lost, comes back empty, a ninth is added"
    over_time = plot(time, [Panel(title, {"": changes})], [100 * change for change in _CHANGES], unit="% of the trace")
    height = 190
    parts = (over_nodes.replace("<svg ", f'<svg height="{height}" ', 1),
             over_time.replace("<svg ", f'<svg y="{height}" height="{height}" ', 1))  # fmt: skip
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 850 {2 * height}">\n{"".join(parts)}</svg>\n'


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate what *argv* asks for, and print the tables."""
    arguments = _arguments().parse_args(argv)
    shares = zipf_shares(arguments.renditions, arguments.exponent)
    keys = requests(shares, arguments.requests, arguments.seed)
    total = int(arguments.renditions * arguments.cached)
    print_progress(f"{len(keys)} requests drawn")
    one = simulate(keys, [LruCache(total)], RoundRobin(1), warm_up=_WARM_UP).hits
    formula = hit_ratio(shares, total)
    trace = _Trace(keys, arguments.renditions, total, arguments.factor, arguments.under_way, 1 - one)
    rows = [_row(trace, int(nodes), one) for nodes in arguments.nodes.split(",")]
    changes = _changes(trace)
    work = Work(arguments.rate, arguments.cpu_hit / 1000, arguments.cpu_rendition / 1000)
    needed = {
        name: capacity(work, hits, arguments.cores, arguments.busy)
        for name, hits in (("hash", rows[-1].hash), ("shared", rows[-1].shared), ("spread", rows[-1].spread))
    }
    if arguments.plot:
        arguments.plot.write_text(_drawing(rows, changes), encoding="utf-8")
    report = {"requests": len(keys), "one": one, "formula": formula, "fleets": [asdict(row) for row in rows],
              "changes": changes, "capacity": {name: asdict(one) for name, one in needed.items()}}  # fmt: skip
    if write_json(arguments.json, report):
        return 0
    print(f"One cache for {total} of {arguments.renditions} renditions: {one:.4f} hits, {formula:.4f} by formula.\n")
    print(markdown_table(
        ("nodes", "spread", "hash", "of one", "passed on", "busiest", "shared", "of it own"),
        [(row.nodes, f"{row.spread:.3f}", f"{row.hash:.3f}", f"{row.hash / row.one:.3f}", f"{row.passed_on:.3f}",
          f"{row.busiest:.2f}", f"{row.shared:.3f}", f"{row.own:.3f}") for row in rows],
    ))  # fmt: skip
    print(f"\n{arguments.rate:g} requests a second on nodes of {arguments.cores} CPUs, one of which may be away:\n")
    print(markdown_table(
        ("requests go by", "CPUs", "nodes", "originals/s"),
        [(name, f"{one.cpus:.1f}", one.nodes, f"{one.origin_rate:.0f}") for name, one in needed.items()],
    ))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
