"""Cold images per second: four workloads whose requests no cache can answer, servers measured in alternation.

    python bench/cold.py                                    this repository's imgforge, on drawings
    python bench/cold.py --photos /usr/share/backgrounds/mate/nature --start \\
        --server imgproxy=http://127.0.0.1:8081,4711 --libvips

The photos are those of Debian's package mate-backgrounds. Copy them into one directory, which must also be the root of
local:// sources of the servers that were started by hand. Photos that are missing are replaced by drawings there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.cold_program import measure_cold
from bench.workloads import WORKLOADS

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the result; returns 1 if an answer was not 200 or a server did not start."""
    return measure_cold(__doc__ or "", WORKLOADS, argv)


if __name__ == "__main__":
    sys.exit(main())
