"""The progress of long work: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from imgforge.cli.common import Progress

__all__ = ["ProgressBar"]

_INTERVAL = 0.1  # seconds between two pictures of the bar


class ProgressBar:
    """Shows on standard error how far work is whose end is at *total*, if that is known."""

    def __init__(self, title: str, total: float | None) -> None:
        self._title = title
        self._total = total
        self._lines: Progress | None = None
        self._bar: Any = None
        self._next = 0.0

    def __enter__(self) -> ProgressBar:
        if not sys.stderr.isatty():
            self._lines = Progress()
            return self
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
        self._bar.start()
        self._bar.add_task(self._title, total=self._total, text="")
        return self

    def update(self, completed: float, text: str) -> None:
        """Shows that *completed* of the total is done, and *text*."""
        if self._bar is None:
            if self._lines is not None:
                self._lines.update(f"{self._title}: {text}")
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _INTERVAL
            self._bar.update(0, completed=completed, text=text, refresh=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
