"""What the exporters log of a receiver that is down: one line a minute, instead of one for each try."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

from twisted.logger import Logger

__all__ = ["ExporterFaults"]

_INTERVAL = 60.0  # seconds between two lines of one exporter
_LONGEST = 300
_USER_INFO = re.compile(r"(?<=//)[^/@\s]+@")


class ExporterFaults(logging.Handler):
    """Logs the first complaint of each exporter, and from then on one a minute; *clock* gives seconds."""

    log = Logger()

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._logged: dict[str, tuple[float, int]] = {}  # when, and the complaints since, by the exporter's logger

    def install(self) -> None:
        """Take the SDK's lines from now on; no other handler of `logging` gets them."""
        logger = logging.getLogger("opentelemetry")
        logger.handlers[:] = [self]
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record*, unless its logger has had its line."""
        now = self._clock()
        last, unlogged = self._logged.get(record.name, (now - _INTERVAL, 0))
        if now - last < _INTERVAL:
            self._logged[record.name] = last, unlogged + 1
            return
        self._logged[record.name] = now, 0
        line = _USER_INFO.sub("***@", " ".join(record.getMessage().split()))[:_LONGEST]
        self.log.warn(
            "OpenTelemetry: {line}{more}; requests are answered all the same, and what waits too long is dropped",
            line=line,
            more=f" (and {unlogged} lines more like the last one)" if unlogged else "",
        )
