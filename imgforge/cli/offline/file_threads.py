"""Threads that process files, each file whole by one thread; a signal or the time limit stops libvips in them."""

from __future__ import annotations

import math
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Queue
from threading import Condition, Thread
from typing import TYPE_CHECKING

from imgforge.cli.offline.file_table import FileTable
from imgforge.cli.offline.input_files import InputFile
from imgforge.cli.offline.new_file import write_file
from imgforge.cli.offline.output_names import OutputNames
from imgforge.errors import ImgforgeError, RequestTimeout

if TYPE_CHECKING:
    from imgforge.processing import Cancellation
    from imgforge.service import OfflineRenderer

__all__ = ["FileProcessor", "ProcessingTally", "ProcessingThreads"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MOST_UNREPORTED = 1000  # failures
_TICK = 0.1  # seconds between two looks at deadlines, signals and the progress


@dataclass(slots=True)
class ProcessingTally:
    """What became of the files; bytes of those that were made."""

    made: int = 0
    skipped: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0

    @property
    def ended(self) -> int:
        """The number of files that are done with."""
        return self.made + self.skipped + self.failed

    def text(self, total: int) -> str:
        """One line of progress."""
        skipped = f", {self.skipped} existed" if self.skipped else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.ended} of {total}, {self.made} made{skipped}{failed}"

    def report(self) -> dict[str, object]:
        """The values as JSON has them."""
        counts = {"made": self.made, "skipped": self.skipped, "failed": self.failed}
        return {**counts, "bytes_in": self.bytes_in, "bytes_out": self.bytes_out, "seconds": round(self.seconds, 3)}


class FileProcessor:
    """Processes one file after another, on any thread: reads it, renders it, and writes the result by its name."""

    def __init__(
        self,
        renderer: OfflineRenderer,
        names: OutputNames,
        files: FileTable,
        *,
        force: bool,
        skip_existing: bool,
        timeout: float,
    ) -> None:
        self.timeout = timeout  # seconds for one file
        self._renderer = renderer
        self._names = names
        self._files = files
        self._force = force
        self._skips = skip_existing
        self.write: Callable[[str, bytes], None] = lambda path, body: write_file(path, body, replace=force)

    def process(self, file: InputFile, cancellation: Cancellation, begin: Callable[[], None]) -> tuple[int, int] | None:
        """The bytes of the file and of its result; None where that exists and is left alone.

        *begin* is called when the file has been read: standard input may take any time. Raises an `ImgforgeError` for
        what is wrong with the file, `OSError` for the system's failures.
        """
        early = self._names.early(file, self._renderer.format)
        if early and not self._force and os.path.lexists(early) and not self._files.is_claimed(early):
            self._claim(early, file.path)
            self._check_existing(early)
            return None
        body = self._read(file.path, cancellation)
        begin()
        result = self._renderer.render(body, cancellation)
        path = self._names.of(file, result.format, result.width, result.height)
        self._claim(path, file.path)
        try:
            self.write(path, result.body)
        except FileExistsError:
            self._check_existing(path)
            return None
        except OSError as error:
            raise OSError(
                error.errno, os.strerror(error.errno or 0), "standard output" if path == "-" else path
            ) from error
        return len(body), len(result.body)

    def _check_existing(self, path: str) -> None:
        if not self._skips:
            raise FileExistsError(f"{path} exists: --force replaces it, --skip-existing leaves it alone")

    def _read(self, path: str, cancellation: Cancellation) -> bytes:
        limit = self._renderer.limit
        size = limit + 1 if limit else -1  # one byte more than the limit tells that there are too many
        if path == "-":
            return _standard_input(size, cancellation)
        # Non-blocking, so that a named pipe without a writer does not block the thread.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            return file.read(size) or b""

    def _claim(self, path: str, source: str) -> None:
        """Two files of a run may not have one name: the second would replace the first one's result."""
        other = self._files.claim(path, source)
        if other != source:
            raise FileExistsError(
                f"{path} is the result of {other} already: give a directory as IN and use {{dir}}, or one run for each"
            )


def _standard_input(size: int, cancellation: Cancellation) -> bytes:
    """All of standard input, or *size* bytes of it, -1 for no limit; `RequestTimeout` once it is cancelled."""
    body = bytearray()
    while size < 0 or len(body) < size:
        if cancellation.cancelled:
            raise RequestTimeout("the work was cancelled")
        if select.select([0], [], [], _TICK)[0]:
            piece = os.read(0, 1 << 20)
            if not piece:
                break
            body += piece
    return bytes(body)


class ProcessingThreads:
    """*count* threads that have *processor* process *files*."""

    def __init__(self, processor: FileProcessor, files: FileTable, count: int) -> None:
        self.tally = ProcessingTally()
        self._processor = processor
        self._files = files
        self._count = count
        self._changed = Condition()
        self._active: dict[Cancellation, float] = {}  # with its deadline, by the monotonic clock
        # The threads wait where standard error takes no more lines.
        self._failures: Queue[tuple[str, str]] = Queue(_MOST_UNREPORTED)
        self._signal = 0

    def run(self, show: Callable[[ProcessingTally], None], report: Callable[[str, str], None]) -> int:
        """Process all files; returns 0, or the number of the signal that ended it early. On the main thread.

        *show* is called about ten times a second, *report* with the path and the reason of each failure.
        """

        def interrupt(number: int, _: object) -> None:
            if self._signal:  # an encoder that cannot be stopped is not waited for
                os._exit(128 + number)
            self._signal = number

        before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
        began = time.monotonic()
        try:
            threads = [Thread(target=self._work, name=f"imgforge-process-{n}", daemon=True) for n in range(self._count)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                with self._changed:
                    self._changed.wait(_TICK)
                    self._stop_late_ones()
                self._tell(show, report)
            self._tell(show, report)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        self.tally.seconds = time.monotonic() - began
        return self._signal

    def _tell(self, show: Callable[[ProcessingTally], None], report: Callable[[str, str], None]) -> None:
        for _ in range(self._failures.qsize()):
            report(*self._failures.get())
        show(self.tally)

    def _stop_late_ones(self) -> None:
        """Stop the work that is past its deadline, and all of it after a signal."""
        now = time.monotonic()
        for cancellation, deadline in self._active.items():
            if self._signal or now > deadline:
                cancellation.cancel()

    def _work(self) -> None:
        while not self._signal:
            file = self._files.take()
            if file is None:
                return
            self._process(file)

    def _process(self, file: InputFile) -> None:
        from imgforge.processing import Cancellation

        cancellation = Cancellation()

        def begin() -> None:
            with self._changed:
                self._active[cancellation] = time.monotonic() + self._processor.timeout

        with self._changed:
            self._active[cancellation] = math.inf
        sizes, failure = None, ""
        try:
            sizes = self._processor.process(file, cancellation, begin)
        except ImgforgeError as error:
            timed_out = f"it took longer than {self._processor.timeout:g} seconds (IMGFORGE_TIMEOUT)"
            failure = timed_out if cancellation.cancelled else error.logged
        except FileExistsError as error:
            failure = str(error)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            failure = why if error.filename in {None, file.path} else f"{error.filename}: {why}"
        except Exception as error:  # one file must not end the others
            failure = f"{type(error).__name__}: {' '.join(str(error).split())}"
        with self._changed:
            del self._active[cancellation]
            if failure and self._signal and cancellation.cancelled:
                return  # it is left, as the others are
            self._count_one(sizes, failure)
            self._changed.notify()
        if failure:
            self._failures.put((file.path, failure))

    def _count_one(self, sizes: tuple[int, int] | None, failure: str) -> None:
        if failure:
            self.tally.failed += 1
        elif sizes is None:
            self.tally.skipped += 1
        else:
            self.tally.made += 1
            self.tally.bytes_in += sizes[0]
            self.tally.bytes_out += sizes[1]
