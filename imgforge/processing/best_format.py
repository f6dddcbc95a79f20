"""`best`: the format whose file of a picture is smallest.

Simple pictures (drawings, screenshots) are tried losslessly too, and a lossless file may be somewhat larger, since loss
shows as dirt in them. Complex pictures are tried with lossy formats only. Complexity is the entropy of the edges, in
bits; by it many photos count as simple, but their lossless files turn out far too large to be chosen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyvips

from imgforge.model import WebpOptions
from imgforge.processing.codecs import holds
from imgforge.processing.saving import save
from imgforge.processing.state import State

__all__ = ["BEST", "candidates", "save_best"]

BEST = "best"
_MEGA = 1_000_000
# A lossless file may be this many times larger than the smallest lossy one.
_LOSSLESS_BONUS = 1.5
_EDGES = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]


def candidates(
    accepted: tuple[str, ...], preferred: tuple[str, ...], *, animated: bool, transparent: bool
) -> list[str]:
    """The formats to try: the *accepted* and the *preferred* ones that can hold the picture, or the first preferred."""
    holding = [
        name
        for name in dict.fromkeys((*accepted, *preferred))
        if holds(name, animated=animated, transparent=transparent) and (name != "gif" or animated)
    ]
    return holding or [preferred[0]]


def save_best(state: State, names: list[str]) -> bytes:
    """The best of the files in the formats *names*; `state.format_name` becomes its format."""
    state.to_memory()
    image = state.image
    limit = state.settings.best_format_max_resolution
    if limit and image.width * image.height > limit * _MEGA:
        names = names[:1]
    simple = complexity(image) < state.settings.best_format_complexity_threshold
    results = []
    for name in names:
        if len(names) > 1 and name == "png" and not simple:
            continue
        state.format_name = name
        results.append((save(state), state.format_name, _LOSSLESS_BONUS if name == "png" and simple else 1.0))
        if name == "webp" and simple:
            options = state.options
            state.options = replace(options, webp_options=WebpOptions(compression="lossless"))
            results.append((save(state), name, _LOSSLESS_BONUS))
            state.options = options
    body, state.format_name, _ = min(results, key=lambda result: len(result[0]) / result[2])
    return body


def complexity(image: Any) -> float:
    """The entropy of the edges of *image*, in bits: 0 for an even area, some 3 for drawings, 5 and more for photos."""
    grey = image.flatten() if image.hasalpha() else image
    grey = grey.colourspace("b-w").cast("uchar")
    edges = grey.conv(pyvips.Image.new_from_array(_EDGES, offset=128), precision="integer").cast("uchar")
    return float(edges.hist_find().hist_entropy())
