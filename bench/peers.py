"""Starts peers by their programs: imgproxy and thumbor, without signatures, on loopback."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.servers import Server, free_port, running_process

__all__ = ["imgproxy_server", "thumbor_server"]

# What the published benchmark configures: no cache, Pillow on as many threads as there are CPUs, its fastest AVIF.
_THUMBOR = """\
LOADER = "thumbor.loaders.http_loader"
STORAGE = "thumbor.storages.no_storage"
RESULT_STORAGE = None
ENGINE = "thumbor.engines.pil"
ENGINE_THREADPOOL_SIZE = {threads}
PROGRESSIVE_JPEG = True
PILLOW_RESAMPLING_FILTER = "LANCZOS"
PRESERVE_EXIF_COPYRIGHT_INFO = True
AVIF_SPEED = 10
"""


@contextmanager
def imgproxy_server(program: str, settings: Mapping[str, str]) -> Iterator[Server]:
    """Run imgproxy, the program *program*, with *settings* besides its address and the level of its log."""
    port = free_port()
    defaults = {"IMGPROXY_BIND": f"127.0.0.1:{port}", "IMGPROXY_LOG_LEVEL": "error"}
    with running_process((program,), port, settings={**defaults, **settings}) as pid:
        yield Server("imgproxy", f"http://127.0.0.1:{port}", pid)


@contextmanager
def thumbor_server(program: str) -> Iterator[Server]:
    """Run thumbor, the program *program*, in one process."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        configuration = Path(directory) / "thumbor.conf"
        configuration.write_text(_THUMBOR.format(threads=len(os.sched_getaffinity(0))), encoding="utf-8")
        command = (program, "-i", "127.0.0.1", "-p", str(port), "-c", str(configuration), "-l", "error")
        with running_process(command, port) as pid:
            yield Server("thumbor", f"http://127.0.0.1:{port}", pid)
