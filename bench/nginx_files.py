"""Starts nginx as an origin of files over HTTP, whose CPU time is so small that it does not weigh in the rates."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.nginx_cache import Template
from bench.servers import free_port, running_process

__all__ = ["nginx_files"]


@contextmanager
def nginx_files(root: Path) -> Iterator[str]:
    """Run nginx on the files of *root*; yields its base URL with a slash at the end; needs `nginx` in PATH."""
    template = Template(Path(__file__).with_name("nginx_files.conf").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        configuration = Path(directory) / "nginx.conf"
        text = template.substitute(user=user, directory=directory, port=port, root=root.resolve())
        configuration.write_text(text, encoding="utf-8")
        with running_process(("nginx", "-e", "stderr", "-p", directory, "-c", str(configuration)), port):
            yield f"http://127.0.0.1:{port}/"
