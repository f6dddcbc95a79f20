"""Rankings keep the greatest sums in bounded memory, and their bounds hold, merged or not."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.telemetry.top import MEASURES, Ranking, Totals

COUNT = MEASURES.index("count")
BATCHES = st.lists(st.dictionaries(st.sampled_from([f"n{i}" for i in range(30)]), st.integers(1, 50)), max_size=12)


def totals(count: float) -> Totals:
    return (count, 0.1 * count, 10.0 * count, 0.0, 0.0)


def ranking_of(batches: list[dict[str, int]], most: int = 4) -> Ranking:
    ranking = Ranking(COUNT, most)
    for batch in batches:
        ranking.add({name: totals(count) for name, count in batch.items()})
    return ranking


def check(case: SynchronousTestCase, ranking: Ranking, true: Counter[str]) -> None:
    """The bounds of the sums: none is below the truth, or above it by more than its uncertainty."""
    bound = sum(true.values()) / (ranking.most + 1) + 1e-6
    case.assertLessEqual(ranking.floor, bound)
    shown = {row["name"]: row for row in ranking.top(1000)}
    for name, row in shown.items():
        estimate = row["count"] + row["uncertainty"]
        case.assertLessEqual(true[name], estimate + 1e-6)
        case.assertLessEqual(row["count"], true[name])
    for name, count in true.items():
        if name not in shown:
            case.assertLessEqual(count, ranking.floor + 1e-6)


class RankingTests(SynchronousTestCase):
    def test_few_names_are_exact_and_ordered(self) -> None:
        ranking = ranking_of([{"a": 1, "b": 5}, {"a": 2, "c": 4}])
        rows = list(ranking.top(2))
        self.assertEqual(
            [(row["name"], row["count"], row["bytes"], row["uncertainty"]) for row in rows],
            [("b", 5, 50, 0), ("c", 4, 40, 0)],
        )

    def test_memory_is_bounded_and_the_frequent_survive_a_flood_of_new_names(self) -> None:
        ranking = Ranking(COUNT, 10)
        for number in range(5000):
            ranking.add({"often": totals(1), f"once {number}": totals(1)})
            self.assertLessEqual(len(ranking.rows), 21)
        ranking.truncate()
        self.assertEqual(len(ranking.rows), 10)
        self.assertEqual(next(iter(ranking.top(1)))["name"], "often")

    def test_other_totals_are_those_since_the_first_request(self) -> None:
        by = {name: Ranking(number, 4) for number, name in enumerate(MEASURES)}
        for ranking in by.values():
            ranking.rows = {}
            for errors in (0.0, 2.0):
                ranking.add({"a": (16.0, 1.6, 160.0, errors, 0.0)})
        (row,) = by["errors"].top(1, by.values())
        self.assertEqual([row[name] for name in ("count", "seconds", "bytes", "errors")], [32, 3.2, 320, 2])

    def test_names_without_the_measure_are_not_kept(self) -> None:
        errors = Ranking(MEASURES.index("errors"), 10)
        errors.add({"good": totals(3), "bad": (1.0, 0.0, 0.0, 1.0, 0.0)})
        self.assertEqual([row["name"] for row in errors.top(10)], ["bad"])

    @given(BATCHES)
    def test_bounds_hold(self, batches: list[dict[str, int]]) -> None:
        true: Counter[str] = Counter()
        for batch in batches:
            true.update(batch)
        ranking = ranking_of(batches)
        check(self, ranking, true)
        ranking.truncate()
        check(self, ranking, true)

    @given(BATCHES, BATCHES)
    def test_bounds_hold_of_merged_rankings(self, first: list[dict[str, int]], second: list[dict[str, int]]) -> None:
        true: Counter[str] = Counter()
        for batch in (*first, *second):
            true.update(batch)
        merged = ranking_of(first)
        merged.merge(ranking_of(second))
        check(self, merged, true)
