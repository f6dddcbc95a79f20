"""`imgforge playground` as a child process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.process import wait_for

__all__ = ["Playground"]

_ADDRESS = re.compile(r"the playground is on (http://127\.0\.0\.1:(\d+)/#token=([\w-]+))\n")
_PROGRAM = "from imgforge.cli import main; main()"


class Playground:
    """The command with *arguments*, on a port that the kernel chooses; *settings* are names without their prefix."""

    def __init__(self, *arguments: str, **settings: str) -> None:
        self.scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.log = Path(self.scratch.name, "log")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGFORGE_")}
        environment |= {f"IMGFORGE_{name}": value for name, value in settings.items()}
        environment |= {"PYTHONPATH": ":".join(sys.path), "XDG_CACHE_HOME": self.scratch.name}
        command = [sys.executable, "-c", _PROGRAM, "playground", "--port", "0", *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.scratch.name, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        wait_for(lambda: self.process.poll() is not None or _ADDRESS.search(self.output()), "the playground's address")
        found = _ADDRESS.search(self.output())
        if found is None:
            raise AssertionError(f"the playground ended at once:\n{self.output()}")
        self.address, self.port, self.token = found[1], int(found[2]), found[3]

    def output(self) -> str:
        """All that it has printed."""
        return self.log.read_text("utf-8", "replace")

    def stop(self) -> int:
        """End it as Ctrl-C does; the exit status."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        finally:
            self.clean()

    def clean(self) -> None:
        """End it whatever it does, and remove what it left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.scratch.cleanup()
