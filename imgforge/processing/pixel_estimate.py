"""An estimate of the bytes of pixels that one rendition needs at once, for the budget that all threads share."""

from __future__ import annotations

from collections.abc import Sequence

from imgforge.model import ProcessingOptions, Size
from imgforge.processing.codecs import FORMATS, Original
from imgforge.processing.plan import geometry, plan
from imgforge.processing.stages import shrink_on_load
from imgforge.processing.state import State

__all__ = ["pixel_bytes", "source_pixel_bytes"]

_SAMPLE_BYTES = {"ushort": 2, "short": 2, "uint": 4, "int": 4, "float": 4, "complex": 8, "double": 8, "dpcomplex": 16}
_RGBA = 4


def pixel_bytes(state: State, original: Original, chained: Sequence[ProcessingOptions], frames: int) -> int:
    """The bytes of *frames* decoded frames, and of the largest picture that is made of each.

    *state* is the one before the first stage; *chained* are the options of the pipelines after its own.
    """
    factor = 1.0
    if state.original is not None and state.options.trim is None:
        factor = shrink_on_load(original, state.plan, state.settings)
    canvas = state.plan.canvas(state.options)
    largest = _area(canvas)
    for options in chained:
        source = geometry(max(1, canvas.width), max(1, canvas.height), 1, auto_rotate=False)
        canvas = plan(source, options).canvas(options)
        largest = max(largest, _area(canvas))
    sample = _SAMPLE_BYTES.get(state.image.format, 1)
    return frames * (int(source_pixel_bytes(original) / factor**2) + largest * _RGBA * sample)


def source_pixel_bytes(original: Original) -> int:
    """The bytes of one frame, decoded in full."""
    bands = _RGBA if FORMATS[original.format].vector else original.image.bands
    return original.width * original.height * bands * _SAMPLE_BYTES.get(original.image.format, 1)


def _area(size: Size) -> int:
    return size.width * size.height
