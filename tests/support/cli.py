"""The command imgforge in a process of its own."""

from __future__ import annotations

import subprocess
import sys

__all__ = ["imgforge"]


def imgforge(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished command."""
    program = "from imgforge.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
