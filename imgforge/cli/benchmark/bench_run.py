"""One run of `imgforge bench`: warm-up, measurement, report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from twisted.internet.epollreactor import EPollReactor

from imgforge.cli.benchmark.load import Load, Target, Unanswered
from imgforge.cli.benchmark.measurement import Measurement
from imgforge.cli.benchmark.report import print_report
from imgforge.cli.common import SIGNALLED, fail
from imgforge.cli.interruptible import run_until_signalled
from imgforge.cli.progress import ProgressBar
from imgforge.cli.server_connection import ServerUnreachable

__all__ = ["BenchOptions", "run_bench"]

_BUSY = 0.9  # of a CPU, from which on the client is what is measured


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """The arguments of the command; times are in seconds."""

    urls: Sequence[str]
    requests: int
    concurrency: int
    warm_up: int
    timeout: float
    headers: Mapping[str, str]
    as_json: bool


def run_bench(options: BenchOptions) -> int:
    """Runs the command and returns its exit status; ends the program where it cannot begin."""
    try:
        targets = [Target.of(url, options.headers) for url in options.urls]
    except ServerUnreachable as error:
        fail(str(error))
    reactor: Any = EPollReactor()
    load = Load(reactor, targets, options.concurrency, options.timeout)
    busy = 0.0

    async def work() -> None:
        nonlocal busy
        try:
            await load.warm_up(options.warm_up)
            began = time.process_time()
            await load.measure(options.requests)
            busy = (time.process_time() - began) / (load.seconds or 1.0)
        finally:
            load.close()

    with ProgressBar("measuring", options.requests) as progress:

        def show() -> None:
            progress.update(load.done, f"{load.done} of {options.requests} requests")

        try:
            signal = run_until_signalled(reactor, work, load.interrupt, show)
        except Unanswered as error:
            unanswered = str(error)
        else:
            unanswered = ""
    if unanswered:
        fail(unanswered)
    whole = _together(targets)
    report: dict[str, Any] = whole.figures(load.seconds) | {
        "concurrency": options.concurrency,
        "seconds": round(load.seconds, 6),
        "client_cpu": round(busy, 2),
        "interrupted": bool(signal),
        "urls": [{"url": target.url, **target.measured.figures(load.seconds)} for target in targets],
    }
    if sys.stdout.isatty() and not options.as_json:
        print_report(report, whole.latencies)
    else:
        click.echo(json.dumps(report))
    if busy > _BUSY:
        click.echo(f"imgforge: the client took {busy:.0%} of a CPU: a server may be faster than this shows", err=True)
    if signal:
        return SIGNALLED + signal
    return 1 if whole.errors else 0


def _together(targets: Sequence[Target]) -> Measurement:
    whole = Measurement()
    for measured in (target.measured for target in targets):
        whole.latencies += measured.latencies
        whole.errors += measured.errors
        whole.bytes += measured.bytes
        whole.hits += measured.hits
    return whole
