"""Tables of cases: every pair of values by default, every combination where `IMGFORGE_TESTS=full` (nightly)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

__all__ = ["combined", "pairwise"]

_Pair = tuple[int, int, int, int]  # factor, its value's index, a later factor, its value's index


def combined(*factors: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows with one value of each factor: all rows with `IMGFORGE_TESTS=full`, else a pairwise array.

    For products whose whole space a property draws from as well.
    """
    return list(product(*factors)) if os.environ.get("IMGFORGE_TESTS") == "full" else pairwise(*factors)


def pairwise(*factors: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows in which every two values of two factors meet at least once; the same rows each time.

    Greedy: a row begins with the first pair that is still missing, and each other factor takes the value that meets
    most missing pairs, where values tie the one that has been used least. For two factors that is their product.
    """
    if len(factors) < 2:
        return list(product(*factors))
    sizes = [len(factor) for factor in factors]
    missing = dict.fromkeys(
        (first, one, second, other)
        for first, second in combinations(range(len(factors)), 2)
        for one, other in product(range(sizes[first]), range(sizes[second]))
    )
    uses = [[0] * size for size in sizes]
    rows: list[tuple[Any, ...]] = []
    while missing:
        row = _row(next(iter(missing)), sizes, missing, uses)
        for pair in _pairs(row):
            missing.pop(pair, None)
        for factor, value in row.items():
            uses[factor][value] += 1
        rows.append(tuple(factors[factor][row[factor]] for factor in range(len(factors))))
    return rows


def _row(start: _Pair, sizes: list[int], missing: dict[_Pair, None], uses: list[list[int]]) -> dict[int, int]:
    """The index of a value by factor."""
    row = {start[0]: start[1], start[2]: start[3]}
    for factor in sorted(set(range(len(sizes))) - row.keys(), key=lambda factor: -sizes[factor]):

        def rank(value: int, factor: int = factor) -> tuple[int, int, int]:
            met = sum(pair in missing for pair in _pairs({**row, factor: value}))
            return met, -uses[factor][value], -value

        row[factor] = max(range(sizes[factor]), key=rank)
    return row


def _pairs(row: dict[int, int]) -> list[_Pair]:
    return [(first, row[first], second, row[second]) for first, second in combinations(sorted(row), 2)]
