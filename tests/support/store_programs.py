"""Object stores that `.ci/stores` installs, started on loopback for a class of tests."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from unittest import SkipTest

from tests.support.process import free_port, listens, wait_for

__all__ = ["StoreProgram", "store_program"]


def store_program(name: str) -> str:
    """The path of the program *name*; where it is not installed the tests that ask are left out, by name."""
    directory = os.environ.get("IMGFORGE_TEST_STORES", "")
    path = Path(directory, "bin", name)
    if not directory or not os.access(path, os.X_OK):
        raise SkipTest(f"{name} is not installed: .ci/stores DIR installs it, IMGFORGE_TEST_STORES=DIR names where")
    return str(path)


class StoreProgram:
    """The program *name*, listening on a free port of loopback; *arguments* are given that port."""

    def __init__(self, name: str, *arguments: str) -> None:
        self.port = free_port()
        self._scratch = tempfile.TemporaryDirectory(prefix="imgforge-store-")
        log = Path(self._scratch.name, "log")
        command = [store_program(name), *(argument.format(port=self.port) for argument in arguments)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, cwd=self._scratch.name, stdout=output, stderr=output)
        wait_for(lambda: self._process.poll() is not None or listens(self.port), f"{name} to listen")
        if self._process.poll() is not None:
            raise AssertionError(f"{name} ended at once:\n{log.read_text('utf-8', 'replace')}")

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._scratch.cleanup()
