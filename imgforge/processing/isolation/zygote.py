"""The program that forks a process for each hostile file; `pool` starts it, once for a worker.

A Python process with libvips takes 100 ms to start, a fork of this one takes 1 ms. It has the libraries loaded and has
done no work with them, so that it has one thread: the locks of another would never open again in a fork. Where a
library starts a thread by being loaded, the child replaces itself by a new process, slow as that is.

Standard input is a socket of packets, in ASCII:

    NAME NUMBER    and a descriptor: have a child do the work NAME (see `decoders`) that it reads there
    kill NUMBER    the child of this number

A child for text is kept ahead: it has read the fonts already, which takes longer than to draw most documents. A child
serves one file and ends. When the socket closes, all children are killed; when this process dies, they die with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import select
import signal
import socket
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NoReturn

_MOST_MEMORY = 2 << 30
_SECONDS = 10
_IDLE_SECONDS = 60.0
_PDEATHSIG, _NO_NEW_PRIVILEGES = 1, 38  # prctl(2)
_ONCE = "once"


def _decoders() -> Any:
    """The module beside this one; the package would bring much more with it."""
    spec = spec_from_file_location("decoders", Path(__file__).with_name("decoders.py"))
    if spec is None or spec.loader is None:
        raise ImportError("decoders")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Zygote:
    """Forks children as the packets of *control* say."""

    def __init__(self, control: socket.socket, decoders: Any) -> None:
        self._control = control
        self._decoders = decoders
        self._libc = ctypes.CDLL(None)
        self._pid = os.getpid()
        self._children: dict[int, int] = {}  # processes by the numbers of their work
        self._loaded: set[str] = set()
        self._spare: tuple[int, socket.socket] | None = None
        self._woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # A shutdown's signals go to the whole group: what the worker still finishes may need its decoders.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.set_wakeup_fd(wake)
        self._libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        gc.disable()

    def serve(self) -> None:
        """Serve until the socket closes, or nothing was asked for a while."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll(_IDLE_SECONDS * 1000)]
            if not ready and not self._children:
                break
            if self._woken in ready:
                self._reap()
            if self._control.fileno() in ready:
                packet, descriptors, _, _ = socket.recv_fds(self._control, 100, 1)
                if not packet:
                    break
                name, number = packet.decode("ascii").split()
                if name == "kill":
                    self._kill(int(number))
                else:
                    self._work(name, int(number), descriptors[0])
        for pid in (*self._children.values(), *([self._spare[0]] if self._spare else [])):
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 1 << 16)
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                self._children = {number: child for number, child in self._children.items() if child != pid}
                if self._spare and self._spare[0] == pid:
                    self._spare[1].close()
                    self._spare = None

    def _kill(self, number: int) -> None:
        if number in self._children:  # it is not reaped, so that no other process has its id
            os.kill(self._children[number], signal.SIGKILL)

    def _work(self, name: str, number: int, work: int) -> None:
        if name not in self._loaded:
            self._loaded.add(name)
            with contextlib.suppress(Exception):  # the child fails by the same, and the client hears of it
                self._decoders.load(name)
            gc.freeze()
        try:
            if name != "text" or not self._hand_over(number, work):
                self._children[number] = self._fork(work)
        except OSError:  # no process or no memory: the other end sees the socket close, and asks again
            self._children.pop(number, None)
        finally:
            os.close(work)
        if name == "text" and self._spare is None and self._alone():
            with contextlib.suppress(OSError):
                self._keep_one_ahead()

    def _keep_one_ahead(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._spare = self._fork(theirs.fileno(), spare=True), ours
            except OSError:
                ours.close()
                raise

    def _hand_over(self, number: int, work: int) -> bool:
        """Whether the child that was kept ahead does the work."""
        if self._spare is None:
            return False
        (pid, ours), self._spare = self._spare, None
        self._children[number] = pid
        try:
            socket.send_fds(ours, [b"work"], [work])
        except OSError:  # it has died
            return False
        finally:
            ours.close()
        return True

    @staticmethod
    def _alone() -> bool:
        return len(os.listdir("/proc/self/task")) == 1

    def _fork(self, descriptor: int, *, spare: bool = False) -> int:
        alone = self._alone()
        pid = os.fork()
        if pid:
            return pid
        try:
            self._become_child(descriptor, spare=spare, alone=alone)
        finally:
            os._exit(1)

    def _become_child(self, descriptor: int, *, spare: bool, alone: bool) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self._pid:
            os._exit(1)
        descriptor = _close_others(descriptor)
        _limit()
        if not alone:
            os.set_inheritable(descriptor, True)
            os.execv(sys.executable, [sys.executable, "-I", __file__, _ONCE])  # noqa: S606  our own program
        if spare:
            self._decoders.warm_up()
            with socket.socket(fileno=descriptor) as handed:
                descriptor = socket.recv_fds(handed, 10, 1)[1][0]
        _serve_one(self._decoders, descriptor)


def _close_others(descriptor: int) -> int:
    """Close all descriptors but standard output and error, which are /dev/null, and *descriptor*, which becomes 3."""
    os.dup2(1, 0)
    if descriptor != 3:
        os.dup2(descriptor, 3)
    os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return 3


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_AS, _MOST_MEMORY),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _serve_one(decoders: Any, descriptor: int) -> NoReturn:
    with socket.socket(fileno=descriptor) as work:
        work.sendall(b"+")  # from here on a failure is the file's
        with work.makefile("rb") as request, work.makefile("wb") as out:
            decoders.answer(request, out)
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:] == [_ONCE]:
        _serve_one(_decoders(), 3)
    _Zygote(socket.socket(fileno=0), _decoders()).serve()
