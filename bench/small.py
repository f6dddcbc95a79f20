"""Small images per second, of which most pages are made: what is around libvips costs as much as libvips.

    python bench/small.py                                   this repository's imgforge, on drawings
    python bench/small.py --photos DIR --start --libvips --server imgproxy=http://127.0.0.1:8081,4711

The three pictures are drawn in DIR where they are missing; DIR must also be the root of local:// sources of the servers
that were started by hand. No cache can answer a request.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.cold_program import measure_cold
from bench.workloads import SMALL_WORKLOADS

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the result; returns 1 if an answer was not 200 or a server did not start."""
    return measure_cold(__doc__ or "", SMALL_WORKLOADS, argv)


if __name__ == "__main__":
    sys.exit(main())
