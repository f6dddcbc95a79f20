"""Animations: each frame runs through the stages alone, then they are joined again with their delays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pyvips

from imgforge.model import ProcessingOptions
from imgforge.processing.codecs.load import Original
from imgforge.processing.resources.cancellation import Cancellation
from imgforge.processing.settings import ProcessingSettings
from imgforge.processing.stages.watermark import watermarked
from imgforge.processing.state import State, start

__all__ = ["animate"]

_DEFAULT_DELAY = 40  # milliseconds


def animate(
    original: Original,
    frames: int,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    format_name: str,
    run: Callable[[State], State],
    cancellation: Cancellation,
    watermarks: Mapping[str, bytes],
) -> State:
    """The first *frames* frames of *original*, each processed by *run*, stacked, ready to be saved.

    Frames are not trimmed, for each would get another size, and cannot shrink on load. The watermark comes last, on
    all at once.
    """
    film = cancellation.watch(original.load(n=frames))
    delays = list(film.get("delay")) if film.get_typeof("delay") else [_DEFAULT_DELAY] * frames
    loop = film.get("loop") if film.get_typeof("loop") else 0
    options = replace(options, trim=None)
    done = []
    for index in range(frames):
        cancellation.check()
        frame = film.crop(0, index * original.height, film.width, original.height)
        state = start(original, frame, options, settings, format_name, cancellation, frame=True)
        state = run(state)
        # Small by now; decoded here, one after another, so that the film is read once from top to bottom.
        state.to_memory()
        done.append(state.image)
    image = pyvips.Image.arrayjoin(done, across=1) if len(done) > 1 else done[0]
    state.watermarks = watermarks
    image = watermarked(state, image, frames).copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", done[0].height)
    image.set_type(pyvips.GValue.gint_type, "n-pages", frames)
    image.set_type(pyvips.GValue.gint_type, "loop", loop)
    image.set_type(pyvips.GValue.array_int_type, "delay", delays[:frames])
    state.image = image
    return state
