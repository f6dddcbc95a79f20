"""The template of workers (`worker.template`), as the supervisor starts and ends it."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from typing import NoReturn

from twisted.internet.process import registerReapProcessHandler, unregisterReapProcessHandler

from imgforge.service.worker import HELD_SIGNALS, TEMPLATE_COMMAND, serve_as_template

__all__ = ["TemplateProcess"]


class TemplateProcess:
    """A template of this process, with its id *pid*; *control* is the socket on which it is asked for workers."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self._pid = pid
        self.control = control

    @classmethod
    def fork(cls) -> TemplateProcess:
        """A fork of this process, which has one thread, no reactor and no plugin yet: they share what was imported."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        supervisor = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # the collector would write to all objects, and so copy all pages
        with theirs:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
            try:
                pid = os.fork()
                if not pid:
                    _serve(theirs, supervisor)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return cls(pid, ours)

    @classmethod
    def spawn(cls) -> TemplateProcess:
        """A new interpreter."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            pid = os.posix_spawn(
                sys.executable,
                TEMPLATE_COMMAND,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
                setsigmask=HELD_SIGNALS,
            )
        return cls(pid, ours)

    def watch(self) -> None:
        """Release the process when it has ended; called where a reactor is installed."""
        registerReapProcessHandler(self._pid, self)

    def reapProcess(self) -> None:
        """SIGCHLD: it may be this process that has ended."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            unregisterReapProcessHandler(pid, self)
            self.processEnded(status)

    def processEnded(self, status: int) -> None:  # noqa: ARG002  # it has worked for as long as it was needed
        """The process is gone."""
        self._pid = 0

    def kill(self) -> None:
        """End the process, which does not answer; `control` closes."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)


def _serve(control: socket.socket, supervisor: int) -> NoReturn:
    """Go on as the template, with the path of a new interpreter (`TEMPLATE_COMMAND`)."""
    try:
        if not sys.flags.safe_path:
            sys.path.pop(0)
        serve_as_template(control, supervisor)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)
