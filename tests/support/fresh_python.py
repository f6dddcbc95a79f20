"""Programs in an interpreter of their own, for what a whole process has: its memory, threads, descriptors and log.

In the process of the tests what other tests left behind goes at any moment, and changes the counts.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.process import ROOT


def output_of(program: str, *arguments: str) -> str:
    """What *program* prints; CalledProcessError where it fails."""
    command = [sys.executable, "-c", program, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True, timeout=300)
    return done.stdout.strip()
