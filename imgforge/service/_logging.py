"""Where log lines go: to twistd's terminal or log file, ours and the workers' alike."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from twisted.logger import ILogObserver

from imgforge.config import Settings
from imgforge.observability import make_observer, parse_level_spec

__all__ = ["log_stream", "observer_for"]


def log_stream(twistd_options: Any) -> TextIO | None:
    """The stream that twistd's own options choose; None where `--logger` or `--syslog` leave it to others.

    The file is opened for appending, so that the workers can write to it beside us.
    """
    if twistd_options.get("logger") or twistd_options.get("syslog"):
        return None
    path = twistd_options.get("logfile") or ("-" if twistd_options.get("nodaemon") else "twistd.log")
    if path == "-":
        return sys.stdout
    return open(os.path.abspath(path), "a", encoding="utf-8", buffering=1)


def observer_for(settings: Settings, stream: TextIO) -> ILogObserver:
    """The observer that the settings describe."""
    return make_observer(stream, form=settings.log_format, levels=parse_level_spec(settings.log_level))
