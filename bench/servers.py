"""Starts, awaits and stops the servers under test and their origins; parses the servers of the command line."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = [
    "Server",
    "StartFailed",
    "file_origin",
    "free_port",
    "imgforge_server",
    "parse_server",
    "running_process",
]

_REPOSITORY = Path(__file__).resolve().parent.parent
_TWISTD = "from twisted.scripts.twistd import run; run()"


class StartFailed(Exception):
    """A server exited at its start or did not listen in time; the message ends with the output of the process."""


@dataclass(frozen=True, slots=True)
class Server:
    """A name for the tables, the base URL, and the root of the process tree if it is known."""

    name: str
    url: str
    pid: int | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to connect to."""
        parts = urllib.parse.urlsplit(self.url)
        return parts.hostname or "", parts.port or 80


def parse_server(text: str) -> Server:
    """Parse the value of `--server`: `NAME=URL` or `NAME=URL,PID`, with an http URL that has no path."""
    name, equals, rest = text.partition("=")
    url, _, pid = rest.partition(",")
    parts = urllib.parse.urlsplit(url)
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=URL or NAME=URL,PID")
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise argparse.ArgumentTypeError(f"{url!r} is not of the form http://HOST:PORT")
    if pid and not pid.isdecimal():
        raise argparse.ArgumentTypeError(f"{pid!r} is not a process id")
    return Server(name, url.rstrip("/"), int(pid) if pid else None)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that no process listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_process(
    command: Sequence[str], port: int, *, settings: Mapping[str, str] | None = None, listen_timeout: float = 30.0
) -> Iterator[int]:
    """Start *command*, yield its process id once it listens on loopback *port*, and terminate it afterwards.

    Raises `StartFailed` if the process exits or does not listen within *listen_timeout* seconds.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=_REPOSITORY,
            env={**os.environ, **(settings or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait_until_listening(process, port, output, listen_timeout)
            yield process.pid
        finally:
            _stop(process)


def _wait_until_listening(
    process: subprocess.Popen[bytes], port: int, output: IO[bytes], listen_timeout: float
) -> None:
    deadline = time.monotonic() + listen_timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                output.seek(0)
                written = output.read().decode("utf-8", "replace").strip() or "no output"
                how = (
                    f"ended with status {process.returncode}"
                    if ended
                    else f"did not listen within {listen_timeout:g} s"
                )
                raise StartFailed(f"{process.args!r} {how}:\n{written[-2000:]}") from None
            time.sleep(0.01)
        else:
            return


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def imgforge_server(
    root: Path, settings: Mapping[str, str], *, launcher: Sequence[str] = (), listen_timeout: float = 30.0
) -> Iterator[Server]:
    """Run this repository's imgforge on a free loopback port, with *root* as the root of local://, without signatures.

    *settings* override the settings made here, and these override the environment:
    `IMGFORGE_PROCESSES=1 python bench/cold.py` works. *launcher* precedes the command, as `callgrind.py` does.
    """
    port = free_port()
    defaults = {
        "IMGFORGE_BIND": f"127.0.0.1:{port}",
        "IMGFORGE_ALLOW_UNSIGNED": "true",
        "IMGFORGE_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
        "IMGFORGE_LOCAL_FILESYSTEM_ROOT": str(root.resolve()),
        "IMGFORGE_LOG_LEVEL": "warn",
    }
    command = (*launcher, sys.executable, "-c", _TWISTD, "-n", "--pidfile=", "imgforge")
    merged = {**defaults, **settings}
    with running_process(command, port, settings=merged, listen_timeout=listen_timeout) as pid:
        yield Server("imgforge", f"http://127.0.0.1:{port}", pid)


@contextmanager
def file_origin(root: Path) -> Iterator[str]:
    """Run an HTTP origin on loopback that serves the files in *root*; yields its base URL, which ends with a slash."""
    port = free_port()
    listen = f"tcp:{port}:interface=127.0.0.1"
    with running_process(
        (sys.executable, "-m", "twisted", "web", "--path", str(root.resolve()), "--listen", listen), port
    ):
        yield f"http://127.0.0.1:{port}/"
