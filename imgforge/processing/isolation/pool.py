"""A worker's decoder processes: a zygote, which is started when it is first needed, and a fork of it for each file.

A thread has at most one file decoded at a time, so that there are as many processes as image threads, and one that the
zygote keeps ahead. After a minute without work the zygote ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from imgforge.errors import DecoderLost
from imgforge.processing.resources import Cancellation

__all__ = ["DecoderProcess", "DecoderProcesses"]

_PROGRAM = Path(__file__).with_name("zygote.py")
# One thread an image, and no memory for the threads' own sake. Of the operator's environment nothing goes along but
# where fonts are found.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_PASSED_ON = ("FONTCONFIG_FILE", "FONTCONFIG_PATH", "HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
_ATTEMPTS, _BACKOFF = 4, 0.05  # seconds, doubled after each attempt
_START_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class DecoderProcess:
    """A decoder process, and the socket on which it is asked and answers."""

    def __init__(self, work: socket.socket, number: int, zygote: _Zygote) -> None:
        self.work = work
        self._number = number
        self._zygote = zygote

    def is_lost(self) -> bool:
        """Whether the process, which answers no more, may have died only because its zygote did."""
        return self._zygote.has_ended()

    def kill(self) -> None:
        """Kill the process, if it is still there, and end any wait for it; callable from any thread."""
        # Without waiting: this may be the thread of the reactor. A process that is not killed here ends by its limits.
        self._zygote.send(b"kill", self._number, flags=socket.MSG_DONTWAIT)
        with contextlib.suppress(OSError):  # it is closed already
            self.work.shutdown(socket.SHUT_RDWR)


class _Zygote:
    """A process of `zygote`, and the socket on which it takes orders."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        environment = _ENVIRONMENT | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603  our own program
                [sys.executable, "-I", str(_PROGRAM)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
            )

    def send(self, word: bytes, number: int, *descriptors: int, flags: int = 0) -> bool:
        """Whether the order reached the process."""
        try:
            socket.send_fds(self._control, [b"%s %d" % (word, number)], descriptors, flags)
        except OSError:
            return False
        return True

    def has_ended(self) -> bool:
        """Whether the process has ended; its children die after that, so that each of their ends is seen later."""
        try:
            return not self._control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # `end` has closed it
            return True

    def end(self) -> None:
        """End the process, and its children with it."""
        self._control.close()
        self.process.kill()
        self.process.wait()


class DecoderProcesses:
    """Starts decoder processes; for all threads of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._zygote: _Zygote | None = None
        self.started = 0

    def start(self, name: str, cancellation: Cancellation) -> DecoderProcess:
        """A process for the work *name* (see `decoders`), watched by *cancellation*.

        The zygote is started anew if it has ended. Raises `DecoderLost` where no process can be started in time, and
        `RequestTimeout` once cancelled.
        """
        end = time.monotonic() + _START_SECONDS
        for attempt in range(_ATTEMPTS):
            cancellation.check()
            if attempt:
                time.sleep(_BACKOFF * 2**attempt)
            process = self._ask(name)
            cancellation.watch_process(process)
            process.work.settimeout(max(0.001, end - time.monotonic()))
            with contextlib.suppress(OSError):  # also where it takes too long
                if process.work.recv(1):
                    return process
            process.kill()
            cancellation.watch_process(None)
            process.work.close()
        cancellation.check()
        raise DecoderLost("no decoder process could be started")

    def _ask(self, name: str) -> DecoderProcess:
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            self.started += 1
            number = self.started
            if self._zygote is not None and self._zygote.owner != os.getpid():
                self._zygote = None  # this process is a fork of the one that it serves
            if self._zygote is None or not self._zygote.send(name.encode(), number, theirs.fileno()):
                if self._zygote is not None:
                    self._zygote.end()
                self._zygote = _Zygote()
                self._zygote.send(name.encode(), number, theirs.fileno())
            return DecoderProcess(ours, number, self._zygote)

    def usage(self) -> dict[str, float]:
        """The processes that there are now, the zygote among them: their number and resident bytes; the CPU seconds of
        all that this zygote has had; and the number of files since the start.
        """
        zygote = self._zygote
        figures = {"processes": 0.0, "memory_bytes": 0.0, "cpu_seconds": 0.0, "started": float(self.started)}
        if zygote is None or zygote.process.poll() is not None:
            return figures
        root = Path("/proc")
        try:
            pid = zygote.process.pid
            children = (root / f"{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return figures
        for process in (str(pid), *children):
            try:
                stat = (root / process / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            figures["processes"] += 1
            figures["memory_bytes"] += int(stat[21]) * _PAGE
            figures["cpu_seconds"] += sum(map(int, stat[11:15])) / _TICKS
        return figures
