"""Images from an S3 server of whose answers a share fails: how many succeed, and how many more requests that takes.

    python bench/faults.py                                  10,000 images with hedged requests, and as many without
    python bench/faults.py --share 0.05 --fault "503 SlowDown"

A proxy before the store injects faults (errors, resets, truncation, stalls, slow first bytes) at random. This
repository's imgforge makes a small image of each original, without any cache. It is measured with
IMGFORGE_SOURCE_HEDGE=auto and off, in alternating rounds. The S3 server is versitygw, or moto's where versitygw is not
in PATH.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.alternating_rounds import Contender, RoundSample, RoundSummary, measure_alternately
from bench.fault_injection import FAULTS, FaultyStore, faulty_store
from bench.load import LoadResult, drive
from bench.object_store import BUCKET, ObjectStore, s3_server
from bench.output import (
    add_json_argument,
    describe_machine,
    markdown_table,
    measure_with_servers,
    write_json,
)
from bench.pictures import draw_photo
from bench.servers import Server, imgforge_server
from bench.slow_origin import add_number
from bench.workloads import image_path

__all__ = ["main"]

_HEAD = ("hedge", "images", "succeeded", "requests", "more requests", "p50 ms", "p95 ms", "p99 ms")


@dataclass(slots=True)
class _Totals:
    """Sums over the rounds of one setting: images that were asked for, requests to the store, faults by name."""

    images: int = 0
    requests: int = 0
    injected: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class HedgeResult:
    """What one value of IMGFORGE_SOURCE_HEDGE brought.

    `succeeded` is the share of images with 200, `more_requests` the share of requests to the store beyond one an image.
    """

    hedge: str
    succeeded: float
    more_requests: float
    requests: int
    injected: Mapping[str, int]
    load: RoundSummary


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000, help="images of each setting (default: 10000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each setting, in alternation (default: 5)")
    parser.add_argument("--connections", type=int, default=16, help="simultaneous requests (default: 16)")
    parser.add_argument(
        "--originals",
        type=int,
        default=2000,
        help="objects in the bucket; images of one original that wait together share a request (default: 2000)",
    )
    parser.add_argument("--share", type=float, default=0.01, help="share of answers with a fault (default: 0.01)")
    parser.add_argument(
        "--fault", action="append", choices=tuple(FAULTS), help="only this fault (may be repeated; default: all)"
    )
    parser.add_argument(
        "--hedge",
        action="append",
        choices=("auto", "off"),
        help="only this value of IMGFORGE_SOURCE_HEDGE (may be repeated; default: both)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the choice of faults (default: 1)")
    add_json_argument(parser)
    return parser


def _fresh_paths(originals: int) -> Iterator[str]:
    """Yield paths of small images of all originals in turn; no path comes twice."""
    for number in itertools.count():
        yield image_path(f"rs:fit:64:64/cb:{number}", f"s3://{BUCKET}/{number % originals}.jpg", "jpg")


def _draw_originals(directory: Path, number: int) -> None:
    picture = draw_photo(320, 240, grain=4, quality=85)
    for index in range(number):
        (directory / f"{index}.jpg").write_bytes(add_number(picture, index))


def _contender(
    name: str, server: Server, store: FaultyStore, totals: _Totals, paths: Iterator[str], images: int, connections: int
) -> Contender:
    def measure() -> RoundSample:
        before = store.counts()
        load: LoadResult = drive(server.address, itertools.islice(paths, images), connections=connections)
        after = store.counts()
        totals.images += images
        totals.requests += after.requests - before.requests
        totals.injected += Counter(after.injected) - Counter(before.injected)
        return RoundSample(load, None)

    return Contender(name, measure)


def _measure(stack: ExitStack, arguments: argparse.Namespace) -> tuple[str, list[HedgeResult]]:
    """Return the store's name and the results."""
    originals = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    _draw_originals(originals, arguments.originals)
    store: ObjectStore = stack.enter_context(s3_server(originals))
    names = tuple(arguments.fault or FAULTS)
    contenders, all_totals = [], {}
    for hedge in arguments.hedge or ("auto", "off"):
        proxy = stack.enter_context(faulty_store(store.address, arguments.share, names, arguments.seed))
        settings = {"IMGFORGE_CACHE_TYPE": "none", "IMGFORGE_SOURCE_HEDGE": hedge}
        server = stack.enter_context(imgforge_server(originals, settings | store.settings("IMGFORGE", proxy.url)))
        totals = all_totals[hedge] = _Totals()
        images = max(1, arguments.images // arguments.rounds)
        paths = _fresh_paths(arguments.originals)
        contenders.append(
            _contender(hedge, replace(server, name=hedge), proxy, totals, paths, images, arguments.connections)
        )
    summaries = measure_alternately(contenders, arguments.rounds, contenders[0].name)
    return store.name, [_result(summary, all_totals[summary.name]) for summary in summaries]


def _result(load: RoundSummary, totals: _Totals) -> HedgeResult:
    return HedgeResult(
        hedge=load.name,
        succeeded=load.answers / totals.images,
        more_requests=totals.requests / totals.images - 1,
        requests=totals.requests,
        injected=dict(sorted(totals.injected.items())),
        load=load,
    )


def _print(results: Sequence[HedgeResult]) -> None:
    rows = [
        (
            result.hedge,
            result.load.answers + result.load.failures,
            f"{result.succeeded:.3%}",
            result.requests,
            f"{result.more_requests:.2%}",
            *(f"{seconds * 1e3:.0f}" for seconds in (result.load.p50, result.load.p95, result.load.p99)),
        )
        for result in results
    ]
    print(markdown_table(_HEAD, rows))
    names = sorted({name for result in results for name in result.injected})
    faults = [(name, *(result.injected.get(name, 0) for result in results)) for name in names]
    print("\nFaults injected\n\n" + markdown_table(("fault", *(result.hedge for result in results)), faults))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the result; returns 1 if a server did not start."""
    arguments = _arguments().parse_args(argv)
    measured = measure_with_servers(_measure, arguments)
    if measured is None:
        return 1
    store, results = measured
    report = {
        "machine": describe_machine(),
        "store": store,
        "share": arguments.share,
        "hedges": [asdict(result) for result in results],
    }
    if not write_json(arguments.json, report):
        _print(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
