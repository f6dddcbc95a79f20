"""The log lines of versions and formats at the start, from a process of their own.

To find out which formats libvips writes, a picture is written in each: that takes 6 MB and 10 ms. A worker that has a
process fork off for it is spared both.
"""

from __future__ import annotations

import os
import signal
import sys

from twisted.logger import Logger

from imgforge import processing
from imgforge.config import Settings
from imgforge.service.application_log import ApplicationLog
from imgforge.service.platform import close_others, has_one_thread, rename_process
from imgforge.service.startup_report import summary

__all__ = ["announce"]

_MOST_SECONDS = 30

log = Logger()


def announce(settings: Settings, processes: int, threads: int, application_log: ApplicationLog) -> bool:
    """Log the `summary` to *application_log* from a new process.

    False where this process has threads, and cannot fork.
    """
    if not has_one_thread():
        return False
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return True
    try:
        if not os.fork():  # an orphan, which the supervisor reaps
            application_log.forked()
            _log_lines(settings, processes, threads)
            application_log.close()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _log_lines(settings: Settings, processes: int, threads: int) -> None:
    rename_process("imgforge-start")
    close_others({0, 1, 2})
    signal.alarm(_MOST_SECONDS)
    processing.configure()
    for line in summary(settings, processes, threads):
        log.info("{line}", line=line)
