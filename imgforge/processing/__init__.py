"""Image processing on libvips: plain, synchronous, without any I/O. Called from threads, batch jobs and tests alike."""

from imgforge.processing.analysis import describe
from imgforge.processing.codecs import (
    FORMATS,
    Capabilities,
    Format,
    capabilities,
    check_format,
    detect_format,
    header_length,
    needed_for,
    sniffed_media_type,
)
from imgforge.processing.cost_estimate import estimated_seconds
from imgforge.processing.engine import STAGES, process
from imgforge.processing.fonts import draws_texts
from imgforge.processing.isolation import decoder_usage
from imgforge.processing.libvips import configure
from imgforge.processing.plan import Geometry, Plan, geometry, plan
from imgforge.processing.pyvips_compat import usage
from imgforge.processing.rehearsal import Rehearsal, StageSizes, blank_source, rehearse
from imgforge.processing.resources import Cancellation, PixelBudget
from imgforge.processing.settings import ProcessingSettings

__all__ = [
    "FORMATS",
    "STAGES",
    "Cancellation",
    "Capabilities",
    "Format",
    "Geometry",
    "PixelBudget",
    "Plan",
    "ProcessingSettings",
    "Rehearsal",
    "StageSizes",
    "blank_source",
    "capabilities",
    "check_format",
    "configure",
    "decoder_usage",
    "describe",
    "detect_format",
    "draws_texts",
    "estimated_seconds",
    "geometry",
    "header_length",
    "needed_for",
    "plan",
    "process",
    "rehearse",
    "sniffed_media_type",
    "usage",
]
