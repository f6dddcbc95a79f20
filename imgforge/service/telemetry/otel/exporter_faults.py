"""What the exporters log of a receiver that is down: one line a minute for all tries, which names the setting."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from twisted.logger import Logger

from imgforge.config import mask_user_info
from imgforge.service.telemetry.otel.destinations import Receiver

__all__ = ["ExporterFaults"]

_INTERVAL = 60.0  # seconds between two lines about one receiver, or of one logger
_LONGEST = 300
# The signal of an exporter: HTTP's have loggers of their own, gRPC's name it.
_SIGNALS = {".trace_exporter": "traces", ".metric_exporter": "metrics", "._log_exporter": "logs"}
_SIGNAL = re.compile(r"\bexport(?:ing)? (traces|metrics|logs)\b")
# What libraries wrap the reason in, in HTTP's and gRPC's exporter.
_REASONS = (
    re.compile(r"\[Errno -?\d+\] ([^\"')]+)"),
    re.compile(r"last error: .*: ([^:]+)$"),
    re.compile(r"error details: (.+)$", re.IGNORECASE),
)


class ExporterFaults(logging.Handler):
    """Logs the first complaint about each of *receivers*, and from then on one a minute; *clock* gives seconds."""

    log = Logger()

    def __init__(self, receivers: Sequence[Receiver] = (), clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._receivers = receivers
        self._clock = clock
        self._logged: dict[str, tuple[float, int]] = {}  # when, and the complaints since, by address or logger

    def install(self) -> None:
        """Take the SDK's lines from now on; no other handler of `logging` gets them."""
        logger = logging.getLogger("opentelemetry")
        logger.handlers[:] = [self]
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record*, unless there was a line about the same in the last minute."""
        text = mask_user_info(" ".join(record.getMessage().split()))
        receiver = self._receiver(record.name, text)
        key = receiver.address if receiver else record.name
        if text.startswith("Queue full"):  # that follows from a receiver that is down
            key = next((one.address for one in self._receivers if one.address in self._logged), key)
        now = self._clock()
        last, unlogged = self._logged.get(key, (now - _INTERVAL, 0))
        if now - last < _INTERVAL:
            self._logged[key] = last, unlogged + 1
            return
        self._logged[key] = now, 0
        if receiver:
            line = f"{receiver.signal} cannot be sent to {receiver.address} ({', '.join(receiver.variables)}): "
            line += f"{_reason(text)[:_LONGEST]}; tried again"
        else:
            line = f"OpenTelemetry: {text[:_LONGEST]}"
        self.log.warn("{line}", line=line + (f" (and {unlogged} times since the last line)" if unlogged else ""))

    def _receiver(self, logger: str, text: str) -> Receiver | None:
        """The receiver that a record is about: that of the signal, and where several have it, the one that is named."""
        if ".exporter.otlp." not in logger:
            return None
        signal = next((one for name, one in _SIGNALS.items() if name in logger), "")
        if not signal and (match := _SIGNAL.search(text)):
            signal = match[1]
        found = [one for one in self._receivers if one.signal == signal]
        return max(found, key=lambda one: _named(one.address, text), default=None)


def _named(address: str, text: str) -> int:
    """How much of *address* is in *text*: 2 for host and port, which HTTP's exporter names apart, 1 for the host."""
    url = urlsplit(address if "://" in address else f"//{address}")
    if (url.hostname or "") not in text:
        return 0
    port = url.port or {"https": 443}.get(url.scheme, 80)
    return 2 if re.search(rf"(?:port=|:){port}\b", text) else 1


def _reason(text: str) -> str:
    found = next((match for pattern in _REASONS if (match := pattern.search(text))), None)
    return (found[1] if found else text).strip().rstrip(".")
