"""What the stages of one image share and change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from imgforge.model import Gravity, ProcessingOptions
from imgforge.processing.codecs.formats import FORMATS, Format
from imgforge.processing.codecs.load import Original
from imgforge.processing.gravity import crop_gravity
from imgforge.processing.plan import Plan, geometry, plan
from imgforge.processing.resources.cancellation import Cancellation
from imgforge.processing.settings import ProcessingSettings, chosen

__all__ = ["State", "start"]


@dataclass(slots=True)
class State:
    """One image, or one frame, on its way through the stages.

    `original` is None once its pixels can no longer be had in another size (a frame, a trimmed image). `profile` is
    the ICC profile as it was, `imported` whether pixels have left its space; `last` whether no pipeline follows.
    """

    image: Any
    options: ProcessingOptions
    settings: ProcessingSettings
    plan: Plan
    crop_gravity: Gravity
    format_name: str
    cancellation: Cancellation
    original: Original | None = None
    profile: bytes | None = None
    imported: bool = False
    last: bool = True
    watermarks: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def watermark(self) -> bytes | None:
        """The watermark that the options ask for by its URL, or the operator's."""
        return self.watermarks.get(self.options.watermark_url)

    @property
    def format(self) -> Format:
        """The result's format."""
        return FORMATS[self.format_name]

    @property
    def auto_rotate(self) -> bool:
        """Whether the EXIF orientation is obeyed."""
        return chosen(self.options.auto_rotate, self.settings.auto_rotate)

    @property
    def flattens(self) -> bool:
        """Whether what leaves this pipeline will have no alpha; what the next gets may have one in any format."""
        return self.options.background is not None or (self.last and not self.format.alpha)

    @property
    def turns(self) -> bool:
        """Whether the image is turned or flipped, by EXIF or by the options."""
        plan, options = self.plan, self.options
        return bool(plan.angle or plan.flip or options.rotate or options.flip_horizontal or options.flip_vertical)

    def replan(self, width: int, height: int) -> None:
        """Plan anew for an image of another size, as it is stored."""
        source = geometry(width, height, 1, auto_rotate=False)
        turned = replace(source, angle=self.plan.angle, flip=self.plan.flip)
        self.plan = plan(turned, self.options, max_dimension=_limit(self.options, self.settings))

    def chained(self, options: ProcessingOptions) -> State:
        """The state before the first stage of a pipeline that works on the result of this one."""
        self.to_memory()
        source = geometry(self.image.width, self.image.height, 1, auto_rotate=False)
        return replace(
            self,
            options=options,
            plan=plan(source, options, max_dimension=_limit(options, self.settings)),
            crop_gravity=crop_gravity(options.crop, options.gravity),
            original=None,
        )

    def to_memory(self) -> None:
        """Decode into memory, for what reads pixels other than from top to bottom; costs a copy of all pixels."""
        self.image = self.cancellation.watch(self.image.copy_memory())


def _limit(options: ProcessingOptions, settings: ProcessingSettings) -> int:
    return chosen(options.max_result_dimension, settings.max_result_dimension)


def start(
    original: Original,
    image: Any,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    format_name: str,
    cancellation: Cancellation,
    *,
    frame: bool = False,
    watermarks: Mapping[str, bytes] | None = None,
) -> State:
    """The state before the first stage; `ResultTooLarge` where the options ask for too much."""
    source = geometry(
        original.width,
        original.height,
        original.orientation,
        auto_rotate=chosen(options.auto_rotate, settings.auto_rotate),
        vector=FORMATS[original.format].vector and not frame,
    )
    return State(
        image=image,
        options=options,
        settings=settings,
        plan=plan(source, options, max_dimension=_limit(options, settings)),
        crop_gravity=crop_gravity(options.crop, options.gravity),
        format_name=format_name,
        cancellation=cancellation,
        original=original if original.whole and not frame else None,
        watermarks=watermarks or {},
    )
