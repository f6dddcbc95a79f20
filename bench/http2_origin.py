"""Starts nginx as an origin that speaks TLS, HTTP/1.1 and HTTP/2, with a certificate made on the fly."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.nginx_cache import Template
from bench.servers import free_port, running_process
from tests.support.certificates import certificate

__all__ = ["Http2Origin", "Protocols", "http2_origin"]

_QUIET = 0.5  # seconds without a new line, after which the log has them all


@dataclass(frozen=True, slots=True)
class Protocols:
    """Requests by protocol ("HTTP/1.1", "HTTP/2.0"), and the number of connections that they came over."""

    requests: dict[str, int]
    connections: int


@dataclass(frozen=True, slots=True)
class Http2Origin:
    """A running origin."""

    url: str  # without a slash at the end
    authority: Path  # PEM file of the authority of its certificate
    _log: Path

    def take_protocols(self) -> Protocols:
        """Return what requests came over since the last call; nginx logs them a moment after their last bytes."""
        size = -1
        while size != (size := self._log.stat().st_size):
            time.sleep(_QUIET)
        lines = self._log.read_text("ascii").splitlines()
        os.truncate(self._log, 0)  # nginx appends
        pairs = [line.split() for line in lines]
        return Protocols(dict(Counter(pair[0] for pair in pairs)), len({pair[1] for pair in pairs}))


@contextmanager
def http2_origin(root: Path) -> Iterator[Http2Origin]:
    """Run nginx on the files of *root*; needs the program `nginx` in PATH."""
    template = Template(Path(__file__).with_name("http2_origin.conf").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        authority = Path(directory) / "certificate.pem"
        authority.write_bytes(certificate("127.0.0.1"))
        user = "user root;" if os.geteuid() == 0 else ""
        text = template.substitute(user=user, directory=directory, port=port, root=root.resolve())
        configuration = Path(directory) / "nginx.conf"
        configuration.write_text(text, encoding="utf-8")
        with running_process(("nginx", "-e", "stderr", "-p", directory, "-c", str(configuration)), port):
            yield Http2Origin(f"https://127.0.0.1:{port}", authority, Path(directory) / "access.log")
