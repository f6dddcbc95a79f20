"""Send a grid of image URLs to a peer and to imgforge, and report every difference in status, content type, size,
pixels and length.

    python bench/compare.py --local-root DIR --peer http://127.0.0.1:8081 --ours http://127.0.0.1:8080
    python bench/compare.py --photos DIR --peer http://127.0.0.1:8081

The pictures of the grid are drawn into `--local-root`, which must be the root of local:// sources of both servers. With
`--photos` a smaller grid is sent for the photos that are already in that directory. Without `--ours` this repository's
imgforge is started. Both servers must accept unsigned URLs (`/unsafe/...`).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.comparison_grid import Case, grid_cases
from bench.image_comparison import VERDICTS, Thresholds, Verdict, compare_answers
from bench.load import fetch
from bench.output import add_json_argument, markdown_table, print_progress, write_json
from bench.pictures import draw_all
from bench.servers import Server, StartFailed, file_origin, imgforge_server, parse_server

__all__ = ["CaseResult", "main", "worst_first"]

_PHOTO_SUFFIXES = {".avif", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".tiff", ".webp"}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case, and the verdict on the two answers to it."""

    case: Case
    verdict: Verdict


def worst_first(rows: Sequence[CaseResult]) -> list[CaseResult]:
    """Return the results that differ, sorted by kind of difference and by the tile that differs most."""
    differing = [row for row in rows if row.verdict.name != "same"]
    return sorted(differing, key=lambda row: (-VERDICTS.index(row.verdict.name), -(row.verdict.tile or 0.0)))


def _compare(ours: Server, peer: Server, thresholds: Thresholds, save: Path | None, case: Case) -> CaseResult:
    our_answer, peer_answer = fetch(ours.address, case.path), fetch(peer.address, case.path)
    row = CaseResult(case, compare_answers(our_answer, peer_answer, thresholds))
    if save is not None and row.verdict.name != "same":
        name = case.path.removeprefix("/unsafe/").replace("/", "_").replace(":", ".")[:150]
        for owner, answer in (("ours", our_answer), ("peer", peer_answer)):
            suffix = answer.content_type.partition(";")[0].rpartition("/")[2].partition("+")[0] or "txt"
            (save / f"{name}.{owner}.{suffix}").write_bytes(answer.body)
    return row


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, metavar="URL", help="the server whose answers are the reference")
    parser.add_argument(
        "--ours", metavar="URL", help="the server under test (default: start this repository's imgforge)"
    )
    root = parser.add_mutually_exclusive_group(required=True)
    root.add_argument("--local-root", type=Path, metavar="DIR", help="draw the pictures there and send the whole grid")
    root.add_argument("--photos", type=Path, metavar="DIR", help="send the smaller grid over the photos in DIR")
    parser.add_argument(
        "--sources",
        choices=("local", "http"),
        default="local",
        help="sources as local:///, or from an HTTP origin on loopback that is started here (default: local)",
    )
    parser.add_argument(
        "--only", action="append", metavar="GROUP", help="only groups whose name begins with GROUP (may be repeated)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=1.0,
        help="largest mean difference (0..255) that counts as the same (default: 1)",
    )
    parser.add_argument(
        "--tile-threshold", type=float, default=8.0, help="largest mean difference in any 16x16 tile (default: 8)"
    )
    parser.add_argument(
        "--weight-threshold", type=float, default=0.1, help="share by which bodies may differ in length (default: 0.1)"
    )
    parser.add_argument("--connections", type=int, default=4, help="cases at a time (default: 4)")
    parser.add_argument("--worst", type=int, default=15, metavar="N", help="rows to print of each kind (default: 15)")
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep both bodies of every difference there")
    add_json_argument(parser)
    parser.add_argument("--list", action="store_true", help="print the paths and send nothing")
    return parser


def _select_cases(arguments: argparse.Namespace, prefix: str) -> list[Case]:
    photos = ()
    if arguments.photos:
        photos = tuple(sorted(p.name for p in arguments.photos.iterdir() if p.suffix.lower() in _PHOTO_SUFFIXES))
    group_prefixes = tuple(arguments.only or ("",))
    return [case for case in grid_cases(prefix, photos) if case.group.startswith(group_prefixes)]


def _print(rows: Sequence[CaseResult], worst: int) -> None:
    columns = [verdict for verdict in VERDICTS if verdict == "same" or any(row.verdict.name == verdict for row in rows)]
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.case.group, Counter())[row.verdict.name] += 1
    counts["all"] = Counter(row.verdict.name for row in rows)
    lines = ((group, *(count[verdict] or "" for verdict in columns), count.total()) for group, count in counts.items())
    print(markdown_table(("group", *columns, "cases"), lines))
    ratios = sorted(row.verdict.bytes_ratio for row in rows if row.verdict.bytes_ratio is not None)
    if ratios:
        print(f"\nOur bodies over the peer's: median {median(ratios):.2f}, from {ratios[0]:.2f} to {ratios[-1]:.2f}")
    for kind, differing in groupby(worst_first(rows), key=lambda row: row.verdict.name):
        listed = list(differing)
        more = f", the worst {worst}" if len(listed) > worst else ""
        print(f"\n{kind} ({len(listed)}{more})")
        for row in listed[:worst]:
            print(f"  {row.case.path}  {row.verdict.reason}")


def _report(rows: Sequence[CaseResult]) -> dict[str, object]:
    totals = Counter(row.verdict.name for row in rows)
    listed = [{"group": row.case.group, "path": row.case.path, **asdict(row.verdict)} for row in rows]
    return {"totals": {name: totals[name] for name in VERDICTS}, "rows": listed}


def main(argv: Sequence[str] | None = None) -> int:
    """Compare as *argv* says and print the differences; returns 0 if there are none, 2 if a server did not start."""
    arguments = _arguments().parse_args(argv)
    if arguments.list:
        print("\n".join(case.path for case in _select_cases(arguments, "local:///")))
        return 0
    root: Path = arguments.photos or arguments.local_root
    if arguments.local_root:
        draw_all(root)
    if arguments.save:
        arguments.save.mkdir(parents=True, exist_ok=True)
    thresholds = Thresholds(arguments.threshold, arguments.tile_threshold, arguments.weight_threshold)
    with ExitStack() as stack:
        try:
            peer = parse_server(f"peer={arguments.peer}")
            if arguments.ours:
                ours = parse_server(f"ours={arguments.ours}")
            else:
                ours = stack.enter_context(imgforge_server(root, {"IMGFORGE_CACHE_TYPE": "none"}))
            prefix = "local:///" if arguments.sources == "local" else stack.enter_context(file_origin(root))
        except (StartFailed, argparse.ArgumentTypeError) as failure:
            print_progress(str(failure))
            return 2
        cases = _select_cases(arguments, prefix)
        print_progress(f"{len(cases)} cases")
        with ThreadPoolExecutor(arguments.connections) as pool:
            rows = list(pool.map(partial(_compare, ours, peer, thresholds, arguments.save), cases))
    if not write_json(arguments.json, _report(rows)):
        _print(rows, arguments.worst)
    return int(any(row.verdict.name != "same" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
