"""A rendition up to its last stage, without a file: which stages act, and the sizes before and after each.

The stages are the engine's own, on a real image: the source, or a black one of its size. Pixels are computed only where
a stage looks at them (trim, the smart gravity, a chained pipeline); no file is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import pyvips

from imgforge.errors import ResultTooLarge, SourceTooLarge
from imgforge.model import ProcessingOptions, Size
from imgforge.processing.beginning import Beginning, begin, open_source
from imgforge.processing.codecs import FORMATS, capabilities, whole_or_part
from imgforge.processing.engine import STAGES, run_pipelines
from imgforge.processing.format_choice import skips
from imgforge.processing.pixel_estimate import pixel_bytes
from imgforge.processing.resources import Cancellation
from imgforge.processing.settings import ProcessingSettings
from imgforge.processing.state import State

__all__ = ["Rehearsal", "StageSizes", "blank_source", "rehearse"]

_MOST_BYTES = 512 << 20  # of pixels, of one rehearsal
_LONGEST_SIDE = 65500  # pixels of a JPEG
_MOST_PIXELS = 100_000_000
_UNKNOWN = Size()

# How a black image is encoded quickly; another format's source is a PNG that counts as one of that format.
_ENCODERS: Mapping[str, tuple[str, dict[str, int]]] = {
    "jpeg": ("jpegsave_buffer", {"Q": 1}),
    "png": ("pngsave_buffer", {"compression": 1}),
    "webp": ("webpsave_buffer", {"Q": 1, "effort": 0}),
}
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"><rect width="9" height="9"/></svg>'


class StageSizes(NamedTuple):
    """A stage of pipeline number *pipeline* (from 0 on): the sizes before and after it, in pixels of the image that it
    gets and leaves, and whether it changed anything."""

    stage: str
    pipeline: int
    before: Size
    after: Size
    acts: bool


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The outcome: the formats to try, and why these; the stages; `skipped` where the source is served unprocessed.

    `dpr` is the factor that the source allows, `scaled` the size to which the first pipeline scales. `result` is
    the size of the result.
    """

    source: Size
    source_format: str
    formats: tuple[str, ...] = ()
    why: str = ""
    skipped: bool = False
    animated: bool = False
    stages: tuple[StageSizes, ...] = ()
    scaled: Size = _UNKNOWN
    result: Size = _UNKNOWN
    dpr: float = 1.0


class _Recorder:
    """Wraps the stages, and notes what each does."""

    def __init__(self) -> None:
        self.sizes: list[StageSizes] = []
        self._pipeline = -1

    def wrapped(self) -> tuple[Callable[[State], None], ...]:
        """The engine's stages."""
        return tuple(self._noting(stage, first=number == 0) for number, stage in enumerate(STAGES))

    def _noting(self, stage: Callable[[State], None], *, first: bool) -> Callable[[State], None]:
        def run(state: State) -> None:
            self._pipeline += first
            image, plan, before = state.image, state.plan, _size(state)
            stage(state)
            acts = state.image is not image or state.plan is not plan
            self.sizes.append(StageSizes(stage.__name__, self._pipeline, before, _size(state), acts))

        return run


def rehearse(
    source: bytes,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    *,
    chained: Sequence[ProcessingOptions] = (),
    accepted: tuple[str, ...] = (),
    watermarks: Mapping[str, bytes] | None = None,
    cancellation: Cancellation | None = None,
    counts_as: str = "",
    format_only: bool = False,
) -> Rehearsal:
    """Runs the stages for *source*; arguments and errors as of `process`.

    *counts_as* is the format that the source is taken for, if not its own. With *format_only* no stage runs.
    `ResultTooLarge` where a rehearsal would need more than 512 MiB of pixels.
    """
    stopping = cancellation or Cancellation()
    pipelines, marks = (options, *chained), watermarks or {}

    def run(partial: bool) -> Rehearsal:
        first = options
        original = open_source(source, options, opening, stopping, partial=partial)
        if counts_as:
            first = replace(options, page=0, pages=1)
            original = replace(original, format=counts_as, whole=False)
            original.check_type(settings.allowed_mime_types)
        known = Rehearsal(Size(original.width, original.height), original.format)
        if skips(original, options, settings):
            why = "the source is served as it is: it is not processed"
            return replace(known, formats=(original.format,), why=why, skipped=True, result=known.source)
        begun = begin(original, (first, *chained), settings, accepted, marks, stopping)
        known = replace(known, formats=tuple(begun.choice.names), why=begun.choice.why, animated=begun.animated)
        return known if format_only else _with_stages(known, begun, pipelines)

    opening = replace(settings, allowed_mime_types=()) if counts_as else settings
    return whole_or_part(source, settings, stopping, run)[0]


def _with_stages(known: Rehearsal, begun: Beginning, pipelines: Sequence[ProcessingOptions]) -> Rehearsal:
    plan = begun.state.plan
    if pixel_bytes(begun.state, begun.original, pipelines[1:], 1) > _MOST_BYTES:
        raise ResultTooLarge(f"the stages would take more than {_MOST_BYTES >> 20} MiB of pixels: they were not tried")
    recorder = _Recorder()
    state = run_pipelines(begun, pipelines, 1, recorder.wrapped())
    return replace(known, stages=tuple(recorder.sizes), scaled=plan.scaled, result=_size(state), dpr=plan.dpr)


def blank_source(width: int, height: int, name: str) -> tuple[bytes, str]:
    """A black image in the format *name*, and "" or, where a PNG stands in for it, *name*.

    `SourceTooLarge` beyond 100 megapixels or 65,500 pixels a side.
    """
    if not (0 < width <= _LONGEST_SIDE and 0 < height <= _LONGEST_SIDE) or width * height > _MOST_PIXELS:
        raise SourceTooLarge(
            f"sizes are tried from 1x1 to {_MOST_PIXELS // 1_000_000} megapixels, not {width}x{height}"
        )
    if name == "svg":
        return _SVG.format(width=width, height=height).encode("ascii"), ""
    longest = FORMATS[name].longest
    if name in _ENCODERS and name in capabilities().saves and not 0 < longest < max(width, height):
        return _black(width, height, name), ""
    return _black(width, height, "png"), "" if name == "png" else name


@lru_cache(maxsize=4)
def _black(width: int, height: int, name: str) -> bytes:
    operation, arguments = _ENCODERS[name]
    image = pyvips.Image.black(width, height, bands=3).copy(interpretation="srgb")
    body: bytes = getattr(image, operation)(**arguments)
    return body


def _size(state: State) -> Size:
    return Size(state.image.width, state.image.height)
