"""The growth that a soak reports (bench/soak_run.py)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.process_usage import Usage
from bench.soak_run import ResourceSample, slope_per_1000_requests


class SlopeTests(SynchronousTestCase):
    """Linear regression over samples."""

    def test_slope_is_that_of_the_second_half_per_1000_requests(self) -> None:
        nothing = Usage(0, 0, 0)
        samples = [ResourceSample(number, number * 100, 0, nothing, nothing) for number in range(20)]
        rising = [float(number) for number in range(20)]
        self.assertAlmostEqual(slope_per_1000_requests(samples, rising), 10)
        self.assertAlmostEqual(slope_per_1000_requests(samples, [*rising[:10], *[10.0] * 10]), 0)
        self.assertEqual(slope_per_1000_requests(samples[:2], rising[:2]), 0)
