"""The private names of prometheus_client exist, and do what imgforge needs of them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest, values
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability.prometheus_compat import keep_values_in_files, observe_many


class HistogramTests(SynchronousTestCase):
    def test_many_observations_equal_as_many_single_ones(self) -> None:
        rendered = []
        for at_once in (True, False):
            registry = CollectorRegistry()
            histogram = Histogram("seconds", "", registry=registry, buckets=(1.0, 2.0))
            if at_once:
                observe_many(histogram, (2, 0, 1), 6.0)
            else:
                for seconds in (0.5, 0.5, 5.0):
                    histogram.observe(seconds)
            rendered.append([line for line in generate_latest(registry).splitlines() if b"created" not in line])
        self.assertEqual(*rendered)

    def test_missing_bucket_is_an_error(self) -> None:
        with self.assertRaises(ValueError):
            observe_many(Histogram("seconds", "", registry=None, buckets=(1.0, 2.0)), (1, 2), 3.0)


class ValuesTests(SynchronousTestCase):
    def test_class_of_values_is_looked_up_when_a_metric_is_made(self) -> None:
        self.patch(values, "ValueClass", values.ValueClass)
        made = []

        class Value(values.MutexValue):
            def __init__(self, *arguments: object, **named: object) -> None:
                made.append(arguments)
                super().__init__(*arguments, **named)

        self.patch(values, "MultiProcessValue", lambda _: Value)
        keep_values_in_files(lambda: "0")
        Histogram("seconds", "", registry=None, buckets=(1.0,))
        self.assertEqual(len(made), 3)  # the sum and two buckets
