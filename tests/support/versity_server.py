"""versitygw: S3 on a directory, a program on loopback that can be stopped, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.support.process import free_port, listens, wait_for
from tests.support.store_programs import store_program

__all__ = ["VersityServer"]

_USER, _SECRET = "cache", "secret-of-the-cache"
_REGION = "us-east-1"


class VersityServer:
    """A running versitygw with empty *buckets*, whose objects are files below `objects`."""

    def __init__(self, *buckets: str) -> None:
        self._program = store_program("versitygw")
        self._scratch = tempfile.TemporaryDirectory(prefix="imgforge-versity-")
        self.objects = Path(self._scratch.name, "objects")
        for bucket in buckets:
            (self.objects / bucket).mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a client has the credentials."""
        return {"AWS_ACCESS_KEY_ID": _USER, "AWS_SECRET_ACCESS_KEY": _SECRET, "AWS_REGION": _REGION}

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a cache in the store, without the prefix and without the bucket."""
        return {"CACHE_USE": "s3", "CACHE_S3_ENDPOINT": self.url, "CACHE_S3_REGION": _REGION}

    def names(self, bucket: str) -> list[str]:
        """The names of all objects in *bucket*."""
        root = self.objects / bucket
        files = (path for path in root.rglob("*") if path.is_file())
        names = (str(path.relative_to(root)) for path in files)
        return sorted(name for name in names if not name.startswith(".sgwtmp"))

    def start(self) -> None:
        """Start it, again on the same port, and wait until it listens."""
        command = [self._program, "--port", f"127.0.0.1:{self.port}", "--region", _REGION, "--quiet", "--keep-alive"]
        environment = {"ROOT_ACCESS_KEY_ID": _USER, "ROOT_SECRET_ACCESS_KEY": _SECRET}
        with Path(self._scratch.name, "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "posix", "--nometa", str(self.objects)],
                cwd=self._scratch.name,
                env=os.environ | environment,
                stdout=log,
                stderr=log,
            )
        process = self.process
        wait_for(lambda: process.poll() is not None or listens(self.port), "versitygw to listen")
        if process.poll() is not None:
            raise AssertionError(f"versitygw ended at once:\n{Path(self._scratch.name, 'log').read_text()}")

    def signal(self, number: int) -> None:
        """Send it a signal, such as SIGSTOP."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        self._scratch.cleanup()
