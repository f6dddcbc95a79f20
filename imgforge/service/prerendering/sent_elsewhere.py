"""The log line of a worker's start that says where traces, reports and metrics go, the same as servers log."""

from __future__ import annotations

import os
import sys

from twisted.logger import Logger, LogPublisher

from imgforge.config import Settings
from imgforge.service.application_log import ApplicationLog
from imgforge.service.telemetry import sent_lines

__all__ = ["log_what_is_sent"]


def log_what_is_sent(settings: Settings) -> None:
    """Log what goes where, if anything does, in a log that is closed at once.

    The first process of a worker calls it, before it forks those that make the images and have logs of their own.
    """
    lines = sent_lines(settings, os.environ)
    if not lines:
        return
    application_log = ApplicationLog(settings, sys.stderr)
    log = Logger(observer=LogPublisher(*application_log.observers))
    try:
        for line in lines:
            log.info("{line}", line=line)
    finally:
        application_log.close()
