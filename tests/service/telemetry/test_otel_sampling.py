"""Which requests are traced, and the mistakes in the variables that say so."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, ParentBasedTraceIdRatio, StaticSampler
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import load_settings
from imgforge.service.telemetry.otel import sampling
from imgforge.service.telemetry.otel.sampling import hit_ratio, is_custom, make_sampler, sampling_mistakes
from imgforge.service.telemetry.otel.setting_mistakes import otel_mistakes


def custom(argument: str | None) -> StaticSampler:
    """What an entry point of a sampler names."""
    made = StaticSampler(ALWAYS_OFF.should_sample(None, 1, "").decision)
    made.argument = argument  # type: ignore[attr-defined]
    return made


def environ(sampler: str = "", argument: str = "", propagators: str = "") -> dict[str, str]:
    return {
        "OTEL_TRACES_SAMPLER": sampler,
        "OTEL_TRACES_SAMPLER_ARG": argument,
        "OTEL_PROPAGATORS": propagators,
    }


class SamplingTests(SynchronousTestCase):
    def test_what_is_right_is_no_mistake(self) -> None:
        for right in (
            {},
            environ(),
            environ("PARENTBASED_TRACEIDRATIO", " 0.01 "),
            environ("traceidratio"),
            environ("always_off", "1%"),  # which it does not read
            environ(propagators="tracecontext, baggage"),
            environ(propagators="none"),
        ):
            self.assertEqual(list(sampling_mistakes(right)), [], right)

    def test_each_mistake_is_a_line_with_the_variable(self) -> None:
        for wrong, line in (
            (environ("foo"), "OTEL_TRACES_SAMPLER='foo' must be parentbased_always_on, always_on, "),
            (environ("traceidratio", "1%"), "OTEL_TRACES_SAMPLER_ARG='1%' must be a number from 0 to 1"),
            (environ("traceidratio", "7"), "OTEL_TRACES_SAMPLER_ARG='7' must be"),
            (environ("traceidratio", "nan"), "OTEL_TRACES_SAMPLER_ARG='nan' must be"),
            (environ(propagators="tracecontext,foo"), "OTEL_PROPAGATORS has 'foo', which is none of "),
            (environ(propagators="tracecontext,"), "OTEL_PROPAGATORS has '', which"),
        ):
            (found,) = sampling_mistakes(wrong)
            self.assertTrue(found.startswith(line), found)

    def test_they_are_among_those_of_the_settings(self) -> None:
        self.patch(os, "environ", os.environ | environ("foo", "", "bar"))
        settings = load_settings(None, {"IMGFORGE_OPEN_TELEMETRY_ENABLE": "1"})
        self.assertEqual(len(list(otel_mistakes(settings))), 2)

    def test_samplers(self) -> None:
        self.assertIs(make_sampler({}), DEFAULT_ON)
        self.assertIs(make_sampler(environ("always_off")), ALWAYS_OFF)
        made = make_sampler(environ("parentbased_traceidratio", "0.25"))
        self.assertIsInstance(made, ParentBasedTraceIdRatio)
        self.assertIn("0.25", made.get_description())

    def test_an_installed_sampler_is_made_by_its_entry_point(self) -> None:
        mine = EntryPoint("Mine", f"{__name__}:custom", "opentelemetry_traces_sampler")

        def installed(**wanted: Any) -> EntryPoints:
            return EntryPoints([mine]).select(**wanted)

        self.patch(sampling, "entry_points", installed)
        given = environ("Mine", "x")
        self.assertEqual(list(sampling_mistakes(given)), [])
        self.assertEqual(make_sampler(given).argument, "x")  # type: ignore[attr-defined]
        self.assertTrue(is_custom(given))
        self.assertFalse(is_custom({}))

    def test_the_ratio_of_hits_is_the_samplers(self) -> None:
        for sampler, argument, ratio in (
            ("", "", 1),
            ("always_on", "0.1", 1),
            ("always_off", "", 0),
            ("parentbased_always_off", "", 0),
            ("traceidratio", "0.25", 0.25),
            ("PARENTBASED_TRACEIDRATIO", "0.25", 0.25),
            ("traceidratio", "", 1),
            ("custom", "0.1", 1),  # which is asked about each
        ):
            self.assertEqual(hit_ratio(environ(sampler, argument)), ratio, sampler)
        self.assertEqual(hit_ratio({"OTEL_SDK_DISABLED": "true"}), 0)
