"""Starts nginx with proxy_cache in front of another server, in a temporary directory, on loopback."""

from __future__ import annotations

import os
import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.servers import Server, free_port, running_process

__all__ = ["Template", "nginx_cache"]


class Template(string.Template):
    """A configuration of nginx with placeholders that begin with an at sign."""

    delimiter = "@"  # "$" begins nginx's own variables


@contextmanager
def nginx_cache(upstream: Server, workers: int) -> Iterator[Server]:
    """Run nginx with *workers* processes and a cache in front of *upstream*; needs the program `nginx` in PATH."""
    template = Template(Path(__file__).with_name("nginx_cache.conf").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        text = template.substitute(
            user="user root;" if os.geteuid() == 0 else "",
            workers=workers,
            directory=directory,
            port=port,
            upstream=upstream.url,
        )
        configuration = Path(directory) / "nginx.conf"
        configuration.write_text(text, encoding="utf-8")
        with running_process(("nginx", "-e", "stderr", "-p", directory, "-c", str(configuration)), port) as pid:
            yield Server("nginx proxy_cache", f"http://127.0.0.1:{port}", pid)
