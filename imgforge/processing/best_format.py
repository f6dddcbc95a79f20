"""`best`: the format that makes the smallest file of a picture.

Simple pictures (drawings, screenshots) are tried without loss too, and it may cost them a little, for there loss shows
as dirt; what is complex is tried with loss only. That is measured by the entropy of edges, in bits: many photos count
as simple by it, whose files without loss turn out to be far too large.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyvips

from imgforge.model import WebpOptions
from imgforge.processing.codecs.save import save
from imgforge.processing.libvips import holds
from imgforge.processing.state import State

__all__ = ["BEST", "candidates", "save_best"]

BEST = "best"
_MEGA = 1_000_000
# So many times larger a file may be that has no loss.
_WORTH = 1.5
_EDGES = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]


def candidates(
    accepted: tuple[str, ...], preferred: tuple[str, ...], *, animated: bool, transparent: bool
) -> list[str]:
    """The formats to try: those that the client takes and the preferred ones, as far as they hold the picture."""
    holding = [
        name
        for name in dict.fromkeys((*accepted, *preferred))
        if holds(name, animated=animated, transparent=transparent) and (name != "gif" or animated)
    ]
    return holding or [preferred[0]]


def save_best(state: State, names: list[str]) -> bytes:
    """The smallest of the files in the formats *names*; the state's format becomes its."""
    state.to_memory()
    image = state.image
    most = state.settings.best_format_max_resolution
    if most and image.width * image.height > most * _MEGA:
        names = names[:1]
    simple = complexity(image) < state.settings.best_format_complexity_threshold
    results = []
    for name in names:
        if len(names) > 1 and name == "png" and not simple:
            continue
        state.format_name = name
        results.append((save(state), state.format_name, _WORTH if name == "png" and simple else 1.0))
        if name == "webp" and simple:
            options = state.options
            state.options = replace(options, webp_options=WebpOptions(compression="lossless"))
            results.append((save(state), name, _WORTH))
            state.options = options
    body, state.format_name, _ = min(results, key=lambda result: len(result[0]) / result[2])
    return body


def complexity(image: Any) -> float:
    """The entropy of the edges of *image*, in bits: 0 for an even area, some 3 for drawings, 5 and more for photos."""
    grey = image.flatten() if image.hasalpha() else image
    grey = grey.colourspace("b-w").cast("uchar")
    edges = grey.conv(pyvips.Image.new_from_array(_EDGES, offset=128), precision="integer").cast("uchar")
    return float(edges.hist_find().hist_entropy())
