"""Parts of Twisted that a process does without, for its memory and its start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["HTTP2_SERVER", "TLS", "left_out"]

# Libraries without which Twisted does without TLS (12 MB, 60 ms), and without a server of HTTP/2 (2 MB, 40 ms).
TLS, HTTP2_SERVER = "OpenSSL", "h2"


@contextmanager
def left_out(library: str) -> Iterator[None]:
    """Has modules of Twisted that are imported in the block do without *library*, unless it has been imported before.

    They do so where it is not installed; None in `sys.modules` is how Python is told that a module is not there.
    """
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[library]
