"""Pairwise arrays: every pair is met, with far fewer rows than the product has, and always the same."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pairwise import combined, pairwise


def pairs(rows: list[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    return {
        (first, row[first], second, row[second]) for row in rows for first, second in combinations(range(len(row)), 2)
    }


@given(st.lists(st.integers(1, 6), max_size=5))
def test_every_pair_of_values_is_met(sizes: list[int]) -> None:
    factors = [range(size) for size in sizes]
    rows = pairwise(*factors)
    assert pairs(rows) == pairs(list(product(*factors)))
    assert len(set(rows)) == len(rows)
    assert rows == pairwise(*factors)


@pytest.mark.parametrize(
    ("sizes", "most"), [((8, 30, 3), 240), ((5, 8, 3, 2), 46), ((2,) * 8, 10), ((3, 3, 3, 3), 12), ((4, 5), 20)]
)
def test_rows_are_few(sizes: tuple[int, ...], most: int) -> None:
    assert len(pairwise(*map(range, sizes))) <= most


def test_the_whole_product_is_run_where_the_environment_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    factors = "abc", "de", "fg"
    monkeypatch.setenv("IMGFORGE_TESTS", "full")
    assert combined(*factors) == list(product(*factors))
    monkeypatch.setenv("IMGFORGE_TESTS", "")
    assert combined(*factors) == pairwise(*factors)
    assert len(combined(*factors)) == 6
