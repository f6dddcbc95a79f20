"""The bytes of pixels that threads work on at once; a thread that needs more waits for its turn.

libvips streams most pictures and holds only some of their lines. But it holds the whole picture where the file is
progressive, and where the picture is rotated, trimmed, cropped smartly, or encoded as WebP or AVIF. Nothing tells
beforehand which: so each picture counts as a whole, both decoded and as a result. A picture that needs more than the
whole budget is worked on alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from imgforge.model import ProcessingOptions, Size
from imgforge.processing.codecs.formats import FORMATS
from imgforge.processing.codecs.load import Original
from imgforge.processing.plan import geometry, plan
from imgforge.processing.resources.cancellation import Cancellation
from imgforge.processing.stages.resize import shrink_on_load
from imgforge.processing.state import State

__all__ = ["PixelBudget", "pixels_of", "pixels_of_source"]

_SAMPLE_BYTES = {"ushort": 2, "short": 2, "uint": 4, "int": 4, "float": 4, "complex": 8, "double": 8, "dpcomplex": 16}
_RGBA = 4


class PixelBudget:
    """*total* bytes for the pixels that threads work on; 0 is no limit. Threads are served in order of arrival."""

    def __init__(self, total: int = 0) -> None:
        self._total = total
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._held = 0

    @property
    def waiting(self) -> int:
        """The number of threads that wait."""
        return len(self._queue)

    @contextmanager
    def reserve(self, size: int, cancellation: Cancellation) -> Iterator[None]:
        """Reserve *size* bytes until the end of the block; `RequestTimeout` where *cancellation* ends the wait.

        Nested blocks of several threads could wait for each other without end: a thread reserves once.
        """
        if self._total:
            self._acquire(size, cancellation)
        try:
            yield
        finally:
            if self._total:
                with self._changed:
                    self._held -= size
                    self._changed.notify_all()

    def _acquire(self, size: int, cancellation: Cancellation) -> None:
        with self._changed:
            if not self._queue and self._fits(size):
                self._held += size
                return
        place = object()
        cancellation.when_cancelled(self._wake)
        with self._changed:
            self._queue.append(place)
            try:
                self._changed.wait_for(lambda: cancellation.cancelled or (self._queue[0] is place and self._fits(size)))
                cancellation.check()
                self._held += size
            finally:
                self._queue.remove(place)
                self._changed.notify_all()  # another thread is the first now

    def _fits(self, size: int) -> bool:
        return not self._held or self._held + size <= self._total

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def pixels_of(state: State, original: Original, then: Sequence[ProcessingOptions], frames: int) -> int:
    """The bytes of *frames* decoded frames, and of the largest picture that is made of each.

    *state* is that before the first stage; *then* are the options of the pipelines chained after its own.
    """
    factor = 1.0
    if state.original is not None and state.options.trim is None:
        factor = shrink_on_load(original, state.plan, state.settings)
    canvas = state.plan.canvas(state.options)
    largest = _area(canvas)
    for options in then:
        source = geometry(max(1, canvas.width), max(1, canvas.height), 1, auto_rotate=False)
        canvas = plan(source, options).canvas(options)
        largest = max(largest, _area(canvas))
    sample = _SAMPLE_BYTES.get(state.image.format, 1)
    return frames * (int(pixels_of_source(original) / factor**2) + largest * _RGBA * sample)


def pixels_of_source(original: Original) -> int:
    """The bytes of one frame, decoded in full."""
    bands = _RGBA if FORMATS[original.format].vector else original.image.bands
    return original.width * original.height * bands * _SAMPLE_BYTES.get(original.image.format, 1)


def _area(size: Size) -> int:
    return size.width * size.height
