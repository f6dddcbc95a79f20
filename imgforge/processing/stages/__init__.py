"""The stages that an image passes, one module a stage; `imgforge.processing.engine` has their order.

A stage takes the `State` and replaces its image or its plan. It never parses and never does I/O.
"""

from imgforge.processing.stages.adjust_colours import adjust_colours
from imgforge.processing.stages.animation import animate
from imgforge.processing.stages.blur_areas import blur_areas
from imgforge.processing.stages.colorize import colorize
from imgforge.processing.stages.colour_space import (
    embed_profile,
    interpretation,
    to_processing_colours,
    to_result_colours,
)
from imgforge.processing.stages.crop import crop, crop_before_rotation, crop_to_result
from imgforge.processing.stages.extend import extend, extend_aspect_ratio
from imgforge.processing.stages.filters import apply_filters
from imgforge.processing.stages.fit_format import fit_format
from imgforge.processing.stages.flatten import flatten
from imgforge.processing.stages.gradient import gradient
from imgforge.processing.stages.pad import pad
from imgforge.processing.stages.progressive_blur import progressive_blur
from imgforge.processing.stages.rotate import rotate
from imgforge.processing.stages.round_corners import round_corners
from imgforge.processing.stages.scale import scale
from imgforge.processing.stages.scale_on_load import scale_on_load, shrink_on_load
from imgforge.processing.stages.strip_metadata import strip_metadata
from imgforge.processing.stages.trim import trim
from imgforge.processing.stages.unsharp_mask import unsharp_mask
from imgforge.processing.stages.watermark import watermark

__all__ = [
    "adjust_colours",
    "animate",
    "apply_filters",
    "blur_areas",
    "colorize",
    "crop",
    "crop_before_rotation",
    "crop_to_result",
    "embed_profile",
    "extend",
    "extend_aspect_ratio",
    "fit_format",
    "flatten",
    "gradient",
    "interpretation",
    "pad",
    "progressive_blur",
    "rotate",
    "round_corners",
    "scale",
    "scale_on_load",
    "shrink_on_load",
    "strip_metadata",
    "to_processing_colours",
    "to_result_colours",
    "trim",
    "unsharp_mask",
    "watermark",
]
