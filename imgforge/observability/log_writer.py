"""The stream of the application log: a slow terminal, or a pipe whose reader has stopped, does not stall the reactor.

Until `start`, and after `close`, the caller writes: then no request waits, a fork copies no line and no thread, and a
line is out before the process ends. Between the two a thread writes, which starts with the first line.

    direct ──start──> on a thread ──close──> direct
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TextIO

from imgforge.observability.counted_lines import CountedLines
from imgforge.observability.line_writer import write_lines

__all__ = ["LogWriter"]

_MOST = 4 * 1024 * 1024
_PATIENCE = 1.0  # seconds for a line that the caller writes, and for all that wait at the end


class LogWriter(CountedLines):
    """Writes texts of whole lines to *stream*, in order, about *most* bytes of which may wait; see `CountedLines`.

    A line that the caller writes has *patience* seconds.
    """

    def __init__(
        self, stream: TextIO, notice: Callable[[int], str], most: int = _MOST, patience: float = _PATIENCE
    ) -> None:
        super().__init__(most, "log", notice)
        self._patience = patience
        self._stream = stream
        self._threaded = False
        self._stuck = False  # the last line was not taken in time

    def write(self, text: str) -> None:
        """Write *text*, which ends with a line feed; it may be written later."""
        line = text.removesuffix("\n")
        with self._lock:
            if self._threaded:
                self.put(_same, (line,), len(line))
            else:
                self._write_direct(line)

    def flush(self) -> None:
        """Nothing: lines are never kept back."""

    def start(self) -> None:
        """Have a thread write from now on; it starts with the first line."""
        with self._lock:
            self._threaded = True

    def close(self, patience: float = _PATIENCE) -> bool:
        """Write what waits, for *patience* seconds at most; further lines are the caller's to write."""
        with self._lock:
            self._threaded = False
        written = super().close(patience)  # without the lock, which the thread needs
        self._stuck = self._stuck or not written
        return written

    def deliver(self, lines: Iterable[str]) -> None:
        """See `LineThread`."""
        write_lines(self._stream, lines)

    def _write_direct(self, line: str) -> None:
        patience = 0.0 if self._stuck else self._patience
        self._stuck = True
        try:
            write_lines(self._stream, [self._notice(self._dropped), line] if self._dropped else [line], patience)
        except (OSError, ValueError):  # nobody reads it, or it is closed
            self._dropped += 1
        else:
            self._stuck, self._dropped = False, 0


def _same(line: str) -> str:
    return line
