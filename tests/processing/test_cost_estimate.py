"""Estimates put heavy results behind light ones."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import AutoQualityOptions, ProcessingOptions
from imgforge.processing import ProcessingSettings, estimated_seconds


class EstimateTests(SynchronousTestCase):
    def seconds(self, size: int = 500_000, settings: ProcessingSettings | None = None, **options: Any) -> float:
        return estimated_seconds(size, ProcessingOptions(**options), settings or ProcessingSettings())

    def test_formats_differ_in_the_work_for_a_pixel(self) -> None:
        by_format = [self.seconds(width=1000, format=name) for name in ("jpeg", "avif", "webp", "gif")]
        self.assertEqual(by_format, sorted(by_format))

    def test_avif_costs_more_at_each_slower_speed(self) -> None:
        by_speed = [
            self.seconds(width=1000, format="avif", settings=ProcessingSettings(avif_speed=n)) for n in (9, 8, 5)
        ]
        self.assertEqual(by_speed[0], by_speed[1])
        self.assertGreater(by_speed[2], 5 * by_speed[1])

    def test_pixels_are_those_of_the_result(self) -> None:
        self.assertGreater(self.seconds(width=1000), self.seconds(width=100))
        self.assertEqual(self.seconds(width=1000), self.seconds(height=1000))
        self.assertEqual(self.seconds(width=500, dpr=2.0), self.seconds(width=1000))
        self.assertEqual(self.seconds(width=500, zoom_x=2.0, zoom_y=2.0), self.seconds(width=1000))

    def test_result_is_no_larger_than_its_source_unless_it_is_enlarged(self) -> None:
        self.assertEqual(self.seconds(1000, width=30_000), self.seconds(1000))
        self.assertGreater(self.seconds(1000, width=30_000, enlarge=True), 1.0)

    def test_the_clients_format_and_the_last_pipeline_decide(self) -> None:
        settings, large, small = ProcessingSettings(), ProcessingOptions(width=2000), ProcessingOptions(width=20)
        self.assertLess(
            estimated_seconds(500_000, large, settings, chained=[small], accepted=["avif"]),
            estimated_seconds(500_000, small, settings, chained=[large], accepted=["avif"]),
        )
        self.assertLess(
            estimated_seconds(500_000, large, settings), estimated_seconds(500_000, large, settings, accepted=["avif"])
        )

    def test_several_encodings_cost_more(self) -> None:
        once = self.seconds(width=1000)
        for options in ({"max_bytes": 1000}, {"format": "best"}, {"autoquality": AutoQualityOptions("size")}):
            self.assertGreater(self.seconds(width=1000, **options), once)
