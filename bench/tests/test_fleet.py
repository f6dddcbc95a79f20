"""The simulated fleet and the formulas beside it."""

from __future__ import annotations

import json
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from bench import fleet
from bench.fleet_model import Work, capacity, hit_ratio, zipf_shares
from bench.fleet_simulation import BoundedHash, LruCache, RoundRobin, requests, simulate

_RENDITIONS = 2000


class CacheTests(SynchronousTestCase):
    def test_the_least_recently_used_entry_goes_first(self) -> None:
        cache = LruCache(2)
        self.assertEqual([cache.ask(key) for key in (1, 2, 1, 3, 1, 2)], [False, False, True, False, True, False])

    def test_the_formula_gives_what_a_simulated_cache_finds(self) -> None:
        for exponent, entries in ((0.7, 100), (0.9, 400), (1.1, 50)):
            shares = zipf_shares(_RENDITIONS, exponent)
            keys = requests(shares, 60_000, seed=3)
            found = simulate(keys, [LruCache(entries)], RoundRobin(1), warm_up=0.3).hits
            self.assertApproximates(hit_ratio(shares, entries), found, 0.015)

    def test_a_cache_of_everything_always_hits(self) -> None:
        self.assertEqual(hit_ratio(zipf_shares(10, 1.0), 10), 1.0)


class BalanceTests(SynchronousTestCase):
    def owners(self, nodes: int, away: frozenset[int] = frozenset()) -> list[int]:
        balancer = BoundedHash(nodes, _RENDITIONS, 3, 1, away)
        return [balancer.choose(key) for key in range(_RENDITIONS)]

    def test_a_lost_node_moves_its_renditions_only(self) -> None:
        before, after = self.owners(8), self.owners(8, frozenset({3}))
        moved = [old for old, new in zip(before, after, strict=True) if old != new]
        self.assertEqual(set(moved), {3})
        self.assertNotIn(3, after)

    def test_a_new_node_takes_its_part_from_all_others(self) -> None:
        before, after = self.owners(8), self.owners(9)
        moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        self.assertEqual({new for _, new in moved}, {8})
        self.assertEqual({old for old, _ in moved}, set(range(8)))
        self.assertApproximates(len(moved) / _RENDITIONS, 1 / 9, 0.03)

    def test_a_busy_node_passes_requests_on_to_the_next(self) -> None:
        balancer = BoundedHash(4, _RENDITIONS, 1.5, 1000)
        chosen = []
        for _ in range(40):
            chosen.append(balancer.choose(7))
            balancer.rendering(chosen[-1])
        shares = [chosen.count(node) for node in range(4)]
        self.assertEqual(len(set(chosen)), 3)
        self.assertLessEqual(max(shares), 1 + 1.5 * 40 / 4)
        self.assertGreater(balancer.passed_on, 0)


class CapacityTests(SynchronousTestCase):
    def test_nodes_follow_from_the_cpus_that_hits_and_renditions_take(self) -> None:
        work = Work(rate=1000, cpu_hit=0.00001, cpu_rendition=0.01)
        needed = capacity(work, hits=0.6, cores=2, utilisation=0.5)
        self.assertAlmostEqual(needed.cpus, 600 * 0.00001 + 400 * 0.01)
        self.assertEqual((needed.nodes, needed.origin_rate), (6, 400))


class ProgramTests(SynchronousTestCase):
    def report(self, arguments: list[str]) -> Any:
        output = StringIO()
        with redirect_stdout(output), redirect_stderr(StringIO()):
            self.assertEqual(fleet.main([*arguments, "--json", "-"]), 0)
        return json.loads(output.getvalue())

    def test_hashing_is_nearly_as_good_as_one_cache_and_spreading_is_not(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "fleet.svg")
        trace = ["--requests", "60000", "--renditions", "6000", "--nodes", "1,4", "--plot", str(path)]
        report = self.report(trace)
        alone, four = report["fleets"]
        self.assertEqual((alone["hash"], alone["spread"]), (report["one"], report["one"]))
        self.assertGreater(four["hash"], 0.97 * report["one"])
        self.assertGreater(four["shared"], 0.97 * report["one"])
        self.assertLess(four["spread"], 0.85 * report["one"])
        self.assertLess(four["own"], four["shared"])
        lines = ElementTree.fromstring(path.read_text()).iter(  # noqa: S314  # our own
            "{http://www.w3.org/2000/svg}polyline"
        )
        self.assertEqual(len(list(lines)), 5)

    def test_a_lost_node_costs_hits_for_a_while(self) -> None:
        report = self.report(["--requests", "300000", "--renditions", "20000", "--nodes", "1"])
        before, lost, later = (report["changes"][first:last] for first, last in ((80, 100), (100, 101), (112, 132)))
        self.assertLess(lost[0], sum(before) / 20 - 0.02)
        self.assertGreater(sum(later) / 20, lost[0] + 0.01)
