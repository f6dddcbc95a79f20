"""What the scripts `try` beside this file have in common: servers of this machine, started, watched and stopped."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

START_TIMEOUT = 60.0  # seconds that a server may take until it listens
STOP_TIMEOUT = 10.0  # seconds that it may take to end


class Failed(Exception):
    """Something is missing or does not start; the message says what to do."""


class Servers:
    """The processes that were started, each with a log of its own in *scratch*."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, command: Sequence[str], port: int, environment: Mapping[str, str] | None = None) -> None:
        """Start *command* and wait until it listens on *port*."""
        print(f"starting {name} on 127.0.0.1:{port}", file=sys.stderr, flush=True)
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  the programs that the page names
                command,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches this script alone, which stops the servers in order
            )
        self._running.append((name, process))
        deadline = time.monotonic() + START_TIMEOUT
        while not listens(port):
            self.check()
            if time.monotonic() > deadline:
                raise Failed(f"{name} does not listen after {START_TIMEOUT:g} s; its log ends:\n{self._end(name)}")
            time.sleep(0.05)

    def check(self) -> None:
        """`Failed` where a server has ended."""
        for name in self.ended():
            raise Failed(f"{name} ended with status {self.process(name).returncode}; its log ends:\n{self._end(name)}")

    def ended(self) -> list[str]:
        """Return the names of the servers that have ended."""
        return [name for name, process in self._running if process.poll() is not None]

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """Return the process of a server."""
        return next(process for known, process in self._running if known == name)

    def forget(self, name: str) -> None:
        """Let a server that has ended be started again."""
        self._running = [(known, process) for known, process in self._running if known != name]

    def stop(self) -> None:
        """Stop all servers, the last one first."""
        while self._running:
            _, process = self._running.pop()
            for patience in (1.0, STOP_TIMEOUT):  # the second signal ends imgforge without its delay
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(patience)
                    break
            else:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _log(self, name: str) -> Path:
        return self.scratch / f"{name}.log"

    def _end(self, name: str) -> str:
        return self._log(name).read_text("utf-8", "replace")[-2000:].strip()


def free_port() -> int:
    """Return a port of 127.0.0.1 that no process listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Return whether something listens on *port*."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def program(name: str) -> str:
    """Return the path of *name*, also where ordinary users do not have it in PATH."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        raise Failed(f"{name} is not in PATH; --help says where it comes from")
    return found


def run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run *command*; `Failed` with what it wrote where it fails."""
    ended = subprocess.run(  # noqa: S603
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=START_TIMEOUT, check=False
    )
    if ended.returncode:
        raise Failed(f"{' '.join(command[:3])}: {(ended.stderr or ended.stdout).strip()}")


def beside_python(name: str) -> str:
    """Return the path of a command that is installed with this Python."""
    path = Path(sys.executable).with_name(name)
    if not path.is_file():
        raise Failed(f"{path} is missing: run this script with the Python that imgforge is installed for")
    return str(path)


def signed_paths(sources: Sequence[tuple[str, str]], keys: Mapping[str, str]) -> list[str]:
    """Return the signed paths of WebP images of *sources*, pairs of a URL that needs no escapes and options."""
    from imgforge.urls import Signer

    signer = Signer(bytes.fromhex(keys["IMGFORGE_KEY"]), bytes.fromhex(keys["IMGFORGE_SALT"]))
    return [signer.sign(f"/{options}/plain/{source}@webp") for source, options in sources]


def stop_by_signal(number: int, _frame: object) -> None:
    """End as Ctrl-C does, for the first signal; the servers are being stopped when others come."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def configuration(path: Path, replacements: Sequence[tuple[str, str]]) -> str:
    """Return the text of a configuration file with *replacements*; `Failed` unless each is there once."""
    text = path.read_text("utf-8")
    for old, new in replacements:
        if text.count(old) != 1:
            raise Failed(f"{path.name} does not say {old!r} once")
        text = text.replace(old, new)
    return text


def require(package: str, *modules: str) -> None:
    """`Failed` with the *package* to install where this Python has not all *modules*."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise Failed(f"{sys.executable} has no {module}: pip install '{package}' (in a checkout '.{package[16:]}')")


@contextlib.contextmanager
def temporary_servers(name: str) -> Iterator[Servers]:
    """Servers with a temporary directory; they are stopped, and it is removed, at the end."""
    with tempfile.TemporaryDirectory(prefix=f"imgforge-{name}-") as scratch:
        servers = Servers(Path(scratch))
        try:
            yield servers
        finally:
            servers.stop()


def run_until_stopped(serve: Callable[[], None]) -> int:
    """Run *serve* until a signal comes or a server ends; return the exit status."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, stop_by_signal)
    try:
        serve()
    except Failed as failure:
        print(f"try: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("everything is stopped", file=sys.stderr)
    return 0
