"""The engine without a server: a process of `instructions.py` that makes small images when it is told to.

    python bench/engine_rounds.py PORT DIR

For each line "NUMBER TIMES" on a connection to PORT it makes the image of small.py's work NUMBER TIMES times of the
picture in DIR, in the same thread, and answers "done".
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.workloads import SMALL_WORKLOADS, image_path
from imgforge import processing
from imgforge.urls import UrlParser, UrlSettings

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until the process is terminated."""
    port, directory = argv or sys.argv[1:]
    processing.configure()
    parser = UrlParser(UrlSettings(allow_unsigned=True))
    works = []
    for work in SMALL_WORKLOADS:
        request = parser.parse(image_path(work.options, f"local:///{work.source}", work.format).encode())
        source = (Path(directory) / work.source).read_bytes()
        works.append(partial(processing.process, source, request.options, processing.ProcessingSettings()))
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as stream:
                for line in stream:
                    number, times = map(int, line.split())
                    for _ in range(times):
                        works[number]()
                    stream.write("done\n")
                    stream.flush()


if __name__ == "__main__":
    main()
