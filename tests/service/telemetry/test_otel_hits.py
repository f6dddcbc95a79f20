"""How many hits are sampled."""

from __future__ import annotations

from itertools import islice

from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.telemetry.otel.hit_spans import gaps, hit_ratio


class GapTests(SynchronousTestCase):
    def test_their_mean_is_that_of_the_ratio(self) -> None:
        for ratio in (0.5, 0.1, 0.01):
            drawn = list(islice(gaps(ratio), 20_000))
            self.assertGreaterEqual(min(drawn), 1)
            # The deviation of the mean is less than 1 / (ratio * 141): six of it are never seen.
            self.assertLess(abs(sum(drawn) / len(drawn) * ratio - 1), 6 / 141)

    def test_ends_of_the_scale(self) -> None:
        self.assertEqual(set(islice(gaps(1), 100)), {1})
        self.assertGreater(min(islice(gaps(0), 100)), 1 << 60)

    def test_the_ratio_is_the_samplers(self) -> None:
        for sampler, argument, ratio in (
            ("", "", 1),
            ("always_on", "0.1", 1),
            ("always_off", "", 0),
            ("parentbased_always_off", "", 0),
            ("traceidratio", "0.25", 0.25),
            ("PARENTBASED_TRACEIDRATIO", "0.25", 0.25),
            ("traceidratio", "7", 1),
            ("traceidratio", "nonsense", 1),
        ):
            environ = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
            self.assertEqual(hit_ratio(environ), ratio, environ)
        self.assertEqual(hit_ratio({"OTEL_SDK_DISABLED": "true"}), 0)
