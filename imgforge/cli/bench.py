"""`imgforge bench`: how fast a running server answers."""

from __future__ import annotations

import click

from imgforge.cli.common import HEADERS

__all__ = ["bench"]

_MOST_AT_ONCE = 4096


@click.command(short_help="Measure how fast a server answers.")
@click.option("-n", "--requests", type=click.IntRange(1), default=1000, show_default=True, help="Requests in all.")
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(1, _MOST_AT_ONCE),
    default=10,
    show_default=True,
    help="Connections, each with one request at a time.",
)
@click.option("--warm-up", type=click.IntRange(0), help="Requests before the measurement; by default 10 a connection.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Maximum seconds for an answer.",
)
@HEADERS
@click.option("--json", "as_json", is_flag=True, help="Print JSON on a terminal too.")
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
def bench(
    requests: int,
    concurrency: int,
    warm_up: int | None,
    timeout: float,
    headers: dict[str, str],
    as_json: bool,
    urls: tuple[str, ...],
) -> None:
    """Measure how fast a server answers URL..., in turn, over connections that are kept.

    Each is asked for once before, and all further answers are compared with that: another status or body is an error,
    and the exit status is then 1. Prints the rate, percentiles of the latency and errors: JSON, or on a terminal a
    table and a histogram.
    """
    from imgforge.cli.benchmark import BenchOptions, run_bench

    before = 10 * concurrency if warm_up is None else warm_up
    raise SystemExit(run_bench(BenchOptions(urls, requests, concurrency, before, timeout, headers, as_json)))
