"""The real server as a child process, and real origins beside it, for tests that behave as clients."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

from imgforge.model import Unsatisfiable, byte_range
from tests.support.loopback_server import DEADLINE, LoopbackServer, QuietHandler

ROOT = Path(__file__).parents[2]
TWISTD = Path(sys.executable).with_name("twistd")
# Passes a socket on as systemd does: as descriptor 3, with the process's own id in the environment.
_AS_SYSTEMD = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)
LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")


def free_port() -> int:
    """A port on loopback that was free a moment ago, and that the kernel gives to no client or server meanwhile."""
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in SystemRandom().sample(range(ephemeral // 2, ephemeral), 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _name(pid: int) -> str:
    """What a process calls itself; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def listens(port: int) -> bool:
    """Whether a server takes connections at *port* of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Poll until *condition* holds; AssertionError naming *what* after the deadline."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {DEADLINE:g} s in vain for {what}")
        time.sleep(0.02)


@dataclass(frozen=True)
class Reply:
    """An answer as a client sees it; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Twistd:
    """`twistd -n imgforge` as it is installed, with a clean environment and *settings* (names without the prefix)."""

    settings: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._port = 0
        self.scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.log = Path(self.scratch.name, "log")
        self.process: subprocess.Popen[bytes] | None = None
        self.options: tuple[str, ...] = ()  # of twistd itself
        self.wrapper: tuple[str, ...] = ()  # a command that becomes the one that follows it
        self.stdout: int | None = None  # a descriptor for its log, in place of the file
        self.inherited: int | None = None  # a listening socket that it gets as systemd would pass it

    @property
    def port(self) -> int:
        """The port of its TCP listener: that of its log, or one that is free now where it has not been started."""
        if not self._port:
            self._port = self._logged_port() if self.process is not None else free_port()
        return self._port

    @port.setter
    def port(self, port: int) -> None:
        self._port = port

    def start(self) -> Twistd:
        """Start it and wait until it answers; on the port that the kernel chooses, unless a test needs one before."""
        self.launch()
        wait_for(lambda: self.ended or self.answers(), "the server's first answer")
        if self.ended:
            raise AssertionError(f"the server ended at once:\n{self.output()}")
        return self

    def _logged_port(self) -> int:
        wait_for(lambda: self.ended or LISTENING.search(self.output()), "the line that names its port")
        listening = LISTENING.search(self.output())
        return int(listening[1]) if listening else 0

    def launch(self) -> None:
        """Start it without waiting."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGFORGE_")}
        environment["XDG_CACHE_HOME"] = self.scratch.name
        if self.settings and "--config" not in self.arguments:
            # Without a key it would have a cache, as one that is tried out has.
            environment["IMGFORGE_CACHE_TYPE"] = "none"
        environment |= {f"IMGFORGE_{name}": value for name, value in self.settings.items()} | dict(self.environment)
        command = [str(TWISTD), "-n", "--pidfile=", *self.options, "imgforge"]
        if (
            self.options or self.stdout is not None or "LOG_LEVEL" in self.settings
        ):  # the line that names the port may be elsewhere
            _ = self.port
        if "BIND" not in self.settings:
            command += ["--bind", f"127.0.0.1:{self._port}"]
        command += self.arguments
        command = [*self.wrapper, *command]
        passed: tuple[int, ...] = ()
        if self.inherited is not None:
            passed = (self.inherited,)
            command = [sys.executable, "-c", _AS_SYSTEMD, str(self.inherited), *command]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.scratch.name,
                env=environment,
                stdout=log if self.stdout is None else self.stdout,
                stderr=log,
                pass_fds=passed,
            )

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def answers(self) -> bool:
        """Whether /status says that it is running."""
        try:
            return self.get("/status").status == 200
        except OSError:
            return False

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET", body: bytes | None = None
    ) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def metric(self, name: str) -> float | None:
        """A metric's value, by name and labels as they are printed."""
        lines = self.get("/metrics").body.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), None)

    def output(self) -> str:
        """All that it has logged."""
        return self.log.read_text("utf-8", "replace")

    def assert_logged(self, *texts: str) -> None:
        """Wait until each of *texts* is in the log, whose lines a thread writes."""
        for text in texts:
            wait_for(lambda text=text: self.ended or text in self.output(), f"{text!r} in the log")  # type: ignore[misc]
            assert text in self.output(), f"{text!r} is not in the log:\n{self.output()}"

    def children(self) -> list[int]:
        """The pids of its worker processes."""
        return self._children("imgforge-worker")

    def templates(self) -> list[int]:
        """The pids of the processes that fork its workers."""
        return self._children("imgforge-templ")

    def announcers(self) -> list[int]:
        """The pids of processes that log versions and formats."""
        return self._children("imgforge-start")

    def _children(self, name: str) -> list[int]:
        if self.process is None or self.ended:
            return []
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = sorted({int(pid) for task in tasks for pid in task.read_text().split()})
        return [pid for pid in pids if _name(pid) == name]

    def resident(self) -> int:
        """The bytes of memory that its main process occupies."""
        if self.process is None:
            return 0
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def most_resident(self) -> int:
        """The most bytes of memory that its main process has occupied (VmHWM, proc(5))."""
        if self.process is None:
            return 0
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])

    def threads(self) -> int:
        """How many threads its main process has."""
        return 0 if self.process is None else len(os.listdir(f"/proc/{self.process.pid}/task"))

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process is None:
            return 0
        if not self.ended:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()

    def clean(self) -> None:
        """End it whatever it does, and remove what it left."""
        if self.process is not None and not self.ended:
            self.process.kill()
            self.process.wait()
        self.scratch.cleanup()


@contextmanager
def twistd(*arguments: str, **settings: str) -> Iterator[Twistd]:
    """A running server with *settings*, gone at the end."""
    server = Twistd(settings, arguments)
    try:
        yield server.start()
    finally:
        server.stop()
        server.clean()


@dataclass
class Origin(LoopbackServer):
    """An HTTP origin on loopback that serves *files* by path and remembers what it was asked.

    With an ETag among the *headers* it answers 304 to who knows that; with a *status* it answers all that.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    status: int = 0
    ranges: bool = False  # whether it obeys Range
    # Which of the files it is, by the request's headers: for what is another picture for each client.
    choose: Callable[[str, Mapping[str, str]], str] = lambda path, _: path

    def __post_init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent = 0  # bytes of bodies
        origin = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                told = {k.lower(): v for k, v in self.headers.items()}
                origin.requests.append((self.path, told))
                time.sleep(origin.delay)
                origin.wait()
                body = origin.files.get(origin.choose(self.path.partition("?")[0], told))
                status = origin.status or (404 if body is None else 200)
                if status == 200 and self.headers.get("If-None-Match") == origin.headers.get("ETag", "-"):
                    status, body = 304, b""
                part = None
                if origin.ranges and status == 200:
                    status, part = origin._part(told.get("range", ""), len(body or b""))
                self.send_response(status)
                if part is not None:
                    self.send_header("Content-Range", f"bytes {part[0]}-{part[1] - 1}/{len(body or b'')}")
                    body = (body or b"")[slice(*part)]
                for name, value in origin.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                origin.sent += len(body or b"")
                self.wfile.write(body or b"")

        super().__init__(Handler)

    @staticmethod
    def _part(header: str, length: int) -> tuple[int, tuple[int, int] | None]:
        """The status for a Range header, and the part."""
        try:
            part = byte_range(header, length)
        except Unsatisfiable:
            return 416, (0, 0)
        return (200 if part is None else 206), part

    def url(self, path: str) -> str:
        """The address of *path* here."""
        return f"http://{self.host}{path}"
