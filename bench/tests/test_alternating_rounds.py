"""Rounds of several contenders and their medians (bench/alternating_rounds.py)."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from bench.alternating_rounds import Contender, RoundSample, measure_alternately
from bench.load import LoadResult


class AlternatingRoundsTests(SynchronousTestCase):
    """Contenders with given rates."""

    def test_rounds_alternate_and_medians_ignore_one_outlier(self) -> None:
        order: list[str] = []

        def contender(name: str, rates: list[int], cpu: float | None) -> Contender:
            remaining = iter(rates)

            def measure() -> RoundSample:
                order.append(name)
                return RoundSample(LoadResult(next(remaining), 0, 1.0, 0.1, 0.2, 0.3), cpu)

            return Contender(name, measure)

        contenders = [contender("a", [100, 1, 100], 2.0), contender("b", [50, 50, 900], None)]
        with redirect_stderr(StringIO()):
            first, second = measure_alternately(contenders, 3, "a")
        self.assertEqual(order, ["a", "b"] * 3)
        self.assertEqual((first.rate, first.cpu, first.ratio), (100, 0.02, 1.0))
        self.assertEqual((second.rate, second.cpu, second.ratio), (50, None, 0.5))
