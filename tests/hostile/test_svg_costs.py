"""Random SVG that is judged cheap is: a short campaign of `fuzz_svg`, and with IMGFORGE_TESTS=full a long one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imgforge.processing.codecs.svg_cost import svg_cost
from tests.hostile.fuzz_svg import HARD, Case, largest_cheap, written
from tests.support.fresh_python import output_of

CASES = 4000 if os.environ.get("IMGFORGE_TESTS") == "full" else 40


def test_what_is_judged_cheap_takes_no_more_than_it_may(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "tests.hostile.fuzz_svg", "--seed", "1080", "--cases", str(CASES)]
    done = subprocess.run(
        [*command, "--seconds", "36000", "--report", str(report)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(report.read_text())["documents"] > CASES / 2


@pytest.mark.parametrize("name", HARD)
def test_what_was_found_is_bounded(name: str) -> None:
    assert svg_cost(HARD[name](1)).pixels > 1_000_000
    assert not svg_cost(HARD[name](6000)).pixels
    program = f"from tests.hostile.fuzz_svg import HARD, run; print([case.finding for case in run(0, HARD[{name!r}])])"
    assert "True" not in output_of(program)


def test_a_case_is_as_large_as_is_still_cheap() -> None:
    sizes = [largest_cheap(written(seed))[0] for seed in range(10)]
    assert max(sizes) > 50
    assert sizes == [largest_cheap(written(seed))[0] for seed in range(10)]


def test_a_finding_is_one_that_takes_too_long_or_too_much_or_dies() -> None:
    assert not Case(1, 1, 1, 1_000_000, False, 1.0, 100.0, 0).finding
    for seconds, megabytes, status in ((10.0, 100.0, 0), (1.0, 900.0, 0), (1.0, 100.0, 9)):
        assert Case(1, 1, 1, 1_000_000, False, seconds, megabytes, status).finding
