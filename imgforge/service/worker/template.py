"""The template: a process that has imported what a worker needs, and forks the workers.

To import all of it takes half a second and 40 MB; a fork takes milliseconds, and shares its memory with the others. The
template has done no work with the libraries, so that it has one thread: the locks of another would never open again in
a fork. Where a library starts a thread by being loaded, a worker is a new interpreter, slow as that is. The template
reads no configuration and imports no plugin: a worker finds both as they are when it starts.

Standard input is a socket of packets. Each brings the descriptors of a worker (`worker.main`), and is answered by the
worker's process id, or by `!` and the reason. The worker is a child of the supervisor, not of the template: a process
in between forks it and ends, and its child becomes the supervisor's, which is a subreaper (prctl(2)). When the socket
closes, the template ends; the workers stay.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from imgforge.service.platform import (
    HTTP2_SERVER,
    Notifier,
    close_others,
    die_with_parent,
    has_one_thread,
    left_out,
    rename_process,
    settle,
)

__all__ = ["HELD_SIGNALS", "TEMPLATE_COMMAND", "serve_as_template"]

# -P: the working directory, which -m would put first, is not imported from; PYTHONPATH still counts.
TEMPLATE_COMMAND = (sys.executable, "-P", "-m", "imgforge.service.worker.template")

# Blocked while a process is forked, until it has chosen what they do to it.
HELD_SIGNALS = frozenset({signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
_MOST_DESCRIPTORS = 253  # in a packet: Linux takes no more


def serve_as_template(control: socket.socket, supervisor: int) -> NoReturn:
    """Fork workers of the process *supervisor*, one for each packet of *control*, and do nothing else."""
    die_with_parent()
    # A shutdown's signals may go to all processes: this one ends when the supervisor does not need it any more.
    for number in HELD_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
    close_others({0, 1, 2, control.fileno()})
    rename_process("imgforge-templ")
    Notifier(os.environ)  # takes systemd's variables out
    gc.disable()
    with suppress(Exception):  # a worker fails by the same, and reports it
        _import_all()
    settle()
    while os.getppid() == supervisor:
        packet, descriptors, _, _ = socket.recv_fds(control, 1, _MOST_DESCRIPTORS)
        if not packet:
            break
        try:
            answer = b"%d" % _fork_worker(supervisor, descriptors)
        except OSError as error:
            answer = f"!{error.strerror}".encode()
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(answer)
    os._exit(0)


def _import_all() -> None:
    """Import what every worker uses, but install no reactor."""
    with left_out(HTTP2_SERVER):
        import imgforge.service.worker.announcement
        import imgforge.service.worker.main
        import imgforge.service.worker.process  # noqa: F401


def _fork_worker(supervisor: int, descriptors: Sequence[int]) -> int:
    """The id of a new worker, which is a child of the *supervisor* when this returns."""
    alone = has_one_thread()
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as answer:
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
        try:
            between = os.fork()
            if not between:
                _fork_and_end(writer, supervisor, descriptors, alone=alone)
        finally:
            os.close(writer)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
        _, status = os.waitpid(between, 0)
        pid = answer.read()
    if not pid:
        code = os.waitstatus_to_exitcode(status)
        raise OSError(code, os.strerror(code))
    return int(pid)


def _fork_and_end(writer: int, supervisor: int, descriptors: Sequence[int], *, alone: bool) -> NoReturn:
    """Be the process in between; its exit status is the error of a failed fork."""
    status = 1
    try:
        pid = os.fork()
        if not pid:
            os.close(writer)
            _become_worker(supervisor, descriptors, alone=alone)
        os.write(writer, b"%d" % pid)
    except OSError as error:
        status = error.errno or 1
    finally:
        os._exit(status)


def _become_worker(supervisor: int, descriptors: Sequence[int], *, alone: bool) -> NoReturn:
    try:
        close_others({0, 1, 2, *descriptors})
        if not alone:
            for descriptor in descriptors:
                os.set_inheritable(descriptor, True)
            command = [*TEMPLATE_COMMAND, *map(str, (supervisor, *descriptors))]
            os.execv(sys.executable, command)  # noqa: S606  our own program
        _run_worker(supervisor, descriptors)
    finally:
        os._exit(1)


def _run_worker(supervisor: int, descriptors: Sequence[int]) -> NoReturn:
    """Be a worker until it has ended."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
        from imgforge.service.worker.main import main

        main(supervisor, descriptors)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(Exception):
            from imgforge.service.log_output import end_logging

            end_logging()
            sys.__stdout__.flush()  # type: ignore[union-attr]
        os._exit(status)


if __name__ == "__main__":
    if sys.argv[1:]:
        _run_worker(int(sys.argv[1]), [int(number) for number in sys.argv[2:]])
    serve_as_template(socket.socket(fileno=0), os.getppid())
