"""Animations: each frame passes the stages alone, then all are joined again with their delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyvips

from imgforge.model import ProcessingOptions
from imgforge.processing.codecs import Original
from imgforge.processing.stages.watermark import watermarked
from imgforge.processing.state import RenderContext, State, start

__all__ = ["animate"]

_DEFAULT_DELAY = 40  # milliseconds


def animate(
    original: Original,
    frames: int,
    options: ProcessingOptions,
    context: RenderContext,
    run_stages: Callable[[State], State],
) -> State:
    """The first *frames* frames of *original*, each processed by *run_stages*, stacked and ready to be saved.

    Frames are not trimmed, since each would get another size, and cannot shrink on load. The watermark comes last, on
    all frames at once.
    """
    stack = context.cancellation.watch(original.load(n=frames))
    delays = list(stack.get("delay")) if stack.get_typeof("delay") else [_DEFAULT_DELAY] * frames
    loop = stack.get("loop") if stack.get_typeof("loop") else 0
    options = replace(options, trim=None)
    unmarked = replace(options, watermark=None)
    results = []
    for index in range(frames):
        context.cancellation.check()
        frame = stack.crop(0, index * original.height, stack.width, original.height)
        state = run_stages(start(original, frame, unmarked, context, frame=True))
        # Small by now. Frames are decoded here, one after another, so that the stack is read once from top to bottom.
        state.to_memory()
        results.append(state.image)
    image = pyvips.Image.arrayjoin(results, across=1) if len(results) > 1 else results[0]
    state.options = options
    image = watermarked(state, image, frames).copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", results[0].height)
    image.set_type(pyvips.GValue.gint_type, "n-pages", frames)
    image.set_type(pyvips.GValue.gint_type, "loop", loop)
    image.set_type(pyvips.GValue.array_int_type, "delay", delays[:frames])
    state.image = image
    return state
