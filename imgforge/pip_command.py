"""The command that installs packages for the Python that runs: a machine may have several."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable

__all__ = ["pip_install"]


def pip_install(packages: Iterable[str]) -> str:
    """Returns the command for *packages*, which are quoted for a shell where they need it."""
    return f"{shlex.quote(sys.executable or 'python')} -m pip install {' '.join(packages)}"
