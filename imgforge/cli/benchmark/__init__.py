"""Closed-loop load on a server: connections that are kept, bodies that are checked, rates and percentiles."""

from imgforge.cli.benchmark.bench_run import BenchOptions, run_bench
from imgforge.cli.benchmark.load import Load, Target
from imgforge.cli.benchmark.measurement import Measurement
from imgforge.cli.benchmark.report import histogram

__all__ = ["BenchOptions", "Load", "Measurement", "Target", "histogram", "run_bench"]
