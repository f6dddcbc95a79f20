"""Cancels libvips work from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from imgforge.errors import RequestTimeout

__all__ = ["Cancellation"]


class KillableProcess(Protocol):
    """A process that `kill` ends, from any thread, any number of times."""

    def kill(self) -> None: ...


class Cancellation:
    """Stops the evaluation of the images and the process that it watches, within milliseconds.

    An encoder that has all its pixels already is not interrupted: its thread returns when it is done.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: list[Any] = []
        self._process: KillableProcess | None = None
        self._wake: Callable[[], None] | None = None
        self.cancelled = False

    def watch(self, image: Any) -> Any:
        """Return *image*, which `cancel` will kill. Raises `RequestTimeout` if the work is cancelled already."""
        with self._lock:
            if self.cancelled:
                raise RequestTimeout("the work was cancelled")
            self._watched.append(image)
        return image

    def forget(self) -> None:
        """Stop watching the images at the work's end; they are freed in the calling thread, and not in any other."""
        with self._lock:
            self._watched, watched = [], self._watched
        watched.clear()

    def watch_process(self, process: KillableProcess | None) -> None:
        """Have `cancel` kill *process*, in place of the one before; None once it has ended."""
        with self._lock:
            self._process = process
            if process is not None and self.cancelled:
                process.kill()

    def when_cancelled(self, wake: Callable[[], None]) -> None:
        """Have `cancel` call *wake*, in place of the one before: for a thread that waits and then calls `check`."""
        with self._lock:
            self._wake = wake

    def check(self) -> None:
        """Raise `RequestTimeout` once cancelled."""
        if self.cancelled:
            raise RequestTimeout("the work was cancelled")

    def cancel(self) -> None:
        """Stop the work; callable from any thread, any number of times."""
        with self._lock:
            self.cancelled = True
            for image in self._watched:
                image.set_kill(True)
            if self._process is not None:
                self._process.kill()
            if self._wake is not None:
                self._wake()
