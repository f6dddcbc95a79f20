"""For tests/ and bench/tests/: settings of Hypothesis, and the marker of the tests that quick leaves out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes on a machine of any speed says nothing about what it shows.
settings.register_profile("imgforge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("imgforge")

STARTING = {f"tests.support.{name}" for name in ("process", "cli", "service_case", "live_server", "hostile_world")}
# Programs that take traffic, decoders that run in processes of their own, and fuzzers.
LONG = {
    "test_pdf",
    "test_raw",
    "test_programs",
    "test_pictures",
    "test_image_comparison",
    "test_comparison_grid",
    "test_svg_cost",
}


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark with `process` the tests of modules that start servers or commands, or that take long."""
    for item in items:
        module = getattr(item, "module", None)
        origins = {getattr(value, "__module__", "") for value in vars(module).values()} if module else set()
        if origins & STARTING or item.path.stem in LONG or item.path.parent.name == "hostile":
            item.add_marker(pytest.mark.process)
