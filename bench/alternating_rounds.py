"""Measures contenders in alternating rounds (A B A B), so that other load on the machine affects all of them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.load import LoadResult
from bench.output import print_progress
from bench.process_usage import cpu_seconds
from bench.servers import Server

__all__ = ["Contender", "RoundSample", "RoundSummary", "measure_alternately", "server_contender"]


@dataclass(frozen=True, slots=True)
class RoundSample:
    """One round of a contender: the load, and the CPU seconds that the contender used if they are known."""

    load: LoadResult
    cpu: float | None


@dataclass(frozen=True, slots=True)
class Contender:
    """A name, and a function that measures one round."""

    name: str
    measure: Callable[[], RoundSample]


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """Medians over the rounds of a contender, and the sums of its answers and failures.

    `rate` is answers per second, `ratio` the rate divided by that of the reference, `cpu` CPU seconds per answer, and
    latencies are in seconds.
    """

    name: str
    rate: float
    ratio: float
    cpu: float | None
    p50: float
    p95: float
    p99: float
    answers: int
    failures: int


def server_contender(server: Server, load: Callable[[Server], LoadResult]) -> Contender:
    """Return *server* as a contender, with the CPU time of its process tree if its process id is known."""

    def measure() -> RoundSample:
        before = None if server.pid is None else cpu_seconds(server.pid)
        result = load(server)
        after = None if server.pid is None else cpu_seconds(server.pid)
        return RoundSample(result, None if before is None or after is None else after - before)

    return Contender(server.name, measure)


def measure_alternately(contenders: Sequence[Contender], rounds: int, reference: str) -> list[RoundSummary]:
    """Measure *rounds* of each contender in alternation; ratios are relative to the contender named *reference*."""
    samples: dict[str, list[RoundSample]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            sample = contender.measure()
            print_progress(f"  round {number + 1}/{rounds} {contender.name}: {sample.load.rate:.1f}/s")
            samples[contender.name].append(sample)
    rates = {name: statistics.median(sample.load.rate for sample in measured) for name, measured in samples.items()}
    return [_summary(name, measured, rates[name], rates[reference]) for name, measured in samples.items()]


def _summary(name: str, samples: Sequence[RoundSample], rate: float, reference: float) -> RoundSummary:
    loads = [sample.load for sample in samples]
    cpu_per_answer = [
        sample.cpu / sample.load.answers for sample in samples if sample.cpu is not None and sample.load.answers
    ]
    return RoundSummary(
        name=name,
        rate=rate,
        ratio=rate / reference if reference else 0.0,
        cpu=statistics.median(cpu_per_answer) if cpu_per_answer else None,
        p50=statistics.median(load.p50 for load in loads),
        p95=statistics.median(load.p95 for load in loads),
        p99=statistics.median(load.p99 for load in loads),
        answers=sum(load.answers for load in loads),
        failures=sum(load.failures for load in loads),
    )
