"""For tests/ and bench/tests/: settings of Hypothesis, the marker that quick leaves out, and what else was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from imgforge.processing.pyvips_compat import survive_nested_lines

# How long an example takes on a machine of any speed says nothing about what it shows.
settings.register_profile("imgforge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("imgforge")

survive_nested_lines()  # of pictures that other tests have left

STARTERS = (
    "process",
    "cli",
    "service_case",
    "live_server",
    "hostile_world",
    "gcs_server",
    "azure_server",
    "swift_server",
    "redis_case",
    "redis_server",
    "queue_case",
    "brokers",
    "balancers",
    "browser",
    "playground",
    "checkers",
    "prometheus_server",
)
STARTING = {f"tests.support.{name}" for name in STARTERS}
# Programs that take traffic, decoders that run in processes of their own, and fuzzers.
LONG = {
    "test_pdf",
    "test_raw",
    "test_programs",
    "test_pictures",
    "test_image_comparison",
    "test_comparison_grid",
    "test_svg_cost",
    "test_http2_servers",
}


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark with `process` the tests of modules that start servers or commands, or that take long."""
    for item in items:
        module = getattr(item, "module", None)
        origins = {getattr(value, "__module__", "") for value in vars(module).values()} if module else set()
        if origins & STARTING or item.path.stem in LONG or item.path.parent.name == "hostile":
            item.add_marker(pytest.mark.process)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name what was left out, and why: a program that is not installed."""
    left_out = Counter(
        (report.nodeid.partition("::")[0], str(report.longrepr[2]).removeprefix("Skipped: "))
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
    )
    for (path, reason), count in sorted(left_out.items()):
        terminalreporter.write_line(f"LEFT OUT: {count} of {path}: {reason}")
