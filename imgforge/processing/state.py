"""The state that the stages of one image share and change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from imgforge.model import Gravity, ProcessingOptions
from imgforge.processing.codecs import FORMATS, Format, Original
from imgforge.processing.gravity import crop_gravity
from imgforge.processing.plan import Plan, geometry, plan
from imgforge.processing.resources import Cancellation
from imgforge.processing.settings import ProcessingSettings, chosen

__all__ = ["RenderContext", "State", "start"]


@dataclass(frozen=True, slots=True)
class RenderContext:
    """The values that all images of one rendition have in common.

    Attributes
    ----------
    settings
        The operator's defaults and limits.
    format_name
        The result's format, a key of the format table.
    cancellation
        Stops the evaluation of every image that it watches.
    watermarks
        Watermark files by the URL that the options name; "" is the operator's.
    """

    settings: ProcessingSettings
    format_name: str
    cancellation: Cancellation
    watermarks: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """One image, or one frame of an animation, on its way through the stages.

    `original` is None once its pixels can no longer be decoded in another size (a frame, a trimmed image). `profile` is
    the source's ICC profile, None where it has none or has lost it; `imported` is whether the pixels have left its
    space. `last` is whether no pipeline follows.
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
        """The watermark file that the options name by its URL, or the operator's; None without either."""
        return self.watermarks.get(self.options.watermark_url)

    @property
    def format(self) -> Format:
        """The result's format."""
        return FORMATS[self.format_name]

    @property
    def auto_rotate(self) -> bool:
        """Whether the EXIF orientation is applied."""
        return chosen(self.options.auto_rotate, self.settings.auto_rotate)

    @property
    def keeps_profile(self) -> bool:
        """Whether the result keeps the source's ICC profile, where it has one."""
        strip = chosen(self.options.strip_color_profile, self.settings.strip_color_profile)
        return not strip and self.format.profile

    @property
    def flattens(self) -> bool:
        """Whether this pipeline's result has no alpha. A following pipeline can take alpha whatever the format."""
        return self.options.background is not None or (self.last and not self.format.alpha)

    @property
    def rotates(self) -> bool:
        """Whether the image is rotated or flipped, by EXIF or by the options."""
        plan, options = self.plan, self.options
        return bool(plan.angle or plan.flip or options.rotate or options.flip_horizontal or options.flip_vertical)

    def replan(self, width: int, height: int) -> None:
        """Plan anew for an image of another size, in pixels as it is stored."""
        source = geometry(width, height, 1, auto_rotate=False)
        rotated = replace(source, angle=self.plan.angle, flip=self.plan.flip)
        self.plan = plan(rotated, self.options, max_dimension=_max_dimension(self.options, self.settings))

    def chained(self, options: ProcessingOptions) -> State:
        """The state before the first stage of a pipeline that works on this one's result."""
        self.to_memory()
        source = geometry(self.image.width, self.image.height, 1, auto_rotate=False)
        return replace(
            self,
            options=options,
            plan=plan(source, options, max_dimension=_max_dimension(options, self.settings)),
            crop_gravity=crop_gravity(options.crop, options.gravity),
            original=None,
        )

    def to_memory(self) -> None:
        """Decode into memory, for operations that do not read from top to bottom; copies all pixels."""
        self.image = self.cancellation.watch(self.image.copy_memory())


def _max_dimension(options: ProcessingOptions, settings: ProcessingSettings) -> int:
    return chosen(options.max_result_dimension, settings.max_result_dimension)


def start(
    original: Original, image: Any, options: ProcessingOptions, context: RenderContext, *, frame: bool = False
) -> State:
    """The state before the first stage, for *image*: all of *original*, or one *frame* of it.

    Raises `ResultTooLarge` where the options ask for a result beyond the limit.
    """
    settings = context.settings
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
        plan=plan(source, options, max_dimension=_max_dimension(options, settings)),
        crop_gravity=crop_gravity(options.crop, options.gravity),
        format_name=context.format_name,
        cancellation=context.cancellation,
        original=original if original.whole and not frame else None,
        watermarks=context.watermarks,
    )
