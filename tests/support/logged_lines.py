"""What is logged while a test runs."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

__all__ = ["logged_lines"]


def logged_lines(test: SynchronousTestCase, namespace: str = "") -> list[str]:
    """A list that gets each line from now to the end of *test*, of loggers whose names contain *namespace*."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if namespace in event.get("log_namespace", ""):
            lines.append(formatEvent(event))

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    test.addCleanup(globalLogPublisher.removeObserver, observer)
    return lines
