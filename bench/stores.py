"""Cold images from an S3 server: this repository's imgforge and imgproxy, from the same server, in alternation.

    python bench/stores.py                                  imgforge alone
    python bench/stores.py --imgproxy imgproxy              and the program imgproxy, with its default settings
    python bench/stores.py --imgproxy /opt/imgproxy --photos /usr/share/backgrounds/mate/nature

The workloads are those of cold.py and one more, a thumbnail of a small JPEG, of which the store's part is largest. No
request can be answered from a cache, no server keeps originals, and images that are made at the same time have other
keys: each image takes one request to the store. The S3 server is versitygw, or moto's where versitygw is not in PATH;
moto's is slow, and then is what is measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.alternating_rounds import RoundSummary
from bench.cold_rounds import RoundSettings, add_round_arguments, measure_workload, print_workloads, report_workloads
from bench.object_store import BUCKET, s3_server
from bench.output import add_json_argument, describe_machine, measure_with_servers, write_json
from bench.peers import imgproxy_server
from bench.servers import Server, imgforge_server
from bench.workloads import WORKLOADS, Workload, draw_missing_photos

__all__ = ["STORE_WORKLOADS", "main"]

_COPIES = 32  # of each original, by other keys
STORE_WORKLOADS = (Workload("Small.jpg", "fit", 120, "jpg", 640, 400, 4.0, 85), *WORKLOADS)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imgproxy", metavar="PROGRAM", help="imgproxy's program; ratios are then relative to it")
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="directory of the photos, see cold.py (default: a temporary one)"
    )
    parser.add_argument(
        "--work",
        action="append",
        type=int,
        choices=range(len(STORE_WORKLOADS)),
        help="only this workload, 0 is the thumbnail (may be repeated)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each server, in alternation (default: 3)")
    add_round_arguments(parser)
    add_json_argument(parser)
    return parser


def _measure(
    stack: ExitStack, arguments: argparse.Namespace
) -> tuple[str, list[str], list[tuple[Workload, list[RoundSummary]]]]:
    """Return the store's name, the names of the photos that were drawn, and the results of each workload."""
    photos = arguments.photos or Path(stack.enter_context(tempfile.TemporaryDirectory()))
    chosen = sorted(set(arguments.work if arguments.work is not None else range(len(STORE_WORKLOADS))))
    workloads = [STORE_WORKLOADS[number] for number in chosen]
    drawn = draw_missing_photos(photos, workloads)
    objects = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    for copy in range(_COPIES):
        (objects / str(copy)).mkdir()
        for workload in workloads:
            (objects / str(copy) / workload.source).symlink_to((photos / workload.source).resolve())
    store = stack.enter_context(s3_server(objects))
    servers: list[Server] = []
    if arguments.imgproxy:
        servers.append(stack.enter_context(imgproxy_server(arguments.imgproxy, store.settings("IMGPROXY"))))
    ours = {"IMGFORGE_CACHE_TYPE": "none", "IMGFORGE_SOURCE_CACHE_TYPE": ""} | store.settings("IMGFORGE")
    servers.append(stack.enter_context(imgforge_server(objects, ours)))
    settings = RoundSettings.of(arguments)
    prefixes = [f"s3://{BUCKET}/{copy}/" for copy in range(_COPIES)]
    return (
        store.name,
        drawn,
        [
            (workload, measure_workload(workload, servers, prefixes, settings, arguments.rounds))
            for workload in workloads
        ],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the result; returns 1 if an answer was not 200 or a server did not start."""
    arguments = _arguments().parse_args(argv)
    measured = measure_with_servers(_measure, arguments)
    if measured is None:
        return 1
    store, drawn, results = measured
    report = {
        "machine": describe_machine(),
        "store": store,
        "drawn": drawn,
        "works": report_workloads(results),
    }
    if not write_json(arguments.json, report):
        print_workloads(results)
    return int(any(row.failures for _, summaries in results for row in summaries))


if __name__ == "__main__":
    sys.exit(main())
